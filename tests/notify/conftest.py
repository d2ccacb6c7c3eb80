"""A receiver of webhooks over real HTTP, whose answers a test chooses."""

import http.server
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from churn_drift.ports import Message

HANG = 0
"""A status: the request is read and never answered."""


@dataclass
class Receiver:
    """What came, and what is answered to what comes next; 200 once that is used up."""

    url: str = ""
    answers: list[int] = field(default_factory=list)
    location: str = ""
    got: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)

    @property
    def keys(self) -> list[str]:
        return [document["key"] for document in self.got]


@contextmanager
def receiving() -> Iterator[Receiver]:
    receiver, over = Receiver(), threading.Event()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            receiver.got.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            receiver.headers.append(dict(self.headers))
            status = receiver.answers.pop(0) if receiver.answers else 200
            if status == HANG:
                over.wait(30)
                return
            self.send_response(status)
            if receiver.location:
                self.send_header("Location", receiver.location)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def do_GET(self) -> None:
            receiver.got.append({"key": "GET"})
            self.send_error(405)

        def log_message(self, *_: object) -> None:
            pass

    class Server(http.server.ThreadingHTTPServer):
        block_on_close = False

    with Server(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        receiver.url = f"http://127.0.0.1:{server.server_address[1]}/services/T0/B0/the-secret"
        yield receiver
        over.set()
        server.shutdown()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


@pytest.fixture
def message() -> Callable[..., Message]:
    def made(key: str = "drift-7", *, title: str = "Batch 7 has drifted", **facts: str) -> Message:
        return Message("drift", key, title, facts or {"share": "31 %"}, "reports/drift_check")

    return made
