"""`churn-drift run --schedule` and `churn-drift schedule` as they are typed."""

import json
import os
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from churn_drift.cli import parser
from churn_drift.commands import schedule
from churn_drift.commands.schedule import LOCK
from churn_drift.production import lease
from churn_drift.scheduler import going, health, history
from churn_drift.scheduler.history import Run

Command = Callable[..., tuple[int, str]]


def ran(hours: float, *, code: int | None = 0, did: str = "nothing new") -> Run:
    start = datetime.now(UTC) - timedelta(hours=hours)
    run = Run(going.iso(start), going.iso(start + timedelta(seconds=43)), code, "time", ".churn-drift/runs/x.log", did)
    history.append(run)
    return run


def beat(*, ago: float = 0, failures: int = 0) -> None:
    health.write(
        {
            "status": "failing" if failures else "ok",
            "at": going.iso(datetime.now(UTC) - timedelta(seconds=ago)),
            "next": "2026-11-24T01:00:00.000+00:00",
            "last": None,
            "failures_in_a_row": failures,
            "schedule": "daily 02:00",
            "zone": "Europe/Berlin",
            "note": "",
            "options": ["--push"],
        }
    )


def in_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """From here on stdout is one of 80 columns."""
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)


def test_a_schedule_that_is_none_is_refused_in_one_line_with_examples(run: Command) -> None:
    code, told = run("run", "--schedule", "now and then")
    assert (code, len(told.splitlines())) == (2, 1)
    assert "'now and then': not understood" in told
    assert '"daily 02:00"' in told


@pytest.mark.parametrize(
    ("options", "part"),
    [
        (["--schedule", "hourly", "--zone", "Mars"], "Europe/Berlin"),
        (["--schedule", "hourly", "--retry-minutes", "-1"], "give minutes"),
        (["--schedule", "hourly", "--retry-minutes", "nan"], "give minutes"),
        (["--zone", "UTC"], "give --schedule with them"),
        (["--retry-minutes", "5"], "give --schedule with them"),
    ],
)
def test_options_that_make_no_sense_are_refused_in_one_line(run: Command, options: list[str], part: str) -> None:
    code, told = run("run", *options)
    assert (code, len(told.splitlines())) == (2, 1)
    assert part in told


def test_every_other_option_of_run_goes_on_to_each_run(run: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    monkeypatch.setattr(schedule, "run_for_ever", lambda text, **given: seen.append((text, given)) or 0)
    own = {"--help", "--schedule", "--zone", "--retry-minutes"}
    runs = next(a for a in parser()._actions if a.choices and "run" in a.choices).choices["run"]
    options = [a for a in runs._actions if not own & set(a.option_strings)]
    assert {"--no-publish", "--no-promote", "--data"} <= {a.option_strings[0] for a in options}
    for option in options:
        words = [option.option_strings[0], *(["s3://a/b.csv"] if option.nargs is None else [])]
        assert run("run", "--schedule", "hourly", *words) == (0, "")
        assert seen[-1] == ("hourly", {"zone": "UTC", "retry_minutes": 5.0, "options": words})


def test_status_of_a_folder_without_a_scheduler_says_how_to_start_one(run: Command) -> None:
    code, told = run("schedule", "status")
    assert code == 0
    assert "does not run; `churn-drift run --schedule` starts it" in told
    assert run("schedule", "status", "--check") == (1, "unhealthy: no scheduler runs here\n")


def test_status_tells_times_last_run_and_backlog_within_80_columns(
    run: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_terminal(monkeypatch)
    ran(1, code=1, did="`dvc repro` failed: " + "a long reason " * 10)
    beat(failures=1)
    landed = [f"data/landed/batches/000{n}_a.csv" for n in (1, 2)]
    inbox = ["data/inbox/monday.csv"]
    for name in landed + inbox:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text("x")
    os.utime(inbox[0], (0, 0))
    with lease.taken(LOCK, what="scheduler", children=False):
        code, told = run("schedule", "status")
    assert code == 0
    assert max(map(len, told.splitlines())) <= 80
    for part in (
        "runs as process ",
        "daily 02:00, Europe/Berlin --push",
        "2026-11-24 01:00:00 UTC (Tue 2026-11-24 02:00 CET)",
        "43 s, failed: `dvc repro` failed",
        "2 landed, not in the reports yet, 1 waiting in the inbox",
        "unhealthy: the last run did not end well (1 in a row)",
    ):
        assert part in " ".join(told.split())


@pytest.mark.parametrize(
    ("ago", "failures", "expected"),
    [
        (3, 0, (0, "healthy\n")),
        (3, 2, (1, "unhealthy: the last run did not end well (2 in a row)\n")),
        (3600, 0, (1, "unhealthy: no heartbeat for ")),
    ],
)
def test_a_probe_fails_where_the_heartbeat_is_stale_or_the_last_run_was_not_well(
    run: Command, ago: float, failures: int, expected: tuple[int, str]
) -> None:
    beat(ago=ago, failures=failures)
    with lease.taken(LOCK, what="scheduler", children=False):
        code, told = run("schedule", "status", "--check")
    assert code == expected[0]
    assert told.startswith(expected[1])


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"{}"])
def test_a_health_file_that_cannot_be_read_is_unhealthy(run: Command, content: bytes) -> None:
    beat()
    health.FILE.write_bytes(content)
    with lease.taken(LOCK, what="scheduler", children=False):
        assert run("schedule", "status", "--check")[0] == 1


def test_history_shows_the_last_runs_within_80_columns_and_passes_over_a_torn_line(
    run: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran(75, did="1 landed, 1 judged, promoted 0911c00f5e5b")
    ran(51, code=-9)
    ran(27, code=None, did="its scheduler was killed; the next run does what it left")
    with history.FILE.open("ab") as stream:
        stream.write(json.dumps({"start": "2026"}).encode()[:-4])
    ran(3, code=2, did="a stage refused its input: " + "x " * 60)
    assert len(run("schedule", "history")[1].splitlines()) == 1 + 4 + 2  # in a pipe, each run is one line
    in_terminal(monkeypatch)
    code, told = run("schedule", "history")
    lines = told.splitlines()
    assert code == 0
    assert max(map(len, lines)) <= 80
    assert lines[0].split() == ["start,", "UTC", "seconds", "why", "result", "what", "it", "did"]
    for word in ("ok", "SIGKILL", "unknown", "refused", "promoted 0911c00f5e5b", "said: .churn-drift/runs/x.log"):
        assert word in " ".join(told.split())
    last = run("schedule", "history", "-n", "1")[1]
    assert "refused" in last
    assert "SIGKILL" not in last


def test_history_without_a_run_says_what_starts_them(run: Command) -> None:
    code, told = run("schedule", "history")
    assert (code, told) == (0, "no run yet; `churn-drift run --schedule` starts them\n")


def test_run_now_without_a_scheduler_is_the_run_and_its_exit_code(
    run: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schedule, "RUN", ("sh", "-c", "echo 'error: no such thing' >&2; exit 2"))
    code, told = run("schedule", "run-now")
    assert code == 2
    assert "no scheduler runs here, so this is the run itself" in told
    assert [(done.exit, done.trigger, done.did) for done in history.read()] == [(2, "now", "no such thing")]
    assert going.left() is None
    assert lease.owner(LOCK) is None


def test_status_tells_where_the_inbox_cannot_be_asked(run: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("USE_AWS", "true")
    monkeypatch.delenv("S3_BUCKET", raising=False)
    code, told = run("schedule", "status")
    assert code == 0
    assert "the inbox cannot be asked: " in told
    assert "S3_BUCKET" in told
