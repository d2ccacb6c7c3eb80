"""AWS's side of a Lambda, without AWS: the real runtime client runs the unzipped zip, and asks us for its events.

https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
"""

import json
import os
import queue
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from scripts import build_lambda
from tests.contracts.reach import ROOT

HANDLER = "churn_drift.aws.lambda_handler.handler"
PROVIDED = (
    "awslambdaric",
    "boto3",
    "botocore",
    "dateutil",
    "jmespath",
    "runtime_client.cpython-311-x86_64-linux-gnu.so",
    "s3transfer",
    "simplejson",
    "six.py",
    "snapshot_restore_py.py",
    "urllib3",
)
"""What AWS's runtime has beside the standard library."""

SECONDS = 60
"""Of an invocation, and of the wait for one."""


@dataclass
class Answer:
    """How an invocation ended."""

    outcome: str
    body: Any


@dataclass
class Mailbox:
    """Events that wait for the function, and its answers."""

    waiting: queue.Queue[tuple[str, bytes]] = field(default_factory=queue.Queue)
    answers: queue.Queue[tuple[str, str, bytes]] = field(default_factory=queue.Queue)


class Function:
    """A running function."""

    def __init__(self, mailbox: Mailbox, process: subprocess.Popen[bytes], log: Path) -> None:
        self._mailbox, self._process, self._log, self._number = mailbox, process, log, 0

    def invoke(self, event: object) -> Answer:
        """The answer to one event, success or error."""
        self.begin(event)
        return self.answer()

    def begin(self, event: object) -> None:
        """Hand an event over without waiting."""
        self._number += 1
        self._mailbox.waiting.put((f"request-{self._number}", json.dumps(event).encode()))

    def answer(self) -> Answer:
        """The next answer."""
        try:
            _, outcome, body = self._mailbox.answers.get(timeout=SECONDS)
        except queue.Empty:
            raise AssertionError(f"no answer; the log:\n{self._log.read_text()}") from None
        return Answer(outcome, json.loads(body))

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    @property
    def lines(self) -> list[dict[str, Any]]:
        """What it has logged, and what it should not have printed beside."""
        return [json.loads(line) for line in self._log.read_text().splitlines() if line]


def unzipped(folder: Path) -> None:
    """Build the zip, and unpack it as AWS does."""
    built = build_lambda.build(folder / "lambda.zip", cache=ROOT / ".cache/lambda")
    (folder / "built.json").write_text(json.dumps({"unzipped": built.unzipped, "zipped": built.zipped}))
    with zipfile.ZipFile(built.path) as archive:
        archive.extractall(folder / "task")
    runtime = folder / "runtime"
    runtime.mkdir()
    packages = next(Path(path) for path in sys.path if path.endswith("site-packages"))
    for name in PROVIDED:
        (runtime / name).symlink_to(packages / name)


def python(package: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """A Python with what AWS's runtime has and the zip, and nothing else of this machine."""
    return subprocess.run(
        [sys.executable, "-S", "-B", *arguments],
        cwd=package / "task",
        env=_environment(package, environment),
        capture_output=True,
        text=True,
        check=False,
    )


@contextmanager
def running(package: Path, folder: Path, settings: Mapping[str, str]) -> Iterator[Function]:
    """The function in AWS's runtime client, with these variables."""
    mailbox = Mailbox()
    server = _Server(("127.0.0.1", 0), _api(mailbox))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    log = folder / f"lambda-{server.server_port}.log"
    with log.open("wb") as stream:
        process = subprocess.Popen(
            [sys.executable, "-S", "-B", "-m", "awslambdaric", HANDLER],
            cwd=package / "task",
            env=_environment(package, {**settings, "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{server.server_port}"}),
            stdout=stream,
            stderr=stream,
        )
    try:
        yield Function(mailbox, process, log)
    finally:
        process.kill()
        process.wait()
        server.shutdown()
        server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """The function was killed while it waited: not a fault."""


def _environment(package: Path, settings: Mapping[str, str]) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": f"{package / 'task'}{os.pathsep}{package / 'runtime'}",
        "LAMBDA_TASK_ROOT": str(package / "task"),
        "AWS_LAMBDA_FUNCTION_NAME": "churn-drift",
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "1769",
        "AWS_LAMBDA_LOG_FORMAT": "JSON",
        "AWS_LAMBDA_LOG_LEVEL": "INFO",
        "AWS_EC2_METADATA_DISABLED": "true",
        **settings,
    }


def _api(mailbox: Mailbox) -> type[BaseHTTPRequestHandler]:
    class Api(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            request, body = mailbox.waiting.get()
            self.send_response(200)
            for name, value in {
                "Content-Type": "application/json",
                "Content-Length": str(len(body)),
                "Lambda-Runtime-Aws-Request-Id": request,
                "Lambda-Runtime-Deadline-Ms": str(int((time.time() + 180) * 1000)),
                "Lambda-Runtime-Invoked-Function-Arn": "arn:aws:lambda:us-east-1:123456789012:function:churn-drift",
            }.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(202)
            self.send_header("Content-Length", "0")
            self.end_headers()
            outcome = self.path.rpartition("/")[2]
            mailbox.answers.put((self.path, outcome, body))

        def log_message(self, format: str, *values: object) -> None:  # noqa: A002
            pass

    return Api
