"""`python serve-model.py` as a process: what it serves, what it refuses, how it ends."""

import contextlib
import gzip
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from churn_drift import paths
from churn_drift.errors import ConfigError, VersionError
from churn_drift.model.bundle import MODEL, Bundle, save, version_of
from churn_drift.serving import seat as places
from churn_drift.serving.server import main, parser
from churn_drift.serving.settings import Settings, from_environment
from churn_drift.tracking import ledger
from churn_drift.tracking.pin import install
from tests.serving.conftest import Server, command, end, until
from tests.serving.test_reload import CRAFTS, ask, get
from tests.tracking.conftest import git, start

Serve = Callable[..., Server]


def test_the_defaults_listen_on_this_machine_only() -> None:
    assert from_environment({}) == Settings(host="127.0.0.1", port=8080, workers=2)


@pytest.mark.parametrize(
    ("name", "said"), [("PORT", "http"), ("PORT", "70000"), ("WEB_CONCURRENCY", "0"), ("SERVE_MAX_ROWS", "-1")]
)
def test_a_setting_that_is_out_of_range_is_refused_by_name(name: str, said: str) -> None:
    with pytest.raises(ConfigError, match=f"{name}: '{said}' is no whole number"):
        from_environment({name: said})


@pytest.mark.parametrize("name", ["SERVE_AUTH", "SERVE_LOG_FORMAT", "SERVE_ACCESS_LOG"])
def test_a_setting_that_is_no_known_word_is_refused_by_name(name: str) -> None:
    with pytest.raises(ConfigError, match=f"{name}: 'none' is none of "):
        from_environment({name: "none"})


def test_no_more_customers_are_explained_than_are_taken_at_all() -> None:
    chosen = from_environment({"SERVE_MAX_RECORDS": "5"})
    assert (chosen.max_records, chosen.max_explained) == (5, 5)
    assert from_environment({"SERVE_MAX_RECORDS": "5000"}).max_explained == Settings().max_explained


def test_every_setting_is_explained_in_the_example_file(repository: Path) -> None:
    told = (repository / ".env.example").read_text()
    asked: list[str] = []

    class Asked(dict[str, str]):
        def get(self, name: str, default: str = "") -> str:  # type: ignore[override]
            asked.append(name)
            return default

    from_environment(Asked())
    assert [name for name in asked if f"#{name}=" not in told] == []
    assert [name for name in asked if name not in parser("x").epilog] == []  # type: ignore[operator]


def test_an_altered_model_is_refused_with_the_command_that_mends_it(
    place: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.delenv("PROMETHEUS_MULTIPROC_DIR", raising=False)
    content = bytearray((paths.CHAMPION / MODEL).read_bytes())
    content[100] ^= 1
    (paths.CHAMPION / MODEL).write_bytes(content)
    done = subprocess.run([sys.executable, "serve-model.py"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "model.ubj was altered" in done.stderr
    assert "`dvc checkout --force models/champion` brings the pinned model back" in done.stderr
    assert "Traceback" not in done.stderr


def test_model_and_as_of_exclude_each_other(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--model", "abcd", "--as-of", "HEAD"])
    assert ended.value.code == 2


def test_a_port_that_is_taken_is_told_in_one_line(place: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        process = command("--port", str(port))
        assert process.stderr is not None
        said = process.stderr.read().splitlines()
        end(process)
    assert process.returncode == 1
    assert said[-1].startswith(f"error: 127.0.0.1:{port}: Address already in use; end who listens there")
    assert not [line for line in said if "gunicorn" in line]


def test_it_finds_the_repository_from_a_folder_below_and_by_where_it_lies_itself(
    tmp_path: Path, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, below = tmp_path / "home", tmp_path / "home/src/deep"
    below.mkdir(parents=True)
    (tmp_path / "elsewhere").mkdir()
    for name in ("dvc.yaml", "params.yaml"):
        (home / name).touch()
    (home / ".env").write_text("PORT=found\n")
    shutil.copy(repository / "serve-model.py", home)
    monkeypatch.delenv("PORT", raising=False)
    for folder in (below, tmp_path / "elsewhere"):
        command = [sys.executable, str(home / "serve-model.py")]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        assert "error: PORT: 'found' is no whole number" in done.stderr


def test_an_older_version_and_that_of_a_revision_are_served_on_purpose_and_kept(
    tmp_path: Path, repository: Path, monkeypatch: pytest.MonkeyPatch, serve: Serve, bundle: Bundle, other: Bundle
) -> None:
    folder = start(tmp_path, monkeypatch)
    shutil.copy(repository / "serve-model.py", folder)
    versions = [champion(bundle, "First"), champion(other, "Second")]
    assert versions[0] != versions[1]
    assert places.champion().version == versions[1]
    assert places.named(versions[0][:6]).version == versions[0]
    server = serve("--as-of", "HEAD~1", WEB_CONCURRENCY="1")
    assert json.loads(get(server, "/ready"))["version"] == versions[0]
    save(other, paths.CHAMPION)
    assert not until(lambda: json.loads(get(server, "/ready"))["version"] != versions[0], seconds=2.5)


def test_a_promotion_by_dvc_reaches_a_running_server_without_an_alarm(
    tmp_path: Path, repository: Path, monkeypatch: pytest.MonkeyPatch, serve: Serve, bundle: Bundle, other: Bundle
) -> None:
    folder = start(tmp_path, monkeypatch)
    shutil.copy(repository / "serve-model.py", folder)
    install(bundle)
    server = serve(WEB_CONCURRENCY="1")
    promotion = threading.Thread(target=install, args=(other,))
    promotion.start()
    states = [json.loads(get(server, "/ready")) for _ in iter(promotion.is_alive, False)]
    promotion.join()
    assert until(lambda: json.loads(get(server, "/ready"))["version"] == version_of(paths.CHAMPION), seconds=10)
    assert [state["alarm"] for state in states if "alarm" in state] == []


def champion(bundle: Bundle, message: str) -> str:
    """Promoted, with its line, and committed."""
    hashed, version = install(bundle), version_of(paths.CHAMPION)
    ledger.append({"at": "2026-11-23T12:00:00+00:00", "version": version, "pin": hashed}, paths.LEDGER)
    git("add", "models")
    git("-c", "user.name=t", "-c", "user.email=t@t", "commit", "--quiet", "--message", message)
    return version


def test_a_revision_without_a_champion_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bundle: Bundle
) -> None:
    start(tmp_path, monkeypatch)
    with pytest.raises(VersionError, match="HEAD: no champion yet in it"):
        places.as_of("HEAD")
    with pytest.raises(VersionError, match="v9: git knows no such revision"):
        places.as_of("v9")


def test_workers_that_die_are_replaced_and_what_they_counted_is_kept(place: Path, serve: Serve) -> None:
    server = serve()
    ask(server)
    version = version_of(paths.CHAMPION)
    serving = f'churn_drift_model_workers{{version="{version}"}}'
    assert until(lambda: f"{serving} 2.0" in get(server, "/metrics"), seconds=20)  # one that boots hears no signal
    before = set(workers(server))
    for worker in before:
        os.kill(worker, signal.SIGTERM)
    assert until(lambda: len(set(workers(server)) - before) == 2, seconds=20)
    assert until(lambda: f"{serving} 2.0" in get(server, "/metrics"), seconds=20)
    assert not until(lambda: f"{serving} 2.0" not in get(server, "/metrics"), seconds=1.5)
    assert 'churn_drift_requests_total{method="POST",route="/predict",status="200"} 1.0' in get(server, "/metrics")


def test_a_request_that_is_being_answered_is_finished_before_the_end(place: Path, serve: Serve) -> None:
    server = serve(WEB_CONCURRENCY="1")
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    connection.putrequest("POST", "/predict")
    connection.putheader("Content-Type", "application/json")
    connection.putheader("Content-Length", str(len(CRAFTS)))
    connection.endheaders(CRAFTS[:5].encode())
    assert until(lambda: "alive" in get(server, "/health"), seconds=5)
    server.process.send_signal(signal.SIGTERM)
    threading.Event().wait(0.5)
    connection.send(CRAFTS[5:].encode())
    assert connection.getresponse().status == 200
    connection.close()
    assert server.process.wait(30) == 0


def test_the_end_leaves_no_process_and_no_folder(place: Path, serve: Serve, tmp_path: Path) -> None:
    scratch = tmp_path / "tmp"
    scratch.mkdir()
    server = serve(TMPDIR=str(scratch))
    children = workers(server)
    assert [path.name.startswith("churn-drift-metrics-") for path in scratch.iterdir()] == [True]
    assert server.stop() == 0
    assert not any(Path(f"/proc/{child}").exists() for child in children)
    assert list(scratch.iterdir()) == []


def test_a_body_over_the_limit_is_refused_however_it_is_sent(place: Path, serve: Serve) -> None:
    server = serve(WEB_CONCURRENCY="1", SERVE_MAX_BODY_MB="1")
    big = b'[{"MonthsInService": 3}' + b" " * 10_000_000 + b"]"
    plain = {"Content-Type": "application/json"}
    assert send(server, big, plain) == 413
    assert send(server, iter([big[place : place + 65536] for place in range(0, len(big), 65536)]), plain) == 413
    assert send(server, gzip.compress(big), {**plain, "Content-Encoding": "gzip"}) == 413
    assert send(server, big, {"Content-Type": "text/plain"}) == 415
    assert send(server, b"[" + b"{}," * 100_000 + b"{}]", plain) == 413
    assert send(server, CRAFTS.encode(), plain) == 200


def send(server: Server, content: object, headers: dict[str, str]) -> int:
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)) as connection:
        connection.request("POST", "/predict", body=content, headers=headers)  # type: ignore[arg-type]
        return connection.getresponse().status


def workers(server: Server) -> list[int]:
    """The processes that it forked."""
    told = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children").read_text()
    return [int(child) for child in told.split()]


def test_help_is_printed_before_anything_heavy_is_loaded(repository: Path) -> None:
    code = (
        "import sys\nfrom churn_drift.serving.server import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit:\n"
        "    print('heavy:', [n for n in ('numpy', 'flask', 'xgboost', 'pandas', 'gunicorn') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.endswith("heavy: []\n")
    assert parser("x").parse_args([]).model is None
