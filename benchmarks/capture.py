"""What the inference log costs: `put`, the threads beside, the disk.

    python benchmarks/capture.py [SECONDS]

Simulated customers, typed as the server types them; files in a scratch folder. Whole CPU time of the process, all its
threads: on a busy server that is what a request pays, whoever spends it.
"""

import csv
import io
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pyarrow
from row import as_sent  # beside this file

from churn_drift import schema
from churn_drift.capture import store
from churn_drift.capture.form import Exchange
from churn_drift.capture.place import journals, sealed
from churn_drift.capture.recorder import Limits, Recorder
from churn_drift.data.simulator import load_statistics, simulate
from churn_drift.serving.contract import typed

ROWS = 20_000
RATES = (100, 1_000, 3_000)


def main() -> None:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 5.0
    records = customers(ROWS)
    print(f"put: {put_alone(records):.2f} us (an Exchange of one customer made and put, nobody writing)\n")
    print("one customer a request:")
    print(
        f"{'a second':>10}{'written':>9}{'dropped':>9}{'CPU, us a row':>15}{'of a core':>11}{'bytes a row, open':>19}"
    )
    for rate in RATES:
        paced(records, rate=rate, seconds=seconds, observed=False)
    print("the same with a table every five seconds to look at:")
    for rate in RATES:
        paced(records, rate=rate, seconds=seconds, observed=True)
    print()
    flood(records)
    tables(records)


def put_alone(records: list[dict[str, Any]]) -> float:
    with tempfile.TemporaryDirectory() as folder:
        recorder = Recorder(folder, limits=Limits(records=len(records)))
        start = time.thread_time()
        for number, record in enumerate(records):
            recorder.put(one(number, record))
        return 1e6 * (time.thread_time() - start) / len(records)


def paced(records: list[dict[str, Any]], *, rate: int, seconds: float, observed: bool) -> None:
    """Requests at a rate; the CPU time beside that of an equal loop without a log, sealing included."""
    with tempfile.TemporaryDirectory() as folder:
        recorder = Recorder(folder, observe=(lambda table: table.num_rows) if observed else None)
        idle = loop(records, rate=rate, seconds=seconds, put=len)
        recorder.start()
        busy = loop(records, rate=rate, seconds=seconds, put=recorder.put)
        size = sum(path.stat().st_size for path in journals(Path(folder)).values())
        before = cpu()
        recorder.close()
        taken = busy - idle + cpu() - before
        counts = recorder.counts
        rows = max(counts.written, 1)
        print(
            f"{rate:10,}{counts.written:9,}{counts.dropped:9,}{1e6 * taken / rows:15.1f}"
            f"{taken / seconds:11.1%}{size / rows:19,.0f}"
        )


def loop(records: list[dict[str, Any]], *, rate: int, seconds: float, put: Any) -> float:
    """CPU seconds."""
    start, before = time.perf_counter(), cpu()
    for number in range(int(rate * seconds)):
        ahead = start + number / rate - time.perf_counter()
        if ahead > 0.001:
            time.sleep(ahead)
        put(one(number, records[number % len(records)]))
    return cpu() - before


def flood(records: list[dict[str, Any]]) -> None:
    """As fast as the log takes them."""
    with tempfile.TemporaryDirectory() as folder:
        recorder = Recorder(folder, limits=Limits(records=5 * len(records)))
        for number in range(5 * len(records)):
            recorder.put(one(number, records[number % len(records)]))
        before, start = cpu(), time.perf_counter()
        recorder.start()
        recorder.close()
        rows, wall, taken = recorder.counts.written, time.perf_counter() - start, cpu() - before
        size = sum(path.stat().st_size for path in sealed(Path(folder)).values())
        print(
            f"{rows:,} single customers at once: {rows / wall:,.0f} a second, "
            f"{1e6 * taken / rows:.1f} us of CPU a row, {size / rows:,.0f} bytes a row sealed"
        )
        assert store.read(folder).num_rows == rows


def tables(records: list[dict[str, Any]]) -> None:
    """Batch files of 10,000 customers."""
    names = [column.name for column in schema.RECORD]
    table = pyarrow.Table.from_pylist([{name: record[name] for name in names} for record in records[:10_000]])
    number = list(range(10_000))
    with tempfile.TemporaryDirectory() as folder:
        recorder = Recorder(folder)
        for batch in range(10):
            recorder.put(Exchange(f"{batch}", time.time(), "v", number, table, [0.5] * 10_000, [True] * 10_000))
        before = cpu()
        recorder.start()
        recorder.close()
        rows = recorder.counts.written
        print(f"{rows:,} customers of ten batch files: {1e6 * (cpu() - before) / rows:.1f} us of CPU a row")


def one(number: int, record: dict[str, Any]) -> Exchange:
    return Exchange(f"{number:016x}", time.time(), "0123456789ab", (number,), (record,), (0.312345,), (False,))


def customers(rows: int) -> list[dict[str, Any]]:
    text = simulate(load_statistics(), rows=rows, seed=1).to_csv(index=False, na_rep="NA")
    sent = [{n: as_sent(c, schema.BY_NAME[n]) for n, c in row.items()} for row in csv.DictReader(io.StringIO(text))]
    return [typed(record, zero_is_missing=True)[0] for record in sent]


def cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
