"""Every run that a scheduler started: one line a run in .churn-drift/history.jsonl, oldest first.

Nothing depends on it but what people are told, and the time of the last run. A line that a killed process left
unfinished is passed over.
"""

import json
import signal
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from churn_drift.ports import STATE
from churn_drift.scheduler.plan import Trigger

FILE = STATE / "history.jsonl"
BEFORE = STATE / "history.1.jsonl"
LINES = 10_000
"""When the file holds so many it becomes the older one, whose lines go."""

RUNS = STATE / "runs"
LOGS = 100
"""Logs that are kept."""

_WORDS = {None: "unknown", 0: "ok", 1: "failed", 2: "refused", 3: "worse"}


@dataclass(frozen=True)
class Run:
    """One run.

    start, end  ISO 8601, UTC
    exit        its exit code; below 0: the signal that ended it; None: not known, as its scheduler was killed
    log         the file of what it said
    did         what it changed, or its error
    """

    start: str
    end: str
    exit: int | None
    trigger: Trigger
    log: str
    did: str

    @property
    def died(self) -> bool:
        """Whether a signal ended it, so that it could tell nobody."""
        return self.exit is not None and self.exit < 0

    @property
    def result(self) -> str:
        """In a word."""
        if self.died:
            return _signal(-(self.exit or 0))
        return _WORDS.get(self.exit, f"exit {self.exit}")

    @property
    def seconds(self) -> float:
        """How long it took."""
        return (datetime.fromisoformat(self.end) - datetime.fromisoformat(self.start)).total_seconds()


def append(run: Run) -> None:
    """Add a line, in one write; a line before it that was left unfinished is ended first."""
    FILE.parent.mkdir(parents=True, exist_ok=True)
    before = FILE.read_bytes() if FILE.exists() else b""
    if before.count(b"\n") >= LINES:
        FILE.replace(BEFORE)
        before = b""
    end = b"\n" if before and not before.endswith(b"\n") else b""
    with FILE.open("ab") as stream:
        stream.write(end + json.dumps(asdict(run), ensure_ascii=False).encode() + b"\n")


def read() -> list[Run]:
    """Every run that is remembered, oldest first."""
    lines = [line for file in (BEFORE, FILE) if file.exists() for line in file.read_bytes().splitlines()]
    return [run for line in lines if (run := _run(line))]


def failures_in_a_row(runs: Sequence[Run]) -> int:
    """How many of the last runs did not end with 0, without one between them that did."""
    count = 0
    for run in reversed(runs):
        if run.exit == 0:
            break
        count += 1
    return count


def new_log(start: datetime) -> Path:
    """A file for what a run says; the oldest ones go."""
    RUNS.mkdir(parents=True, exist_ok=True)
    for old in sorted(RUNS.glob("*.log"))[: -(LOGS - 1)]:
        old.unlink()
    path = RUNS / f"{start:%Y%m%dT%H%M%S}.{start.microsecond // 1000:03}Z.log"
    path.touch()
    return path


def _run(line: bytes) -> Run | None:
    """None where a killed process left half a line."""
    try:
        run = Run(**json.loads(line))
        datetime.fromisoformat(run.start)
        datetime.fromisoformat(run.end)
    except (ValueError, TypeError):
        return None
    return run


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
