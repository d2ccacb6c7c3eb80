"""What a recorder does with what is put: all of it is written, and nothing that goes wrong reaches who puts."""

import logging
import shutil
import threading
from datetime import UTC, datetime
from pathlib import Path

import pyarrow
import pytest
from pyarrow import parquet

from churn_drift import schema
from churn_drift.capture import recorder as recorders
from churn_drift.capture import store
from churn_drift.capture.fields import fields_of
from churn_drift.capture.form import FORM
from churn_drift.capture.recorder import Counts, Limits, Recorder
from churn_drift.capture.waiting import Latest
from tests.capture.conftest import NIGHT, QUICK, exchange, files, record
from tests.remote.conftest import wait_for

SEALED = "date=*/hour=*/*.parquet"


def customers(folder: Path) -> list[int]:
    return store.read(folder)["CustomerID"].to_pylist()


def test_what_was_put_lies_in_one_file_after_the_end(folder, recording):
    recorder = recording(folder)
    for number in range(50):
        recorder.put(exchange(number))
    recorder.close()
    assert recorder.counts == Counts(written=50, dropped=0, errors=0, torn=0)
    (name,) = files(folder, SEALED)
    assert name.startswith("date=2026-11-23/hour=22/")
    assert files(folder, "open/*") == []
    table = parquet.read_table(folder / name, partitioning=None)
    assert table.schema == FORM
    assert sorted(table["CustomerID"].to_pylist()) == list(range(50))


def test_what_was_put_can_be_read_before_anything_is_sealed(folder, recording):
    recorder = recording(folder)
    recorder.put(exchange(1))
    wait_for(lambda: recorder.counts.written == 1)
    assert files(folder, SEALED) == []
    assert customers(folder) == [1]


def test_a_journal_is_sealed_when_its_hour_has_ended_and_late_rows_follow_it(folder, recording):
    now = [NIGHT]
    recorder = recording(folder, clock=lambda: now[0])
    recorder.put(exchange(1))
    wait_for(lambda: recorder.counts.written == 1)
    now[0] = datetime(2026, 11, 23, 23, 0, 5, tzinfo=UTC).timestamp()
    wait_for(lambda: len(files(folder, SEALED)) == 1)
    recorder.put(exchange(2, at=NIGHT + 1))
    recorder.put(exchange(3, at=now[0]))
    wait_for(lambda: len(files(folder, SEALED)) == 2)
    wait_for(lambda: len(files(folder, "open/*/*.rows")) == 1)
    recorder.close()
    assert [name.partition("/hour=")[2][:2] for name in files(folder, SEALED)] == ["22", "22", "23"]
    assert customers(folder) == [1, 2, 3]


def test_a_large_journal_is_sealed_before_its_hour_ends(folder, recording):
    recorder = recording(folder, limits=Limits(write=0.01, sync=0.01, journal=20_000))
    recorder.put(exchange(0, many=100))
    wait_for(lambda: len(files(folder, SEALED)) == 1)
    recorder.put(exchange(100))
    recorder.close()
    assert len(files(folder, SEALED)) == 2
    assert customers(folder) == list(range(101))


def test_while_the_writer_is_stuck_putting_goes_on_and_what_is_too_much_is_dropped_and_counted(
    folder, recording, caplog
):
    stuck, release = threading.Event(), threading.Event()

    def shadow(_):
        stuck.set()
        assert release.wait(60)

    recorder = recording(folder, shadow=shadow, limits=Limits(records=10, tables=10, write=0.01, sync=0.01))
    recorder.put(exchange(0))
    assert stuck.wait(30)
    for number in range(1, 31):
        recorder.put(exchange(number))
    assert recorder.counts.dropped == 20
    wait_for(lambda: "drops customers, 20 so far" in caplog.text)
    release.set()
    wait_for(lambda: recorder.counts.written == 11)
    recorder.close()
    assert recorder.counts == Counts(written=11, dropped=20, errors=0, torn=0)
    assert customers(folder) == list(range(11))
    assert caplog.text.count("drops customers") == 1


def test_a_table_that_is_larger_than_what_is_held_is_taken_alone_and_costs_single_customers_no_place(folder):
    recorder = Recorder(folder, limits=Limits(records=2, tables=2, write=0.01, sync=0.01))
    table = pyarrow.Table.from_pylist([record(number) for number in range(5)])
    recorder.put(exchange(0, many=5, records=table))
    recorder.put(exchange(5, many=5, records=table))
    recorder.put(exchange(10, many=2))
    recorder.put(exchange(12))
    assert recorder.counts.dropped == 5 + 1
    recorder.start()
    recorder.close()
    assert customers(folder) == [0, 1, 2, 3, 4, 10, 11]


def test_a_file_of_customers_is_written_in_parts_and_read_whole(folder, recording, monkeypatch):
    monkeypatch.setattr(recorders, "_PART", 7)
    asked = []

    def shadow(part):
        asked.append(len(part))
        return "challenger", [each / 100 for each in part.customers]

    recorder = recording(folder, shadow=shadow)
    table = pyarrow.Table.from_pylist([record(number) for number in range(30)])
    recorder.put(exchange(0, many=30, records=table))
    recorder.close()
    rows = store.read(folder).to_pylist()
    assert asked == [7, 7, 7, 7, 2]
    assert [(row["place"], row["CustomerID"]) for row in rows] == [(number, number) for number in range(30)]
    assert [row["shadow_probability"] for row in rows] == [number / 100 for number in range(30)]
    assert [row["MonthlyMinutes"] for row in rows] == [float(number) for number in range(30)]


def test_without_a_challenger_nobody_is_asked(folder, recording):
    recorder = recording(folder, shadow=lambda _: 1 // 0, shadowing=lambda: False)
    recorder.put(exchange(1))
    recorder.close()
    assert recorder.counts == Counts(written=1)


def test_many_rows_are_observed_before_their_time(folder, recording, monkeypatch):
    monkeypatch.setattr(recorders, "_MANY", 5)
    seen = []
    slow = Limits(write=0.01, sync=3600, observe=3600)
    recorder = recording(folder, limits=slow, observe=lambda table: seen.append(table.num_rows))
    recorder.put(exchange(0, many=4))
    wait_for(lambda: recorder.counts.written == 4)
    assert seen == []
    recorder.put(exchange(4))
    wait_for(lambda: seen == [5])


def test_of_rows_that_wait_to_be_observed_the_oldest_go():
    latest = Latest(rows=5)
    for number in range(4):
        latest.put(pyarrow.table({"row": [number] * 2}))
    assert latest.rows == 4
    assert [table["row"].to_pylist() for table in latest.take()] == [[2, 2], [3, 3]]
    assert (latest.rows, latest.take()) == (0, [])


def test_what_comes_after_the_end_is_dropped(folder, recording):
    recorder = recording(folder)
    recorder.close()
    recorder.put(exchange(1))
    assert recorder.counts.dropped == 1


def test_fields_that_may_not_be_stored_stand_in_no_file_but_are_observed(folder, recording):
    seen = []
    recorder = recording(folder, fields=fields_of("CustomerID,PrizmCode"), observe=seen.append)
    recorder.put(exchange(1))
    recorder.close()
    columns = store.read(folder).column_names
    assert [name for name in columns if name in schema.BY_NAME] == ["CustomerID", "PrizmCode"]
    assert b"level 1" in b"".join(path.read_bytes() for path in folder.rglob("*.parquet"))  # PrizmCode
    assert b"ServiceArea" not in b"".join(path.read_bytes() for path in folder.rglob("*.parquet"))
    assert pyarrow.concat_tables(seen).schema == FORM
    assert pyarrow.concat_tables(seen)["ServiceArea"].to_pylist() == ["level 1"]


def test_what_a_challenger_says_beside_stands_in_the_row(folder, recording):
    recorder = recording(folder, shadow=lambda each: ("challenger", [0.5] * len(each)))
    recorder.put(exchange(1, many=2))
    recorder.close()
    assert (
        store.read(folder).select(["shadow_version", "shadow_probability"]).to_pylist()
        == [{"shadow_version": "challenger", "shadow_probability": 0.5}] * 2
    )


@pytest.mark.parametrize("said", [RuntimeError("customer 3000010"), ("challenger", [0.5, 0.5])])
def test_a_challenger_that_fails_costs_no_row_and_is_told_of_once_without_a_value(folder, recording, caplog, said):
    def shadow(_):
        if isinstance(said, Exception):
            raise said
        return said

    with caplog.at_level(logging.INFO):
        recorder = recording(folder, shadow=shadow)
        for number in range(5):
            recorder.put(exchange(number))
        recorder.close()
    assert recorder.counts == Counts(written=5, dropped=0, errors=5, torn=0)
    assert customers(folder) == [0, 1, 2, 3, 4]
    assert caplog.text.count("the inference log: shadow fails") == 1
    assert "3000010" not in caplog.text


def test_who_looks_on_and_fails_costs_no_row(folder, recording):
    recorder = recording(folder, observe=lambda table: 1 // 0)
    recorder.put(exchange(1))
    recorder.close()
    assert recorder.counts == Counts(written=1, dropped=0, errors=1, torn=0)


def test_who_counts_is_told_the_last_counts_at_the_end(folder, recording):
    told = []
    recorder = recording(folder, counted=told.append)
    recorder.put(exchange(1))
    recorder.close()
    assert told[-1] == recorder.counts == Counts(written=1)


def test_values_that_no_row_can_hold_cost_no_other_request_its_row_and_are_not_told(folder, caplog):
    recorder = Recorder(folder, limits=QUICK)
    recorder.put(exchange(1))
    recorder.put(exchange(2, records=[{**record(2), "MonthlyRevenue": "secret"}]))
    recorder.put(exchange(3))
    recorder.start()
    recorder.close()
    assert recorder.counts == Counts(written=2, dropped=1, errors=1, torn=0)
    assert customers(folder) == [1, 3]
    assert "forming fails: ArrowInvalid" in caplog.text
    assert "secret" not in caplog.text


def test_a_log_that_somebody_removes_begins_again(folder, recording):
    recorder = recording(folder)
    recorder.put(exchange(1))
    wait_for(lambda: recorder.counts.written == 1)
    shutil.rmtree(folder)
    recorder.put(exchange(2))
    wait_for(lambda: recorder.counts.written == 2)
    recorder.put(exchange(3))
    recorder.close()
    assert customers(folder)[-1:] == [3]


def test_what_a_former_process_left_is_sealed_at_the_start(folder, recording):
    first = Recorder(folder, limits=QUICK)
    first.put(exchange(1))
    first._write(last=False)
    first._desk.leave()
    recording(folder)
    wait_for(lambda: len(files(folder, SEALED)) == 1)
    assert customers(folder) == [1]


def test_a_full_disk_costs_rows_but_neither_files_nor_requests_nor_the_rows_after_it(small_disk, recording, caplog):
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(128 * 1024))
    recorder = recording(small_disk, limits=Limits(records=20, write=0.01, sync=0.01))
    number = 0
    with caplog.at_level(logging.INFO):
        while not (recorder.counts.errors and recorder.counts.dropped):
            recorder.put(exchange(number))
            number += 1
        found = customers(small_disk)
        ballast.unlink()
        wait_for(lambda: "writing works again" in caplog.text)
        recorder.put(exchange(number))
        recorder.close()
    counts = recorder.counts
    assert counts.written + counts.dropped == number + 1
    after = customers(small_disk)
    assert len(after) == len(set(after)) == counts.written
    assert after[: len(found)] == found
    assert after[-1] == number
    assert files(small_disk, "open/*") == files(small_disk, "date=*/hour=*/.*") == []
    assert caplog.text.count("writing fails: [Errno 28] No space left on device") == 1


def test_what_a_full_disk_does_not_take_until_the_end_counts_as_dropped(small_disk, recording):
    (small_disk / "ballast").write_bytes(bytes(128 * 1024))
    recorder = recording(small_disk, limits=Limits(records=20, write=0.01, sync=0.01))
    number = 0
    while not recorder.counts.dropped or not recorder.counts.errors:
        recorder.put(exchange(number))
        number += 1
    recorder.close()
    counts = recorder.counts
    assert counts.written + counts.dropped == number
    assert len(customers(small_disk)) == counts.written
