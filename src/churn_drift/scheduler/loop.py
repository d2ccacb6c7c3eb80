"""The scheduler's life: wait in short steps, start a run when one is due, see it to its end."""

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from churn_drift.errors import ChurnDriftError
from churn_drift.ports import Message
from churn_drift.scheduler import asked, going, health, history
from churn_drift.scheduler.going import Going, Process
from churn_drift.scheduler.history import Run
from churn_drift.scheduler.plan import Plan, Trigger
from churn_drift.scheduler.times import Schedule

STEP = 0.5
"""Seconds between two looks: a signal, a clock that was set and somebody's asking are seen so soon."""


@dataclass(frozen=True)
class World:
    """What the loop needs of the machine.

    clock    the time, UTC
    elapsed  seconds, by a clock that nobody sets
    sleep    let seconds pass
    start    a run, whose output goes to this file
    busy     who else is running the pipeline here, in words; None where nobody is
    tell     people, of a run that could not tell them itself
    """

    clock: Callable[[], datetime]
    elapsed: Callable[[], float]
    sleep: Callable[[float], None]
    start: Callable[[Path], Process]
    busy: Callable[[], str | None]
    tell: Callable[[Message], None]


class Loop:
    """One scheduler. Whoever makes it holds the folder's lease.

    retry  after which a failed run is tried once more
    who    of this process, for the health file
    """

    def __init__(self, schedule: Schedule, world: World, *, retry: timedelta, who: Mapping[str, Any]) -> None:
        self._schedule, self._world, self._who = schedule, world, who
        past = history.read()
        self._last = past[-1] if past else None
        self._failures = history.failures_in_a_row(past)
        self._before = world.clock()
        self._plan = Plan(
            schedule,
            now=self._before,
            last=datetime.fromisoformat(self._last.start) if self._last else None,
            retry=retry,
            elapsed=world.elapsed(),
        )
        self._left = going.left()
        self._run: Going | None = None
        self._signals = self._heeded = 0
        self._note = ""
        self._beaten = float("-inf")

    def stop(self) -> None:
        """No new run; called again, the run that is going on is asked to end. For a signal's handler."""
        self._signals += 1

    def run(self) -> None:
        """Until it is stopped and no run is going on any more."""
        self._say(f"{self._schedule.text}, {self._schedule.zone}; {self._next()}")
        while self._run or not self._signals:
            self._bear(self._look)
            self._world.sleep(STEP)
        self._bear(lambda: self._beat("stopped"))
        self._say("stopped")

    def _bear(self, do: Callable[[], None]) -> None:
        """A full disk or a channel that is down is told, and not the scheduler's end."""
        try:
            do()
        except (ChurnDriftError, OSError) as error:
            self._wait_for(f"warning: {error}")

    def _look(self) -> None:
        now = self._world.clock()
        if now < self._before:
            self._plan.set_back(now, elapsed=self._world.elapsed())
        self._before = now
        if self._signals > self._heeded:
            self._heed()
        if self._run:
            self._attend(self._run, now)
        elif not self._signals:
            self._consider(now)
        if self._world.elapsed() - self._beaten >= health.EVERY:
            self._beat()

    def _consider(self, now: datetime) -> None:
        """Begin a run where one is due and nobody else is at it."""
        trigger = "now" if asked.waits() else self._plan.ready(now)
        if not trigger and not self._left:
            return
        other = self._world.busy()
        if other:
            self._wait_for(f"a run waits: {other}")
        elif self._left:
            note, self._left = self._left, None
            self._plan.at_once(now)
            self._take_in(going.account(note, now=now))
        elif trigger:
            self._begin(trigger, now)

    def _begin(self, trigger: Trigger, now: datetime) -> None:
        self._run = going.begin(trigger, now=now, start=self._world.start)
        self._plan.began(now=now, elapsed=self._world.elapsed())
        self._note = ""
        asked.take()
        self._say(f"run ({trigger}) begins; log {self._run.log}")
        self._beat()

    def _attend(self, run: Going, now: datetime) -> None:
        code = run.process.poll()
        if code is None:
            return
        self._run = None
        self._plan.ended(run.trigger, code, now=now)
        self._take_in(run.settle(code, now=now))

    def _take_in(self, run: Run) -> None:
        """A run has ended and stands in the history."""
        before, self._last = self._last, run
        self._failures = 0 if run.exit == 0 else self._failures + 1
        self._beat()
        self._say(f"run ended: {run.result} after {run.seconds:.0f} s: {run.did}; {self._next()}")
        if run.died and not self._signals:
            self._world.tell(_death(run))
        elif run.exit == 0 and before and before.died:
            self._world.tell(_recovery(run, before))

    def _wait_for(self, note: str) -> None:
        if self._note != note:
            self._note = note
            self._say(note)

    def _heed(self) -> None:
        self._heeded = self._signals
        if self._run and self._signals == 1:
            self._say("stopping when this run has ended; another signal ends it now")
        elif self._run:
            self._say("the run is asked to end")
            self._run.process.end()

    def _beat(self, status: str = "") -> None:
        self._beaten = self._world.elapsed()
        health.write(
            {
                "status": status or ("running" if self._run else "failing" if self._failures else "ok"),
                "at": going.iso(self._world.clock()),
                "next": None if status else going.iso(self._plan.next),
                "last": asdict(self._last) if self._last else None,
                "failures_in_a_row": self._failures,
                "schedule": self._schedule.text,
                "zone": self._schedule.zone.key,
                "note": self._note,
                **self._who,
            }
        )

    def _next(self) -> str:
        if self._signals:
            return "no run follows"
        due = self._plan.next
        return f"next run {_moment(due)}" if due > self._world.clock() else "next run at once"

    def _say(self, what: str) -> None:
        with contextlib.suppress(OSError):  # a terminal or pipe that nobody reads any more
            print(f"{_moment(self._world.clock())}  {what}", flush=True)


def _death(run: Run) -> Message:
    return Message(
        "failure",
        f"run-died:{run.start}",
        f"A run died without a word: {run.result}",
        {"began": run.start, "died": run.end},
        run.log,
    )


def _recovery(run: Run, before: Run) -> Message:
    return Message(
        "recovery",
        f"run-lives:{before.start}",
        "A run ended well again",
        {"began": run.start, "did": run.did, "before it": f"{before.start}, {before.result}"},
        run.log,
    )


def _moment(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
