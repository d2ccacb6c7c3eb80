"""A killed process: everything that it had written is there, once, and every file opens."""

import signal
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

from pyarrow import parquet

from churn_drift.capture import store
from churn_drift.capture.recorder import Limits, Recorder
from tests.contracts.reach import ROOT

RECORDS = """
import sys, time
from churn_drift.capture.recorder import Limits, Recorder
from tests.capture.conftest import exchange

recorder = Recorder(sys.argv[1], limits=Limits(write=0.005, sync=0.01, journal=40_000))
recorder.start()
put = 0
while True:
    written = recorder.counts.written
    print(written, flush=True)
    time.sleep(0.001)  # a request now and then
    if put < written + 50:
        recorder.put(exchange(int(sys.argv[2]) + put))
        put += 1
"""
PROCESSES = 3
APART = 10**6


def started(folder: Path, number: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", RECORDS, str(folder), str(number * APART)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def killed_after(process: subprocess.Popen[str], rows: int) -> int:
    """How many rows it had written, as the last that it said of itself."""
    assert process.stdout is not None
    for line in process.stdout:
        if int(line) >= rows:
            break
    process.send_signal(signal.SIGKILL)
    rest = process.stdout.read().split("\n")
    process.wait()
    process.stdout.close()
    return int(rest[-2]) if len(rest) > 1 else rows


def customers(folder: Path) -> list[int]:
    return store.read(folder)["CustomerID"].to_pylist()


def test_killed_processes_lose_no_row_that_counts_as_written_and_leave_no_broken_file(folder):
    processes = [started(folder, number) for number in range(PROCESSES)]
    seen = [customers(folder) for _ in range(5) if all(process.stdout.readline() for process in processes)]
    written = [killed_after(process, rows) for process, rows in zip(processes, (1, 200, 400), strict=True)]
    before = customers(folder)
    recorder = Recorder(folder, limits=Limits(write=0.01, sync=0.01))
    recorder.start()
    recorder.close()
    found = customers(folder)
    assert found == before
    for earlier, later in pairwise([*seen, found]):  # read while rows came and journals were sealed
        assert len(set(later)) == len(later)
        assert set(earlier) <= set(later)
    for number in range(PROCESSES):
        own = sorted(customer - number * APART for customer in found if customer // APART == number)
        assert len(own) >= written[number] > 0
    assert list((folder / "open").iterdir()) == []
    sealed = list(folder.glob("date=*/hour=*/*"))
    assert sum(parquet.ParquetFile(path).metadata.num_rows for path in sealed) == len(found)
