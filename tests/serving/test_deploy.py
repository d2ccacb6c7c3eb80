"""The image and the unit: what their files say, and the server started as they start it.

Docker is not here, and systemd does not run: hadolint and systemd-analyze judge the files. The image's last stage is
rehearsed: its files, its environment and its commands in a folder of their own, with the packages that it installs and
no others. The unit's command is run under its environment, and tells a socket what it would tell systemd.
"""

import contextlib
import http.client
import json
import os
import re
import shlex
import shutil
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import pytest
from docker.utils.build import exclude_paths
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from churn_drift import paths
from churn_drift.model.bundle import Bundle, save
from churn_drift.serving.server import parser
from tests.contracts.reach import ROOT
from tests.serving.conftest import Server, end
from tests.serving.test_reload import CRAFTS, get

DEPLOY = ROOT / "deploy"
UNIT = DEPLOY / "churn-drift.service"
PIPELINE = {"boto3", "dvc", "dvc-s3", "matplotlib", "mlflow", "pip", "pydantic", "scikit-learn", "setuptools"}
PLACES = ("/opt/", "/srv/", "/var/lib/")
"""Of the image, as of a machine: a rehearsal has them in its own folder."""


def test_hadolint_finds_nothing() -> None:
    done = subprocess.run(
        [Path(sys.executable).with_name("hadolint"), "Dockerfile"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "")


def test_every_stage_starts_from_one_patch_version_of_python() -> None:
    bases = [words.split()[0] for name, words in instructions() if name == "FROM"]
    assert len(set(bases)) == 1
    assert re.fullmatch(r"python:3\.11\.\d+-slim-\w+", bases[0])


def test_the_image_runs_as_nobody_in_particular_and_installs_nothing() -> None:
    stage = last_stage()
    user = [words for name, words in stage if name == "USER"]
    assert re.fullmatch(r"[1-9]\d+:[1-9]\d+", user[-1])
    assert not any(re.search(r"\b(pip|apt-get|curl|git)\b", words) for name, words in stage if name == "RUN")
    assert [name for name, _ in stage if name in ("HEALTHCHECK", "STOPSIGNAL", "CMD", "ENTRYPOINT")] == [
        "STOPSIGNAL",
        "HEALTHCHECK",
        "CMD",
    ]


def test_the_build_sees_what_it_copies_and_nothing_else(tmp_path: Path) -> None:
    copied = [source for words in copies(instructions()) for source in words[:-1]]
    private = [".env", ".git/config", "data/raw/customers.csv", "data/inference/x.parquet", "serve-keys.json"]
    others = ["deploy/serve.env.example", "models/retrained/01/model.ubj", "models/ledger.jsonl", "tests/x.py"]
    for name in [*copied, *private, *others, "src/churn_drift/x.py", "models/champion/model.ubj"]:
        place = tmp_path / name
        if (ROOT / name).is_dir() or name == str(paths.CHAMPION):
            place.mkdir(parents=True, exist_ok=True)
        else:
            place.parent.mkdir(parents=True, exist_ok=True)
            place.touch()
    seen = set(exclude_paths(str(tmp_path), (ROOT / ".dockerignore").read_text().splitlines()[1:]))
    assert seen.issuperset({*copied, "src/churn_drift/x.py", "models/champion/model.ubj"})
    assert seen.isdisjoint({*private, *others})


def test_the_image_s_packages_are_those_of_the_lock_without_the_pipeline_s() -> None:
    locked, image = pins(ROOT / "requirements.txt"), pins(DEPLOY / "requirements.txt")
    asked = {canonicalize_name(line.split("#")[0].strip()) for line in lines(DEPLOY / "requirements.in")}
    assert asked <= set(image)
    assert {name: locked.get(name) for name in image} == image
    assert not PIPELINE & set(image)


@dataclass(frozen=True)
class Image:
    """The image's last stage in a folder: where its root lies, and the environment of what it runs."""

    root: Path
    environment: Mapping[str, str]

    def start(self, arguments: Sequence[str], **environment: str) -> subprocess.Popen[str]:
        """A command in the container; it sees the image's environment and none of the tests'."""
        found = shutil.which(arguments[0], path=self.environment["PATH"])
        assert found, f"{arguments[0]} is not in the image"
        return subprocess.Popen(
            [found, *arguments[1:]],
            cwd=self.root / workdir().lstrip("/"),
            env={**self.environment, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, arguments: Sequence[str], **environment: str) -> tuple[int, str, str]:
        """Exit code, output and errors of a command in the container."""
        process = self.start(arguments, **environment)
        said, told = process.communicate(timeout=60)
        return process.returncode, said, told


@pytest.fixture
def image(tmp_path: Path, bundle: Bundle) -> Image:
    """The last stage, as its instructions make it. The builder's part is links to the very packages it installs."""
    context, root = tmp_path / "context", tmp_path / "root"
    save(bundle, context / paths.CHAMPION)
    for words in copies(last_stage()):
        place = root / workdir().lstrip("/") / words[-1]
        place.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / words[0], place)
    shutil.copytree(context / paths.CHAMPION, root / workdir().lstrip("/") / paths.CHAMPION)
    install(root / "opt/venv")
    (root / "tmp").mkdir()
    state = root / "var/lib/churn-drift"
    state.mkdir(parents=True)
    state.chmod(0o700)
    declared = [shlex.split(words) for name, words in last_stage() if name == "ENV"]
    environment = dict(word.split("=", 1) for words in declared for word in words)
    for prefix in PLACES:
        environment = {name: value.replace(prefix, f"{root}{prefix}") for name, value in environment.items()}
    environment["PATH"] = environment["PATH"].replace("$PATH", "/usr/bin:/bin")
    return Image(root, {**environment, "TMPDIR": str(root / "tmp"), "PORT": free_port()})


def test_the_image_serves_with_its_own_packages_its_own_key_and_its_own_health_check(image: Image) -> None:
    made, key, _ = image.run(["churn-drift", "keys", "add", "crm"])
    assert made == 0
    keys = Path(image.environment["SERVE_KEYS"])
    assert (stat.S_IMODE(keys.stat().st_mode), key.strip() in keys.read_text()) == (0o600, False)
    with served(image, command(), SERVE_HOST="127.0.0.1") as server:
        assert image.run(health_check())[0] == 0
        assert [ask(server, key=given) for given in ("", "cd_crm_wrong", key.strip())] == [401, 401, 200]
        rows = "CustomerID,MonthsInService\n3000002,11\n"
        assert ask(server, key=key.strip(), path="/predict/batch", body=rows, kind="text/csv") == 200
        assert "churn-drift" in get(server, "/docs")
        assert server.stop() == 0
    assert image.run(health_check())[0] == 1


def test_an_image_that_others_can_reach_does_not_start_without_a_key(image: Image) -> None:
    code, _, told = image.run(command())
    assert code == 2
    assert "no living key" in told
    assert "`churn-drift keys add NAME` makes one" in told


def test_systemd_finds_nothing_wrong_with_the_unit_and_little_that_it_leaves_open(tmp_path: Path) -> None:
    unit = tmp_path / UNIT.name
    unit.write_text(UNIT.read_text().replace("/opt/churn-drift/.venv/bin/python", sys.executable))
    verified = analyze("verify", str(unit))
    assert (verified.returncode, verified.stderr) == (0, "")
    judged = analyze("security", "--offline=true", "--threshold=13", str(unit))
    assert judged.returncode == 0, judged.stdout


def test_the_unit_waits_longer_for_the_end_than_the_server_for_its_requests() -> None:
    source = (ROOT / "src/churn_drift/serving/server.py").read_text()
    graceful = re.search(r'"graceful_timeout": (\d+)', source)
    assert graceful
    assert int(settings()["TimeoutStopSec"]) > int(graceful[1])


def test_the_unit_s_server_tells_systemd_when_it_is_ready_and_ends_under_a_client_that_only_waits(
    place: Path, tmp_path: Path
) -> None:
    told = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(told))
        systemd.settimeout(60)
        process = subprocess.Popen(
            [sys.executable, *shlex.split(settings()["ExecStart"])[1:]],
            env={**os.environ, **unit_environment(tmp_path), "PORT": "0", "NOTIFY_SOCKET": str(told)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            server = Server(process)
            assert systemd.recv(1000).startswith(b"READY=1\n")
            waiting = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
            waiting.request("GET", "/health")
            assert waiting.getresponse().read()
            process.send_signal(signal.Signals[settings()["KillSignal"]])
            assert process.wait(20) == 0
            waiting.close()
        finally:
            end(process)


def test_the_example_of_the_environment_sets_what_the_server_knows() -> None:
    known = parser("x").format_help()
    named = re.findall(r"^#?([A-Z_]+)=", (DEPLOY / "serve.env.example").read_text(), re.MULTILINE)
    assert "WEB_CONCURRENCY" in named
    assert [name for name in named if not re.search(rf"\b{name}\b", known)] == []


@contextlib.contextmanager
def served(image: Image, arguments: Sequence[str], **environment: str) -> Iterator[Server]:
    process = image.start(arguments, **environment)
    try:
        yield Server(process)
    finally:
        end(process)


def ask(server: Server, *, key: str, path: str = "/predict", body: str = CRAFTS, kind: str = "application/json") -> int:
    headers = {"Content-Type": kind, **({"Authorization": f"Bearer {key}"} if key else {})}
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)) as connection:
        connection.request("POST", path, body=body, headers=headers)
        return connection.getresponse().status


def instructions() -> list[tuple[str, str]]:
    """Of the Dockerfile: each one's name and the rest of it, on one line."""
    text = re.sub(r"^#.*\n", "", (ROOT / "Dockerfile").read_text(), flags=re.MULTILINE).replace("\\\n", " ")
    return [(line.split()[0], line.split(maxsplit=1)[1]) for line in text.splitlines() if line.strip()]


def last_stage() -> list[tuple[str, str]]:
    found = instructions()
    return found[max(place for place, (name, _) in enumerate(found) if name == "FROM") :]


def copies(stage: Sequence[tuple[str, str]]) -> list[list[str]]:
    """What is copied out of the build's context: sources, then the destination."""
    return [words.split() for name, words in stage if name == "COPY" and not words.startswith("--from=")]


def workdir() -> str:
    return next(words for name, words in last_stage() if name == "WORKDIR")


def command() -> list[str]:
    arguments: list[str] = json.loads(dict(last_stage())["CMD"])
    return arguments


def health_check() -> list[str]:
    words = dict(last_stage())["HEALTHCHECK"]
    arguments: list[str] = json.loads(words[words.index("CMD ") + len("CMD ") :])
    return arguments


def install(venv: Path) -> None:
    """What the builder's two `pip install` lay there, as links, and a Python that sees nothing else."""
    packages = venv / "lib"
    packages.mkdir(parents=True)
    for name in [*pins(DEPLOY / "requirements.txt"), "churn-drift"]:
        for file in metadata.files(name) or ():
            top = file.parts[0]
            if top != ".." and not (packages / top).is_symlink() and "editable" not in top and not top.endswith(".pth"):
                (packages / top).symlink_to(Path(str(metadata.distribution(name).locate_file(top))))
    (packages / "churn_drift").symlink_to(ROOT / "src/churn_drift")
    scripts = {
        "python": f'#!/bin/sh\nPYTHONPATH={packages} exec {sys.executable} -S "$@"\n',
        "churn-drift": f"#!/bin/sh\nexec {venv}/bin/python -c "
        "'import sys; from churn_drift.cli import main; sys.exit(main())' \"$@\"\n",
    }
    (venv / "bin").mkdir()
    for name, text in scripts.items():
        (venv / "bin" / name).write_text(text)
        (venv / "bin" / name).chmod(0o755)


def pins(file: Path) -> dict[str, str]:
    found = [Requirement(line.split("#")[0]) for line in lines(file) if "==" in line]
    return {canonicalize_name(one.name): str(one.specifier).removeprefix("==") for one in found}


def lines(file: Path) -> list[str]:
    return [line for line in file.read_text().splitlines() if line.strip() and not line.lstrip().startswith("#")]


def free_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


def settings() -> dict[str, str]:
    """The unit's settings; of one that stands twice, the last."""
    return dict(line.split("=", 1) for line in lines(UNIT) if "=" in line)


def unit_environment(folder: Path) -> dict[str, str]:
    """What the unit sets, with its state in a folder of the test's."""
    declared = [line.split("=", 1)[1] for line in lines(UNIT) if line.startswith("Environment=")]
    return dict(
        word.replace("/var/lib/churn-drift", str(folder / "state")).split("=", 1)
        for words in declared
        for word in words.split()
    )


def analyze(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["systemd-analyze", *arguments], capture_output=True, text=True, check=False)
