"""`make s3`: a server that anyone can start, use from another terminal, stop and find again."""

import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import boto3
import pytest

from scripts.s3_server import serve
from tests.contracts.reach import ROOT
from tests.remote.conftest import BUCKET, client


@contextmanager
def started(folder: Path) -> Iterator[tuple[subprocess.Popen[str], list[str]]]:
    """The script as `make s3` runs it, and what it prints to be pasted; it gets Ctrl-C in the end."""
    command = [sys.executable, str(ROOT / "scripts" / "s3_server.py"), "--folder", str(folder), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=folder.parent) as process:
        assert process.stdout
        try:
            yield process, [line.strip() for line, _ in zip(process.stdout, range(6), strict=False)]
            process.send_signal(signal.SIGINT)
            assert "keeps what was stored" in process.communicate(timeout=20)[0]
            assert process.returncode == 0
        finally:
            process.terminate()


def test_the_lines_it_prints_are_all_that_a_client_needs_and_the_next_start_finds_everything(tmp_path, monkeypatch):
    for content in (b"first", b"second"):
        with started(tmp_path / "s3") as (_, lines):
            assert lines[-1] == "churn-drift remote s3"
            settings = dict(line.removeprefix("export ").split("=", 1) for line in lines[:-1])
            assert settings["S3_BUCKET"] == BUCKET
            for name, value in settings.items():
                monkeypatch.setenv(name, value)
            s3 = boto3.session.Session().client("s3")  # the default one may hold an earlier test's keys
            if content == b"second":
                assert s3.get_object(Bucket=BUCKET, Key="first")["Body"].read() == b"first"
            s3.put_object(Bucket=BUCKET, Key=content.decode(), Body=content)
            port = int(settings["AWS_ENDPOINT_URL"].rpartition(":")[2])
        with pytest.raises(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port)):
            pass


def test_nothing_is_written_outside_its_folder(tmp_path):
    with started(tmp_path / "s3"):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["s3"]


def test_a_port_that_is_taken_is_told(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with (
            pytest.raises(RuntimeError, match=f"port {port}: Address already in use; name another with --port"),
            serve(tmp_path / "s3", port=port),
        ):
            pass


def test_what_a_killed_server_had_acknowledged_is_there_after_the_next_start(tmp_path):
    with serve(tmp_path / "s3") as server:
        server.create_bucket(BUCKET)
        client(server.environment()).put_object(Bucket=BUCKET, Key="key", Body=b"content")
        server.kill()
        server.start()
        assert client(server.environment()).get_object(Bucket=BUCKET, Key="key")["Body"].read() == b"content"
