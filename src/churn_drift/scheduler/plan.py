"""What is due now, and when the next run is due. It starts nothing and looks at no clock: both are told to it."""

from datetime import datetime, timedelta
from typing import Literal

from churn_drift.scheduler.times import Schedule

Trigger = Literal["time", "catch-up", "retry", "now"]
"""Why a run began: its time had come; its time had passed meanwhile; the one before had failed; somebody asked."""

PUNCTUAL = timedelta(minutes=1)
"""A run that begins later than this after its time is a catch-up."""

FINAL = (0, 2, 3)
"""Exit codes after which the same run once more would end the same way."""


class Plan:
    """The next due time, and a retry where the last run failed.

    However many times have passed, one run makes up for them. A failed run is tried once more after `retry`; a time
    that comes first is that retry.

    last     when the last run began, if one is known: what has been due since then is due now
    elapsed  seconds by a clock that nobody sets
    """

    def __init__(
        self, schedule: Schedule, *, now: datetime, last: datetime | None, retry: timedelta, elapsed: float
    ) -> None:
        self._schedule, self._retry = schedule, retry
        self._served = last if last and last <= now else now
        self._began = elapsed - (now - self._served).total_seconds()
        self.due = schedule.next(self._served)
        self.again: datetime | None = None

    @property
    def next(self) -> datetime:
        """When a run will begin, if nobody asks for one before."""
        return min(self.due, self.again or self.due)

    def ready(self, now: datetime) -> Trigger | None:
        """What begins a run now; None where nothing does."""
        if self.due <= now:
            return "time" if now - self.due <= PUNCTUAL else "catch-up"
        return "retry" if self.again and self.again <= now else None

    def began(self, *, now: datetime, elapsed: float) -> None:
        """A run has begun: what was due until now is served."""
        self.again, self._began = None, elapsed
        if self.due <= now:
            self._served, self.due = now, self._schedule.next(now)

    def ended(self, trigger: Trigger, code: int, *, now: datetime) -> None:
        """A run has ended with this exit code."""
        if code not in FINAL and trigger != "retry":
            self.again = now + self._retry

    def at_once(self, now: datetime) -> None:
        """Make up at once for a run whose end nobody saw."""
        self.due = min(self.due, now - 2 * PUNCTUAL)

    def set_back(self, now: datetime, *, elapsed: float) -> None:
        """The clock shows an earlier time than before: a time that was served counts again only half an interval later.

        So an hour that is shown twice makes no second daily run, and runs every quarter of an hour go on at once.
        """
        due = self._schedule.next(now)
        while due <= self._served and self._since(due, now, elapsed) < (self._schedule.next(due) - due) / 2:
            due = self._schedule.next(due)
        self.due = due
        if self.again:
            self.again = min(self.again, now + self._retry)

    def _since(self, due: datetime, now: datetime, elapsed: float) -> timedelta:
        """What will really have passed from the last run's beginning to a due time."""
        return due - now + timedelta(seconds=elapsed - self._began)
