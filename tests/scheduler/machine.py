"""A machine whose clock runs as fast as it is looked at."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from churn_drift.ports import Message
from churn_drift.scheduler import history
from churn_drift.scheduler.history import Run
from churn_drift.scheduler.loop import Loop, World
from churn_drift.scheduler.times import parse


def at(text: str) -> datetime:
    """`2026-03-29 02:30`, UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@dataclass
class Job:
    """A run that takes its time by the machine's clock and then ends with its code."""

    machine: "Machine"
    ends: float
    code: int
    pid: int = 4711

    def poll(self) -> int | None:
        return self.code if self.machine.passed >= self.ends else None

    def end(self) -> None:
        self.ends, self.code = self.machine.passed, -15


@dataclass
class Machine:
    """Its clock, what happens at which moment, and how its runs go: seconds and exit code, the last for all others."""

    now: datetime
    step: float = 30
    runs: list[tuple[float, int]] = field(default_factory=lambda: [(30, 0)])
    passed: float = 0
    begun: list[datetime] = field(default_factory=list)
    told: list[Message] = field(default_factory=list)
    other: str | None = None
    events: list[tuple[float, Callable[[], object]]] = field(default_factory=list)

    def sleep(self, _: float) -> None:
        self.passed += self.step
        self.now += timedelta(seconds=self.step)
        for event in [event for event in self.events if event[0] <= self.passed]:
            self.events.remove(event)
            event[1]()

    def start(self, log: Path) -> Job:
        seconds, code = self.runs.pop(0) if len(self.runs) > 1 else self.runs[0]
        self.begun.append(self.now)
        return Job(self, self.passed + seconds, code)

    def after(self, what: Callable[[], object], **time: float) -> None:
        """Something happens so much later, by a clock that nobody sets."""
        self.events.append((self.passed + timedelta(**time).total_seconds(), what))

    def set(self, **by: float) -> None:
        """Somebody sets the clock."""
        self.now += timedelta(**by)

    def schedule(self, text: str, zone: str = "UTC", *, retry: float = 5, **until: float) -> list[Run]:
        """A scheduler lives here for so long; its runs."""
        known = len(history.read())
        world = World(
            lambda: self.now, lambda: self.passed, self.sleep, self.start, lambda: self.other, self.told.append
        )
        loop = Loop(parse(text, zone), world, retry=timedelta(minutes=retry), who={})
        self.after(loop.stop, **until)
        loop.run()
        return history.read()[known:]


def starts(runs: list[Run]) -> list[str]:
    """Day and minute of each, UTC."""
    return [run.start[5:16].replace("T", " ") for run in runs]
