"""Small DVC repositories, real S3 servers, and what tells whether bytes are the same."""

import hashlib
import json
import random
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config

from scripts.s3_server import REGION, Server, free_port, serve
from tests.contracts.reach import ROOT
from tests.end_to_end.repository import Repository

BUCKET = "churn-drift"
URL = f"s3://{BUCKET}/dvc"
FILES, SIZE = 30, 200_000
AT_ONCE = {"AWS_MAX_ATTEMPTS": "1"}
"""botocore asks a server that does not answer once, not five times."""

CONFIG = f"""\
[core]
    analytics = false
    check_update = false
    remote = s3
['remote "local"']
    url = ../../churn-drift-remote
['remote "s3"']
    url = {URL}
"""


@dataclass(frozen=True)
class Clone(Repository):
    """A checkout and a user with these settings, and no others of this machine's."""

    settings: Mapping[str, str] = field(default_factory=dict)

    def environment(self, **env: str) -> dict[str, str]:
        own = ("AWS_", "MLFLOW_", "USE_AWS", "S3_BUCKET")
        inherited = {k: v for k, v in super().environment().items() if not k.startswith(own)}
        beside = self.root.parent
        isolated = {
            "DVC_GLOBAL_CONFIG_DIR": str(beside / "global"),
            "DVC_SYSTEM_CONFIG_DIR": str(beside / "system"),
            "DVC_SITE_CACHE_DIR": str(beside / f"{self.root.name}-site"),
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_SHARED_CREDENTIALS_FILE": str(beside / "not-there"),
            "AWS_CONFIG_FILE": str(beside / "not-there"),
        }
        return {**inherited, **isolated, **self.settings, **env}

    def dvc(self, *arguments: str, code: int = 0, **env: str) -> str:
        return self.run("dvc", *arguments, code=code, **env)

    def start(self, *arguments: str, **env: str) -> subprocess.Popen[str]:
        """A DVC command that goes on beside the test."""
        command, streams = ("dvc", *arguments), {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        return subprocess.Popen(command, cwd=self.root, env=self.environment(**env), text=True, **streams)

    def doctor(self, *, code: int, **env: str) -> dict[str, str]:
        """What the doctor says, by check."""
        lines = self.run("churn-drift", "doctor", code=code, **env).splitlines()[:-1]
        return {line.split()[1]: " ".join(line.split()) for line in lines}

    def clone(self, folder: Path) -> "Clone":
        """What git gives to a second user: no cache, nothing of config.local."""
        self.run("git", "clone", "--quiet", ".", str(folder))
        return replace(self, root=folder)

    @property
    def data(self) -> dict[str, str]:
        """The checksum of each data file in the workspace."""
        return checksums(self.root / "data")

    @property
    def cache(self) -> dict[str, str]:
        """The checksum of each object in DVC's cache, by the name that should be its checksum."""
        return objects(self.root / ".dvc" / "cache")


def checksums(folder: Path, prefix: str = "") -> dict[str, str]:
    """By name below the folder, after the prefix."""
    files = [file for file in folder.rglob("*") if file.is_file()]
    return {prefix + file.relative_to(folder).as_posix(): md5(file.read_bytes()) for file in files}


def md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def objects(store: Path) -> dict[str, str]:
    """The checksum of each object of a cache or of a remote in a folder, by the name that should be its checksum."""
    return named(checksums(store / "files" / "md5"))


def named(objects: Mapping[str, str]) -> dict[str, str]:
    """DVC's ab/cdef… and ab/cdef….dir as the checksum that they promise."""
    return {name.removesuffix(".dir").replace("/", ""): checksum for name, checksum in objects.items()}


def intact(objects: Mapping[str, str]) -> bool:
    """Whether each object is what its name says."""
    return all(name == checksum for name, checksum in objects.items())


def client(settings: Mapping[str, str], *, service: str = "s3", attempts: int = 3) -> Any:
    return boto3.client(
        service,
        endpoint_url=settings["AWS_ENDPOINT_URL"],
        aws_access_key_id=settings["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=settings["AWS_SECRET_ACCESS_KEY"],
        region_name=settings["AWS_DEFAULT_REGION"],
        config=Config(retries={"total_max_attempts": attempts}),
    )


def stored(settings: Mapping[str, str], bucket: str = BUCKET) -> dict[str, str]:
    """The checksum of each object of the remote, by the name that should be its checksum."""
    s3 = client(settings)
    listed = [entry["Key"] for entry in s3.list_objects_v2(Bucket=bucket).get("Contents", [])]
    bodies = {key: s3.get_object(Bucket=bucket, Key=key)["Body"].read() for key in listed}
    return named({key.removeprefix("dvc/files/md5/"): md5(body) for key, body in bodies.items()})


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Clone:
    """A committed repository whose data only its own cache has; nobody changes it."""
    clone = Clone(tmp_path_factory.mktemp("template") / "repository")
    (clone.root / ".dvc").mkdir(parents=True)
    (clone.root / ".dvc" / "config").write_text(CONFIG)
    shutil.copy2(ROOT / ".dvc" / ".gitignore", clone.root / ".dvc")
    shutil.copy2(ROOT / "pyproject.toml", clone.root)
    (clone.root / "dvc.yaml").write_text("stages: {}\n")
    (clone.root / "params.yaml").write_text("{}\n")
    (clone.root / "data").mkdir()
    noise = random.Random(3)
    for number in range(FILES):
        (clone.root / "data" / f"{number:02}.bin").write_bytes(noise.randbytes(SIZE))
    clone.run("git", "init", "--quiet", "--initial-branch=main")
    clone.dvc("add", "--quiet", "data")
    clone.commit("Start")
    return clone


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """An S3 server with one empty bucket."""
    with serve(tmp_path / "s3") as server:
        server.create_bucket(BUCKET)
        yield server


@pytest.fixture
def user(template: Clone, server: Server, tmp_path: Path) -> Clone:
    """A user who has made data, has pushed nothing yet, and has the server's credentials in the environment."""
    return copied(template, tmp_path / "user", server.environment())


def copied(template: Clone, folder: Path, settings: Mapping[str, str]) -> Clone:
    shutil.copytree(template.root, folder, symlinks=True)
    return Clone(folder, settings)


SLOW_CLOCK = "import time; real = time.time; time.time = lambda: real() - {behind}; "


@contextmanager
def moto(folder: Path, *, behind: int = 0) -> Iterator[dict[str, str]]:
    """A second implementation of S3, and of IAM: settings of its owner; behind: seconds that its clock is slow."""
    port = free_port()
    program = SLOW_CLOCK.format(behind=behind) + "from moto.server import main; main()"
    command = [sys.executable, "-c", program, "-H", "127.0.0.1", "-p", str(port)]
    with (folder / "moto.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        wait_for(lambda: answers(f"http://127.0.0.1:{port}/moto-api/"))
        yield {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
            "AWS_ACCESS_KEY_ID": "owner",
            "AWS_SECRET_ACCESS_KEY": "owner-secret",
            "AWS_DEFAULT_REGION": REGION,
        }
    finally:
        process.terminate()
        process.wait()


def wait_for(true: Callable[[], bool], *, seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(address, timeout=2):
            return True
    except OSError:
        return False


def iam_user(owner: Mapping[str, str], *actions: str) -> dict[str, str]:
    """Settings of a user of moto's who may do these and nothing else, once moto enforces that."""
    iam = client(owner, service="iam")
    name = f"user-{len(iam.list_users()['Users'])}"
    iam.create_user(UserName=name)
    key = iam.create_access_key(UserName=name)["AccessKey"]
    allowed = {"Effect": "Allow", "Action": [f"s3:{action}" for action in actions], "Resource": "*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
    iam.put_user_policy(UserName=name, PolicyName="allowed", PolicyDocument=policy)
    return {**owner, "AWS_ACCESS_KEY_ID": key["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"]}


def enforce(owner: Mapping[str, str]) -> None:
    """From now on moto checks keys, signatures and permissions."""
    address = f"{owner['AWS_ENDPOINT_URL']}/moto-api/reset-auth"
    request = urllib.request.Request(address, data=b"0", headers={"Content-Type": "text/plain"}, method="POST")
    with urllib.request.urlopen(request, timeout=10):
        pass
