"""Exchanges of made-up customers, and recorders that do everything at once and end with the test."""

import contextlib
import os
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from churn_drift import schema
from churn_drift.capture.form import Exchange
from churn_drift.capture.recorder import Limits, Recorder

NIGHT = datetime(2026, 11, 23, 22, 30, tzinfo=UTC).timestamp()
QUICK = Limits(write=0.01, sync=0.01, observe=0.0, send=0.05)


def record(number: int) -> dict[str, Any]:
    typed: dict[str, Any] = {c.name: float(number) if c.kind == "number" else f"level {number}" for c in schema.RECORD}
    return {**typed, "AgeHH1": None, "Occupation": None}


def exchange(number: int, *, at: float = NIGHT, many: int = 1, **changes: Any) -> Exchange:
    """A request of customers `number`, `number` + 1 and so on."""
    numbers = range(number, number + many)
    made = Exchange(
        request_id=f"r{number:09}",
        at=at,
        version="0123456789ab",
        customers=list(numbers),
        records=[record(each) for each in numbers],
        probability=[0.25] * many,
        decision=[False] * many,
    )
    return replace(made, **changes)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "log"


@pytest.fixture
def recording() -> Iterator[Callable[..., Recorder]]:
    """`recording(folder)`: a recorder that has been started."""
    with contextlib.ExitStack() as stack:

        def start(*arguments: Any, limits: Limits = QUICK, clock: Callable[[], float] = lambda: NIGHT, **more: Any):
            recorder = Recorder(*arguments, limits=limits, clock=clock, **more)
            recorder.start()
            stack.callback(recorder.close)
            return recorder

        yield start


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 256 kB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if os.geteuid() != 0:
        pytest.skip("mounting a small file system needs root")
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(disk)], check=True)
    yield disk
    subprocess.run(["umount", "--lazy", str(disk)], check=True)


def files(folder: Path, pattern: str) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.glob(pattern))
