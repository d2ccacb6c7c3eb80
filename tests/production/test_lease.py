"""One at a time, whoever dies."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from churn_drift.errors import PipelineError
from churn_drift.production import lease

HOLDER = """
import subprocess, sys, time
from pathlib import Path
from churn_drift.production import lease
with lease.taken(Path(sys.argv[1]), what="run", children=sys.argv[2] == "all"):
    child = subprocess.Popen(["sleep", "600"])
    print(child.pid, flush=True)
    time.sleep(600)
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "run.lock"


@pytest.fixture
def holder(path: Path):
    """Starts a process that takes the lease and starts a child; both process numbers."""
    started: list[tuple[subprocess.Popen[str], int]] = []

    def start(children: str) -> tuple[int, int]:
        command = [sys.executable, "-c", HOLDER, str(path), children]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert process.stdout
        started.append((process, int(process.stdout.readline())))
        return process.pid, started[-1][1]

    yield start
    for process, child in started:
        for pid in (process.pid, child):
            kill(pid)
        process.communicate()


def kill(pid: int) -> None:
    """-9, and wait until it is gone."""
    try:
        process = psutil.Process(pid)
        process.kill()
        process.wait()
    except psutil.NoSuchProcess:
        return


def reap(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


def test_who_comes_second_is_told_who_holds_it(path: Path) -> None:
    with lease.taken(path, what="run"):
        held = lease.owner(path)
        assert held is not None
        assert (held.pid, held.what) == (os.getpid(), "run")
        said = rf"a run is running \(process {os.getpid()} on .* since 20"
        with pytest.raises(PipelineError, match=said), lease.taken(path, what="scheduler"):
            pytest.fail("two hold it")


def test_it_is_free_once_given_back_even_where_the_block_failed(path: Path) -> None:
    with pytest.raises(RuntimeError), lease.taken(path, what="run"):
        raise RuntimeError
    assert lease.owner(path) is None
    with lease.taken(path, what="run") as left:
        assert left is None


def test_that_of_a_killed_process_is_taken_over_at_once_saying_whose_it_was(path: Path, holder) -> None:
    pid, child = holder("none")
    reap(pid)
    assert psutil.pid_exists(child)
    assert lease.owner(path) is None
    with lease.taken(path, what="run") as left:
        assert left is not None
        assert left.pid == pid
    with lease.taken(path, what="run") as left:
        assert left is None


def test_what_a_killed_process_has_started_holds_it_until_that_has_ended(path: Path, holder) -> None:
    pid, child = holder("all")
    reap(pid)
    with (
        pytest.raises(PipelineError, match=rf"process {pid} .*has ended, but what it started still runs"),
        lease.taken(path, what="run"),
    ):
        pytest.fail("two hold it")
    kill(child)
    with lease.taken(path, what="run") as left:
        assert left is not None
        assert left.pid == pid


def test_its_owner_gives_a_sign_of_life(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease, "BEAT", 0.01)
    monkeypatch.setattr(lease, "_now", lambda: str(time.monotonic_ns()))
    with lease.taken(path, what="run"):
        first = lease.owner(path)
        assert first is not None
        end = time.monotonic() + 60
        while (later := lease.owner(path)) == first:
            assert time.monotonic() < end
        assert later is not None
        assert later.since == first.since
        assert int(later.at) > int(first.at)


def test_a_name_that_a_power_loss_has_cut_off_is_an_unknown_one(path: Path) -> None:
    path.parent.mkdir()
    path.with_suffix(".json").write_text('{"pid": 1')
    with lease.taken(path, what="run") as left:
        assert left is not None
        assert left.host == "unknown"


def test_a_process_without_standard_input_takes_and_hands_it_on_too(path: Path) -> None:
    code = (
        "import os, sys; from pathlib import Path; from churn_drift.production import lease\n"
        "with lease.taken(Path(sys.argv[1]), what='run'): os.system('cat'); print('held')\n"
        "print(lease.owner(Path(sys.argv[1])))"
    )
    command = ["sh", "-c", 'exec "$@" <&-', "sh", sys.executable, "-c", code, str(path)]
    assert subprocess.run(command, check=True, capture_output=True, text=True).stdout.split() == ["held", "None"]


def test_standard_input_is_given_back(path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from churn_drift.production import lease\n"
        "with lease.taken(Path(sys.argv[1]), what='run'): pass\n"
        "print(sys.stdin.read())"
    )
    command = [sys.executable, "-c", code, str(path)]
    assert (
        subprocess.run(command, check=True, capture_output=True, text=True, input="still here").stdout == "still here\n"
    )
