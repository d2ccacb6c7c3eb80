"""A small model in a folder, an application around it, and a real server in a process tree of its own."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from churn_drift import paths
from churn_drift.config import Train
from churn_drift.drift import fit_bins, profile, to_json
from churn_drift.model.bundle import Bundle, save
from churn_drift.model.train import fit, pack
from churn_drift.serving.app import create_app
from churn_drift.serving.gate import Gate
from churn_drift.serving.metrics import Metrics
from churn_drift.serving.model import ServedModel
from churn_drift.serving.seat import Seat
from churn_drift.serving.settings import Settings
from tests.model.test_train import SETTINGS, customers

SMALL = Settings(max_body=20_000, max_records=20, max_explained=3, max_batch=200_000, max_rows=300)
"""Limits that a test reaches quickly."""

OPEN = Gate(SMALL, keyed=False)


def fitted(seed: int, settings: Train = SETTINGS) -> Bundle:
    columns, labels = customers(120, seed=seed)
    facts = {"parent": None, "reason": f"seed {seed}", "batches": ["b0"], "rows": 120, "data": "d", "params": "p"}
    found = fit(columns, labels, settings=settings)
    bins = fit_bins(columns, batch_rows=60, scores=found.out_of_fold)
    reference = to_json(profile(bins, columns, scores=found.out_of_fold, labels=labels))
    return pack(found, columns, profile=reference, facts=facts, zero_is_missing=True)


@pytest.fixture(scope="session")
def bundle() -> Bundle:
    return fitted(0)


@pytest.fixture(scope="session")
def other() -> Bundle:
    """Another version, whose probabilities differ."""
    return fitted(1)


@pytest.fixture(scope="session")
def served(bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> ServedModel:
    folder = tmp_path_factory.mktemp("served") / "champion"
    save(bundle, folder)
    return ServedModel.of_folder(folder)


@pytest.fixture
def seat(served: ServedModel) -> Seat:
    return Seat(served)


@pytest.fixture
def client(seat: Seat) -> FlaskClient:
    """Of a server that asks for no key."""
    return create_app(seat, settings=SMALL, metrics=Metrics(), gate=OPEN).test_client()


@dataclass
class Server:
    """A running `serve-model.py` and what it said."""

    process: subprocess.Popen[str]
    said: list[str] = field(default_factory=list)
    port: int = 0

    def __post_init__(self) -> None:
        threading.Thread(target=self._listen, daemon=True).start()
        if not until(lambda: self.port or self.process.poll() is not None, seconds=60) or not self.port:
            raise AssertionError("".join(self.said))

    def _listen(self) -> None:
        for line in self.process.stderr or ():
            self.said.append(line)
            if found := re.search(r"Listening at: http://[\d.]+:(\d+)", line):
                self.port = int(found[1])

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)


@pytest.fixture
def place(tmp_path: Path, bundle: Bundle, repository: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a champion and no repository, as in a container; the working directory."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "serve-model.py").write_bytes((repository / "serve-model.py").read_bytes())
    save(bundle, paths.CHAMPION)
    return tmp_path


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    """`serve("--model", "abcd")`: a server on a free port, in the working directory, stopped at the end."""
    with contextlib.ExitStack() as stack:

        def start(*options: str, **environment: str) -> Server:
            server = Server(command(*options, **environment))
            stack.callback(end, server.process)
            return server

        yield start


def command(*options: str, folder: Path | None = None, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "serve-model.py", "--port", "0", *options],
        cwd=folder,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def end(process: subprocess.Popen[str]) -> None:
    if process.poll() is None:
        process.terminate()
        process.wait(30)
    for stream in (process.stdout, process.stderr):
        if stream:
            stream.close()


def until(true: Callable[[], object], *, seconds: float) -> bool:
    """Whether it becomes true in time."""
    last = time.monotonic() + seconds
    while not true():
        if time.monotonic() > last:
            return False
        time.sleep(0.05)
    return True


def version_with(bundle: Bundle, reason: str) -> Bundle:
    """The same trees as another version."""
    return replace(bundle, facts={**bundle.facts, "reason": reason})
