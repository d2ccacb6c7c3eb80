"""Real schedulers, real signals. The runs are stand-ins that take the run's lease and last until they may end."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from churn_drift.commands.schedule import LOCK
from churn_drift.production import lease
from churn_drift.scheduler import going, health, history
from tests.end_to_end.repository import Repository

SCHEDULER = """
import sys
from churn_drift.commands.schedule import run_for_ever
sys.exit(run_for_ever(sys.argv[1], zone="UTC", retry_minutes=60, options=["a"], command=[sys.executable, "run.py"]))
"""
RUN = """
import os, signal, subprocess, sys, time
from pathlib import Path

from churn_drift.production import lease

with lease.taken(lease.RUN, what="run"):
    child = subprocess.Popen(["sleep", "600"])
    Path("begun").touch()
    while not Path("go").exists():
        time.sleep(0.02)
    child.kill()
    child.wait()
    if Path("go").read_text():
        os.kill(os.getpid(), signal.SIGKILL)
    Path("begun").unlink()
    print("done", *sys.argv[1:])
"""


@pytest.fixture
def folder(scratch: Path) -> Iterator[Path]:
    (scratch / "scheduler.py").write_text(SCHEDULER)
    (scratch / "run.py").write_text(RUN)
    yield scratch
    (scratch / "go").write_text("")
    until(lambda: lease.owner(lease.RUN) is None)


Start = Callable[[str], "subprocess.Popen[str]"]


@pytest.fixture
def start(folder: Path) -> Iterator[Start]:
    """A scheduler in the folder; its output in `said.txt`."""
    begun = []

    def one(text: str = "every 1 second") -> "subprocess.Popen[str]":
        with (folder / "said.txt").open("a") as said:
            begun.append(
                subprocess.Popen(
                    [sys.executable, "scheduler.py", text], stdout=said, stderr=subprocess.STDOUT, text=True
                )
            )
        return begun[-1]

    yield one
    for process in begun:
        if process.poll() is None:
            process.kill()
            process.wait()


def until(true: Callable[[], object]) -> None:
    end = time.monotonic() + 60
    while not true():
        assert time.monotonic() < end, "waited for a minute"
        time.sleep(0.02)


def said() -> str:
    return Path("said.txt").read_text()


def began() -> bool:
    return Path("begun").exists()


def test_sigterm_lets_the_run_end_and_then_ends_the_scheduler_with_0(start: Start) -> None:
    process = start("every 1 second")
    until(began)
    process.send_signal(signal.SIGTERM)
    until(lambda: "stopping when this run has ended" in said())
    assert process.poll() is None
    Path("go").write_text("")
    assert process.wait(30) == 0
    assert [(run.exit, run.trigger) for run in history.read()] == [(0, "time")]
    assert "\ndone a\n" in said()
    assert Path(history.read()[0].log).read_text() == "done a\n"
    assert (health.read()["status"], lease.owner(LOCK), going.left()) == ("stopped", None, None)


def test_a_second_signal_ends_the_run_and_what_it_has_started(start: Start) -> None:
    process = start("every 1 second")
    until(began)
    process.send_signal(signal.SIGTERM)
    until(lambda: "another signal ends it now" in said())
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 0
    assert [run.result for run in history.read()] == ["SIGTERM"]
    assert lease.owner(lease.RUN) is None  # the run's `sleep` held it too


def test_a_killed_scheduler_leaves_its_run_which_the_next_one_waits_for_and_makes_up_for(start: Start) -> None:
    process = start("every 1 second")
    until(began)
    orphan = going.left()
    process.kill()
    process.wait()
    start("daily 02:00")
    until(lambda: "a run waits: a run is going on" in said())
    assert (began(), lease.owner(lease.RUN).pid, len(list(history.RUNS.iterdir()))) == (True, orphan.pid, 1)
    Path("go").write_text("")
    until(lambda: len(history.read()) == 2)
    assert [(run.result, run.trigger) for run in history.read()] == [("unknown", "time"), ("ok", "catch-up")]
    assert f"taken over from process {process.pid}" in said()


def test_a_second_scheduler_in_the_folder_says_who_runs_and_ends_with_1(start: Start) -> None:
    first = start("daily 02:00")
    until(lambda: lease.owner(LOCK) and "next run" in said())
    second = Repository(Path.cwd()).run("churn-drift", "run", "--schedule", "hourly", code=1)
    assert f"process {first.pid} on " in second
    assert first.poll() is None


def test_run_now_reaches_the_scheduler_and_status_shows_the_run(
    start: Start, run: Callable[..., tuple[int, str]]
) -> None:
    start("daily 02:00")
    until(lambda: lease.owner(LOCK) and "next run" in said())
    assert run("schedule", "status", "--check") == (0, "healthy\n")
    code, told = run("schedule", "run-now")
    assert (code, told.startswith("asked the scheduler (process ")) == (0, True)
    until(began)
    code, told = run("schedule", "status")
    assert code == 0
    for part in ("daily 02:00, UTC", "next run", "run (now) since", "backlog", "healthy"):
        assert part in told
    Path("go").write_text("")
    until(history.read)
    assert [(run.exit, run.trigger) for run in history.read()] == [(0, "now")]


def test_a_run_that_dies_without_a_word_is_told(start: Start) -> None:
    Path("go").write_text("die")
    start("every 1 second")
    until(lambda: "A run died without a word: SIGKILL" in said())
    assert history.read()[0].exit == -9


def test_a_scheduler_whose_output_nobody_reads_any_more_goes_on(folder: Path) -> None:
    Path("go").write_text("")
    command = [sys.executable, "scheduler.py", "every 1 second"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        process.stdout.close()
        until(lambda: len(history.read()) == 2)
        assert process.poll() is None
        process.terminate()
    assert {run.exit for run in history.read()} == {0}
    assert health.read()["status"] == "stopped"
