"""When a run is due: pure, by words, cron and zone."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from churn_drift.errors import ConfigError
from churn_drift.scheduler.times import EXAMPLES, parse
from tests.scheduler.machine import at


def due(text: str, after: str, count: int, zone: str = "UTC") -> list[str]:
    """The next times, by the zone's clock, with its offset."""
    schedule, moment, found = parse(text, zone), at(after), []
    for _ in range(count):
        moment = schedule.next(moment)
        assert moment.tzinfo is UTC
        found.append(moment.astimezone(schedule.zone).strftime("%a %d %H:%M%z"))
    return found


@pytest.mark.parametrize(
    ("text", "times"),
    [
        ("daily 02:00", ["Sun 25 02:00+0000", "Mon 26 02:00+0000"]),
        ("Daily  2:00", ["Sun 25 02:00+0000", "Mon 26 02:00+0000"]),
        ("hourly", ["Sat 24 10:00+0000", "Sat 24 11:00+0000"]),
        ("hourly :15", ["Sat 24 09:15+0000", "Sat 24 10:15+0000"]),
        ("weekly mon 02:00", ["Mon 26 02:00+0000", "Mon 02 02:00+0000"]),
        ("mon,thu 02:00", ["Mon 26 02:00+0000", "Thu 29 02:00+0000"]),
        ("every 15 minutes", ["Sat 24 09:15+0000", "Sat 24 09:30+0000"]),
        ("every 1 hour", ["Sat 24 10:00+0000", "Sat 24 11:00+0000"]),
        ("0 2 * * 1-5", ["Mon 26 02:00+0000", "Tue 27 02:00+0000"]),
        ("0 2 * * 0", ["Sun 25 02:00+0000", "Sun 01 02:00+0000"]),
        ("0 2 * * 7", ["Sun 25 02:00+0000", "Sun 01 02:00+0000"]),
        ("0 2 * * 5-7", ["Sun 25 02:00+0000", "Fri 30 02:00+0000"]),
        ("*/20 9-10 24 oct *", ["Sat 24 09:20+0000", "Sat 24 09:40+0000"]),
    ],
)
def test_a_time_is_the_first_one_later_than_the_moment_given(text: str, times: list[str]) -> None:
    assert due(text, "2026-10-24 09:00", 2) == times


def test_a_moment_that_is_due_is_not_later_than_itself() -> None:
    assert parse("daily 02:00").next(at("2026-10-24 02:00")) == at("2026-10-25 02:00")
    assert parse("daily 02:00").next(at("2026-10-24 02:00") - timedelta(seconds=0.5)) == at("2026-10-24 02:00")


def test_where_cron_names_days_of_both_kinds_either_will_do() -> None:
    assert due("0 2 13 * 5", "2026-11-01 00:00", 3) == ["Fri 06 02:00+0000", "Fri 13 02:00+0000", "Fri 20 02:00+0000"]
    assert due("0 2 13 * *", "2026-11-01 00:00", 2) == ["Fri 13 02:00+0000", "Sun 13 02:00+0000"]


def test_a_daily_time_that_spring_leaves_out_comes_an_hour_later_by_the_clock_and_the_day_after_as_ever() -> None:
    assert due("daily 02:30", "2026-03-28 00:00", 3, "Europe/Berlin") == [
        "Sat 28 02:30+0100",
        "Sun 29 03:30+0200",
        "Mon 30 02:30+0200",
    ]


def test_a_time_that_spring_left_out_is_still_due_for_a_scheduler_that_starts_between() -> None:
    between = "2026-03-29 01:10"  # 03:10 in Berlin
    assert due("daily 02:30", between, 1, "Europe/Berlin") == ["Sun 29 03:30+0200"]


def test_a_daily_time_that_comes_twice_in_autumn_is_due_once() -> None:
    assert due("daily 02:30", "2026-10-24 12:00", 2, "Europe/Berlin") == ["Sun 25 02:30+0200", "Mon 26 02:30+0100"]


def test_hourly_is_every_hour_that_passes_through_both_changes() -> None:
    spring = [parse("hourly :15", "Europe/Berlin").next(at("2026-03-28 22:30") + timedelta(hours=n)) for n in range(6)]
    autumn = [parse("hourly :15", "Europe/Berlin").next(at("2026-10-24 22:30") + timedelta(hours=n)) for n in range(6)]
    assert [later - earlier for earlier, later in pairwise(spring)] == [timedelta(hours=1)] * 5
    assert [later - earlier for earlier, later in pairwise(autumn)] == [timedelta(hours=1)] * 5


@pytest.mark.parametrize("text", EXAMPLES)
@pytest.mark.parametrize("zone", ["Europe/Berlin", "Australia/Lord_Howe", "America/New_York"])
def test_a_year_of_times_goes_forward_and_does_not_depend_on_where_one_starts(text: str, zone: str) -> None:
    schedule, moment = parse(text, zone), at("2026-01-01 00:00")
    changes = [at(day) for day in ("2026-03-08 00:00", "2026-03-28 12:00", "2026-04-04 00:00", "2026-10-03 00:00")]
    for moment in changes:
        times = [moment]
        while times[-1] < moment + timedelta(hours=30):
            times.append(schedule.next(times[-1]))
        assert times == sorted(set(times))
        for minutes in range(0, 30 * 60, 7):
            after = moment + timedelta(minutes=minutes)
            assert schedule.next(after) == next((t for t in times if t > after), schedule.next(times[-1]))


def test_a_daily_schedule_has_365_times_a_year_in_a_zone_that_changes_its_clocks() -> None:
    schedule, moment, count = parse("daily 02:30", "Europe/Berlin"), at("2025-12-31 22:59"), 0
    while (moment := schedule.next(moment)) < datetime(2026, 12, 31, 23, tzinfo=UTC):
        count += 1
    assert count == 365


@pytest.mark.parametrize(
    "text",
    [
        "",
        "dayly 02:00",
        "daily",
        "daily 25:00",
        "hourly :75",
        "weekly xyz 02:00",
        "every 0 minutes",
        "every 15",
        "61 * * * *",
        "* * * * 8",
        "* * * * 5-2",
        "0 0 31 2 *",
        "* * last * *",
        "0 2 * *",
    ],
)
def test_what_is_no_schedule_is_refused_with_examples(text: str) -> None:
    with pytest.raises(ConfigError, match="give one such as") as refused:
        parse(text)
    assert all(f'"{example}"' in str(refused.value) for example in EXAMPLES)


@pytest.mark.parametrize("zone", ["Mars", "", "../etc/passwd", "Europe"])
def test_what_is_no_zone_is_refused_with_examples(zone: str) -> None:
    with pytest.raises(ConfigError, match="Europe/Berlin"):
        parse("hourly", zone)
