"""When a run is due, from words or cron's five fields. Pure: the next time follows from the last one and the zone.

In a zone that changes its clocks, a time that the change leaves out is due when the clocks have gone on (02:30 in
spring: at 03:30), and a time that comes twice is due at its first coming. Where the hour is open (`hourly`, `*` or
`*/2` in cron), every hour that passes counts. A time is due once.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.interval import IntervalTrigger

from churn_drift.errors import ConfigError

EXAMPLES = (
    "daily 02:00",
    "hourly",
    "hourly :15",
    "weekly mon,thu 02:00",
    "every 15 minutes",
    "0 2 * * 1-5",
)

_WEEK = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_DAILY = re.compile(r"daily (\d{1,2}):(\d\d)")
_HOURLY = re.compile(r"hourly(?: :(\d\d))?")
_WEEKLY = re.compile(r"(?:weekly )?([a-z]{3}(?:,[a-z]{3})*) (\d{1,2}):(\d\d)")
_EVERY = re.compile(r"every (\d{1,6}) (second|minute|hour|day)s?")
_CRON = re.compile(r"[0-9*,/-]+ [0-9*,/-]+ [0-9*,/-]+ [0-9a-z*,/-]+ [0-9a-z*,/-]+")

_SHIFT = timedelta(hours=3)
"""No change of the clocks is longer; a day left out whole, as Samoa did once, is one of its own."""


@dataclass(frozen=True)
class Schedule:
    """Times without an end.

    text  as it was asked for
    zone  whose clock it goes by
    """

    text: str
    zone: ZoneInfo
    _triggers: Sequence[CronTrigger | IntervalTrigger]
    _hour_is_open: bool = True

    def next(self, after: datetime) -> datetime:
        """The first time later than this one, UTC, to the second."""
        first = after.astimezone(UTC).replace(microsecond=0) + timedelta(seconds=1)
        if isinstance(self._triggers[0], IntervalTrigger) or self.zone.key == "UTC":
            return min(_fires(self._triggers, first))
        return min(moment for moment in self._around(first) if moment >= first)

    def _around(self, moment: datetime) -> Iterator[datetime]:
        """Every time near a moment, and the first ones after it.

        In order of the clock's face, which is not that of time where the clocks are changed.
        """
        face = moment.astimezone(self.zone).replace(tzinfo=UTC) - _SHIFT
        last = None
        while last is None or face <= last + _SHIFT:
            face = min(_fires(self._triggers, face))
            for found in self._comings(face):
                if last is None and found >= moment:
                    last = face
                yield found
            face += timedelta(seconds=1)

    def _comings(self, face: datetime) -> Iterator[datetime]:
        """When the zone's clocks show this, UTC: once, or twice where it counts twice."""
        first, second = (face.replace(tzinfo=self.zone, fold=fold).astimezone(UTC) for fold in (0, 1))
        yield first
        if self._hour_is_open and first < second:
            yield second


def parse(text: str, zone: str = "UTC") -> Schedule:
    """The schedule that a text names. Raises ConfigError, with examples, where it names none."""
    place, words = _zone(zone), " ".join(text.lower().split())
    try:
        return _parsed(words, place)
    except ValueError as error:
        raise ConfigError(
            f"schedule {text!r}: {error}; give one such as " + ", ".join(f'"{example}"' for example in EXAMPLES)
        ) from None


def _parsed(words: str, zone: ZoneInfo) -> Schedule:
    if found := _DAILY.fullmatch(words):
        return Schedule(words, zone, [_cron(hour=_hour(found[1]), minute=_minute(found[2]))], False)
    if found := _HOURLY.fullmatch(words):
        return Schedule(words, zone, [_cron(minute=_minute(found[1] or "0"))])
    if found := _EVERY.fullmatch(words):
        return Schedule(words, zone, [_interval(int(found[1]), found[2])])
    if found := _WEEKLY.fullmatch(words):
        days = _weekdays(found[1])
        return Schedule(words, zone, [_cron(hour=_hour(found[2]), minute=_minute(found[3]), day_of_week=days)], False)
    if _CRON.fullmatch(words):
        return _crontab(words, zone)
    raise ValueError("not understood")


def _crontab(words: str, zone: ZoneInfo) -> Schedule:
    """Cron's own rules, where APScheduler's differ: Sunday is 0 or 7, and of days of both kinds either will do."""
    minute, hour, day, month, weekday = words.split()
    kinds = {"day": day}, {"day_of_week": _weekdays(weekday)}
    chosen = [kinds[0] | kinds[1]] if day.startswith("*") or weekday.startswith("*") else kinds
    triggers = [_cron(minute=minute, hour=hour, month=month, **kind) for kind in chosen]
    if not list(_fires(triggers, datetime(2000, 1, 1, tzinfo=UTC))):
        raise ValueError("that day never comes")
    return Schedule(words, zone, triggers, hour.startswith("*"))


def _cron(**fields: str) -> CronTrigger:
    return CronTrigger(timezone=UTC, second="0", **fields)


def _interval(count: int, unit: str) -> IntervalTrigger:
    """From the start of 1970, so that the times stay the same whenever the scheduler is started."""
    if not count:
        raise ValueError("every 0 is no interval")
    return IntervalTrigger(**{f"{unit}s": count}, start_date=datetime(1970, 1, 1, tzinfo=UTC), timezone=UTC)


def _fires(triggers: Sequence[CronTrigger | IntervalTrigger], first: datetime) -> Iterator[datetime]:
    for trigger in triggers:
        moment = trigger.get_next_fire_time(None, first)
        if moment is not None:
            yield moment


def _weekdays(field: str) -> str:
    """The days that cron's fifth field names, by name and separated by commas."""
    found: set[int] = set()
    for part in field.split(","):
        days, _, step = part.partition("/")
        low, _, high = ("0", "-", "6") if days == "*" else days.partition("-")
        first = _weekday(low)
        last = _weekday(high) if high else 6 if step else first
        if last < first or (step and not (step.isdigit() and int(step))):
            raise ValueError(f"{part}: no days of the week")
        found.update(day % 7 for day in range(first, last + 1, int(step or "1")))
    return ",".join(_WEEK[day] for day in sorted(found))


def _weekday(word: str) -> int:
    if word in _WEEK:
        return _WEEK.index(word)
    if word.isdigit() and int(word) <= 7:
        return int(word)
    raise ValueError(f"{word or 'nothing'}: no day of the week")


def _hour(word: str) -> str:
    if int(word) > 23:
        raise ValueError(f"{word}: no hour of the day")
    return word


def _minute(word: str) -> str:
    if int(word) > 59:
        raise ValueError(f"{word}: no minute of the hour")
    return word


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise ConfigError(f"zone {name!r}: not known; give one such as Europe/Berlin, America/New_York, UTC") from None
