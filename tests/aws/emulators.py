"""moto's server for S3, EC2 and SSM, our stand-in for SageMaker, and a proxy that refuses requests before it."""

import contextlib
import os
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.aws.fake_sagemaker import FakeSageMaker, served
from tests.remote.conftest import client, moto

BUCKET = "churn-drift"
SLOW_DOWN = "<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"
REQUEST_LIMIT = (
    "<Response><Errors><Error><Code>RequestLimitExceeded</Code><Message>Request limit exceeded.</Message></Error>"
    "</Errors><RequestID>x</RequestID></Response>"
)


@dataclass(frozen=True)
class World:
    """Where AWS is, here.

    settings  variables that point boto3 at it
    sagemaker the state of the stand-in
    """

    settings: dict[str, str]
    sagemaker: FakeSageMaker

    def client(self, service: str) -> Any:
        return client(self.settings, service=service)

    def enter(self, patch: pytest.MonkeyPatch) -> None:
        """The environment of a user who has these settings and no others of AWS."""
        for name in [*os.environ]:
            if name.startswith(("AWS_", "SAGEMAKER_", "RETRAIN_", "EC2_")):
                patch.delenv(name)
        for name, value in self.settings.items():
            patch.setenv(name, value)


@contextlib.contextmanager
def world(folder: Path) -> Iterator[World]:
    with moto(folder) as owner:
        s3 = client(owner)
        s3.create_bucket(Bucket=BUCKET)
        fake = FakeSageMaker(s3, folder)
        with served(fake) as address:
            settings = {
                **owner,
                "AWS_ENDPOINT_URL_SAGEMAKER": address,
                "AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME": address,
                "AWS_EC2_METADATA_DISABLED": "true",
                "AWS_SHARED_CREDENTIALS_FILE": str(folder / "not-there"),
                "AWS_CONFIG_FILE": str(folder / "not-there"),
                "AWS_MAX_ATTEMPTS": "3",
                "S3_BUCKET": BUCKET,
            }
            yield World(settings, fake)


@dataclass
class Refusals:
    """What the proxy answers instead of the server: a status and a body for each of the next requests of a method.

    after  the server has done what it was asked for
    """

    method: str = "POST"
    waiting: list[tuple[int, str]] = field(default_factory=list)
    after: bool = False
    refused: int = 0


@contextlib.contextmanager
def refusing(target: str, refusals: Refusals) -> Iterator[str]:
    """An address in front of a server's."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            refusal = refusals.waiting.pop(0) if self.command == refusals.method and refusals.waiting else None
            refusals.refused += refusal is not None
            if refusal and not refusals.after:
                self._answer(*refusal)
                return
            request = urllib.request.Request(
                target + self.path, data=body or None, headers=dict(self.headers), method=self.command
            )
            try:
                with urllib.request.urlopen(request, timeout=30) as answer:
                    told = (answer.status, answer.read(), dict(answer.headers))
                self._answer(*(refusal or told))
            except urllib.error.HTTPError as error:
                with error:
                    self._answer(error.code, error.read(), dict(error.headers))

        do_POST = do_PUT = do_HEAD = do_GET  # noqa: N815  the names that http.server calls

        def _answer(self, status: int, body: str | bytes, headers: dict[str, str] | None = None) -> None:
            content = body.encode() if isinstance(body, str) else body
            self.send_response_only(status)
            skipped = ("content-length", "connection", "transfer-encoding")
            for name, value in (headers or {"Content-Type": "text/xml"}).items():
                if name.lower() not in skipped:
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)

        def log_message(self, *told: object) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
