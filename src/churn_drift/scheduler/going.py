"""The run that is going on: .churn-drift/running.json, so that the next scheduler knows of it if this one is killed."""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from churn_drift.data import files
from churn_drift.ports import STATE
from churn_drift.scheduler import deeds, history
from churn_drift.scheduler.history import Run
from churn_drift.scheduler.plan import Trigger

FILE = STATE / "running.json"


class Process(Protocol):
    """A run that was started."""

    @property
    def pid(self) -> int:
        """Of the process."""

    def poll(self) -> int | None:
        """Its exit code; None while it runs."""

    def end(self) -> None:
        """Ask it to end."""


@dataclass(frozen=True)
class Note:
    """When it began (ISO 8601, UTC), why, where its output goes, and its process."""

    start: str
    trigger: Trigger
    log: str
    pid: int


@dataclass(frozen=True)
class Going:
    """A run of our own; how things stood before it."""

    process: Process
    start: datetime
    trigger: Trigger
    log: Path
    before: deeds.Standing

    def settle(self, code: int, *, now: datetime) -> Run:
        """It has ended: into the history first, so that a crash between the two tells it twice, never not at all."""
        did = deeds.told(self.before, deeds.standing(), code=code, log=self.log)
        run = Run(iso(self.start), iso(now), code, self.trigger, str(self.log), did)
        _settle(run)
        return run


def begin(trigger: Trigger, *, now: datetime, start: Callable[[Path], Process]) -> Going:
    """Start a run whose output goes to a new log."""
    before, log = deeds.standing(), history.new_log(now)
    process = start(log)
    files.write_json(asdict(Note(iso(now), trigger, str(log), process.pid)), FILE)
    return Going(process, now, trigger, log, before)


def left() -> Note | None:
    """The run that is going on, or was when its scheduler was killed."""
    try:
        return Note(**json.loads(FILE.read_bytes()))
    except (FileNotFoundError, ValueError, TypeError):
        return None


def account(note: Note, *, now: datetime) -> Run:
    """A run whose scheduler was killed has ended since, nobody knows how."""
    did = "its scheduler was killed; the next run does what it left"
    run = Run(note.start, iso(now), None, note.trigger, note.log, did)
    _settle(run)
    return run


def iso(moment: datetime) -> str:
    """UTC, to the millisecond."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds")


def _settle(run: Run) -> None:
    history.append(run)
    FILE.unlink(missing_ok=True)
