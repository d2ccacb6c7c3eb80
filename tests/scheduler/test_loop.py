"""The scheduler's life by a clock that runs as fast as it is looked at: when runs begin, and when they do not."""

import json
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from churn_drift.scheduler import asked, going, health, history
from tests.scheduler.machine import Machine, at, starts


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(health, "EVERY", 600)  # the clock runs faster than files are written


def test_a_daily_run_begins_at_its_time_and_its_line_tells_how_it_ended() -> None:
    machine = Machine(at("2026-11-23 12:00"))
    runs = machine.schedule("daily 02:00", days=3)
    assert starts(runs) == ["11-24 02:00", "11-25 02:00", "11-26 02:00"]
    assert {(run.trigger, run.exit, run.result, run.seconds) for run in runs} == {("time", 0, "ok", 30)}


@pytest.mark.parametrize(
    ("after", "times"),
    [
        ("2026-03-28 12:00", ["03-29 01:30", "03-30 00:30"]),  # 02:30 is left out, so 03:30
        ("2026-10-24 12:00", ["10-25 00:30", "10-26 01:30"]),  # 02:30 comes twice
    ],
)
def test_a_change_of_the_clocks_neither_loses_nor_doubles_a_run(after: str, times: list[str]) -> None:
    assert starts(Machine(at(after)).schedule("daily 02:30", "Europe/Berlin", days=2)) == times


def test_a_machine_that_slept_makes_up_for_all_missed_times_by_one_run() -> None:
    machine = Machine(at("2026-11-23 12:00"))
    machine.after(lambda: machine.set(hours=30), hours=1, minutes=5)
    runs = machine.schedule("hourly", hours=4)
    assert starts(runs) == ["11-23 13:00", "11-24 19:05", "11-24 20:00", "11-24 21:00"]
    assert [run.trigger for run in runs] == ["time", "catch-up", "time", "time"]


def test_runs_longer_than_the_interval_never_overlap_and_missed_times_are_one() -> None:
    machine = Machine(at("2026-11-23 12:00"), runs=[(40 * 60, 0), (30, 0)])
    runs = machine.schedule("every 15 minutes", hours=2)
    assert starts(runs)[:3] == ["11-23 12:15", "11-23 12:55", "11-23 13:00"]
    assert [run.trigger for run in runs[:3]] == ["time", "catch-up", "time"]
    assert all(earlier.end <= later.start for earlier, later in pairwise(runs))


def test_a_clock_that_is_set_back_an_hour_makes_no_second_daily_run() -> None:
    machine = Machine(at("2026-11-23 12:00"))
    machine.after(lambda: machine.set(hours=-1), hours=14, minutes=30)
    assert starts(machine.schedule("daily 02:00", days=2)) == ["11-24 02:00", "11-25 02:00"]


def test_a_clock_that_is_set_back_three_hours_does_not_stop_runs_every_quarter_of_an_hour() -> None:
    machine = Machine(at("2026-11-23 12:00"))
    machine.after(lambda: machine.set(hours=-3), hours=1, minutes=1)
    assert starts(machine.schedule("every 15 minutes", hours=2))[3:6] == ["11-23 13:00", "11-23 10:15", "11-23 10:30"]


def test_a_clock_that_is_set_forward_over_the_time_runs_at_once() -> None:
    machine = Machine(at("2026-11-23 23:00"))
    machine.after(lambda: machine.set(hours=6), minutes=30)
    runs = machine.schedule("daily 02:00", hours=10)
    assert starts(runs) == ["11-24 05:30"]
    assert runs[0].trigger == "catch-up"


def test_a_scheduler_that_was_away_over_a_time_makes_up_for_it_when_it_comes_back() -> None:
    machine = Machine(at("2026-11-23 12:00"))
    machine.schedule("daily 02:00", days=1)
    machine.set(days=4)
    runs = machine.schedule("daily 02:00", hours=1)
    assert starts(runs) == ["11-28 12:00"]
    assert runs[0].trigger == "catch-up"


def test_the_first_scheduler_of_a_folder_waits_for_its_first_time() -> None:
    assert Machine(at("2026-11-23 12:00")).schedule("daily 02:00", hours=10) == []


def test_a_history_from_the_future_keeps_no_scheduler_from_running() -> None:
    machine = Machine(at("2036-11-23 12:00"))
    machine.schedule("daily 02:00", days=1)
    machine.set(days=-3653)
    assert starts(machine.schedule("daily 02:00", days=1)) == ["11-25 02:00"]


@pytest.mark.parametrize(("code", "word"), [(1, "failed"), (-9, "SIGKILL"), (130, "exit 130")])
def test_a_failed_run_is_tried_once_more_after_a_pause_and_then_waits_for_its_time(code: int, word: str) -> None:
    runs = Machine(at("2026-11-23 12:00"), runs=[(30, code)]).schedule("daily 02:00", days=2)
    assert starts(runs) == ["11-24 02:00", "11-24 02:05", "11-25 02:00", "11-25 02:05"]
    assert [run.trigger for run in runs] == ["time", "retry"] * 2
    assert {run.result for run in runs} == {word}


@pytest.mark.parametrize(("code", "word"), [(2, "refused"), (3, "worse")])
def test_what_would_end_the_same_way_is_not_tried_again(code: int, word: str) -> None:
    runs = Machine(at("2026-11-23 12:00"), runs=[(30, code)]).schedule("daily 02:00", days=2)
    assert starts(runs) == ["11-24 02:00", "11-25 02:00"]
    assert {run.result for run in runs} == {word}


def test_a_time_that_comes_before_the_retry_is_the_retry() -> None:
    machine = Machine(at("2026-11-23 12:00"), runs=[(30, 1), (30, 0)])
    runs = machine.schedule("every 15 minutes", retry=20, minutes=50)
    assert [run.trigger for run in runs] == ["time", "time", "time"]


def test_who_asks_gets_one_run_at_once_and_the_next_time_stays() -> None:
    machine = Machine(at("2026-11-23 12:00"))
    machine.after(asked.ask, hours=1)
    machine.after(asked.ask, hours=1)
    runs = machine.schedule("daily 02:00", days=1)
    assert [(run.trigger, run.start[11:16]) for run in runs] == [("now", "13:00"), ("time", "02:00")]


def test_who_asks_during_a_run_gets_one_after_it() -> None:
    machine = Machine(at("2026-11-23 12:00"), runs=[(3600, 0)])
    machine.after(asked.ask, hours=14, minutes=30)
    runs = machine.schedule("daily 02:00", days=1)
    assert [(run.trigger, run.start[11:16]) for run in runs] == [("time", "02:00"), ("now", "03:00")]


def test_a_run_that_somebody_else_started_is_waited_for(capsys: pytest.CaptureFixture[str]) -> None:
    machine = Machine(at("2026-11-23 12:00"), other="a run is going on (process 12)")
    machine.after(lambda: setattr(machine, "other", None), hours=15)
    runs = machine.schedule("daily 02:00", days=1)
    assert starts(runs) == ["11-24 03:00"]
    assert runs[0].trigger == "catch-up"
    assert capsys.readouterr().out.count("a run waits: a run is going on (process 12)") == 1


def test_a_run_whose_scheduler_was_killed_is_waited_for_told_and_followed_by_one_that_makes_up_for_it() -> None:
    machine = Machine(at("2026-11-24 02:10"), other="a run is going on (process 12)")
    going.begin("time", now=at("2026-11-24 02:00"), start=machine.start)
    machine.after(lambda: setattr(machine, "other", None), minutes=20)
    runs = machine.schedule("daily 02:00", hours=2)
    assert [(run.start[11:16], run.result, run.trigger) for run in runs] == [
        ("02:00", "unknown", "time"),
        ("02:30", "ok", "catch-up"),
    ]
    assert going.left() is None


def test_a_stop_lets_the_run_end_and_begins_no_other() -> None:
    machine = Machine(at("2026-11-23 12:00"), runs=[(3 * 3600, 0)])
    runs = machine.schedule("hourly", hours=1, minutes=10)
    assert [(run.exit, run.seconds) for run in runs] == [(0, 3 * 3600)]
    assert machine.now >= at("2026-11-23 16:00")


def test_health_says_what_is_going_on_and_keeps_its_heartbeat_through_a_long_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(health, "EVERY", 5)
    machine = Machine(at("2026-11-23 12:00"), runs=[(3540, 1), (30, 0)])
    seen = {}
    for name, minutes in {"ok": 30, "running": 118, "failing": 119.5, "well": 130}.items():
        machine.after(lambda name=name: seen.update({name: (health.read(), machine.now)}), minutes=minutes)
    machine.schedule("hourly", minutes=210)
    told = {name: (found["status"], found["failures_in_a_row"]) for name, (found, _) in seen.items()}
    assert told == {"ok": ("ok", 0), "running": ("running", 0), "failing": ("failing", 1), "well": ("ok", 0)}
    for found, now in seen.values():
        assert abs(now - datetime.fromisoformat(found["at"])) <= timedelta(seconds=machine.step)
    last = health.read()
    assert (last["status"], last["next"], last["last"]["exit"]) == ("stopped", None, 0)


def test_a_run_that_died_without_a_word_is_told_and_so_is_its_recovery() -> None:
    machine = Machine(at("2026-11-23 12:00"), runs=[(30, 1), (30, -9), (30, 0)])
    machine.schedule("daily 02:00", days=2)
    assert [(message.kind, message.title) for message in machine.told] == [
        ("failure", "A run died without a word: SIGKILL"),
        ("recovery", "A run ended well again"),
    ]
    assert len({message.key for message in machine.told}) == 2


def test_a_full_disk_is_told_once_and_does_not_end_the_scheduler(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    machine, begin = Machine(at("2026-11-23 12:00")), going.begin

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(going, "begin", full)
    machine.after(lambda: monkeypatch.setattr(going, "begin", begin), hours=15)
    assert starts(machine.schedule("daily 02:00", days=1)) == ["11-24 03:00"]
    assert capsys.readouterr().out.count("No space left on device") == 1


def test_the_history_is_bounded_and_a_torn_line_of_a_killed_process_costs_only_itself(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(history, "LINES", 10)
    monkeypatch.setattr(history, "LOGS", 5)
    machine = Machine(at("2026-11-23 12:00"))
    machine.schedule("hourly", hours=12)
    torn = history.FILE.read_bytes()
    history.FILE.write_bytes(torn + b'{"start": "2026-11-2')
    machine.schedule("hourly", hours=24, minutes=5)
    runs = history.read()
    assert 10 <= len(runs) <= 20
    assert starts(runs) == sorted(starts(runs))
    assert starts(runs)[-1] == "11-25 00:00"
    assert len(list(history.RUNS.glob("*.log"))) == 5
    json.loads(history.FILE.read_text().splitlines()[-1])
