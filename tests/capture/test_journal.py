"""A journal gives back what was written whole, however its process ended; it is sealed by one, and once."""

import io
import os
import shutil
import threading
from pathlib import Path

import pytest
from pyarrow import parquet

from churn_drift.capture import journal as journals
from churn_drift.capture import place, store
from churn_drift.capture.form import table_of
from churn_drift.capture.journal import Desk, Journal, Sealed, read_frames, recover, seal
from tests.capture.conftest import NIGHT, exchange, files

HOUR = place.hour_of(NIGHT)


def abandoned(folder: Path, *numbers: int) -> Path:
    """The journal of a process that has ended without sealing it."""
    desk = Desk(folder)
    journal = written(desk, *numbers)
    journal.close()
    desk.leave()
    return journal.path


def written(desk: Desk, *numbers: int) -> Journal:
    journal = desk.journal(HOUR)
    for number in numbers:
        journal.append(table_of([(exchange(number), None)]))
    return journal


def read(content: bytes) -> tuple[int, bool]:
    """The batches in a journal, and whether something is behind them."""
    stream = io.BytesIO(content)
    return sum(1 for _ in read_frames(stream)), bool(stream.read(1))


def customers(folder: Path) -> list[int]:
    return store.read(folder)["CustomerID"].to_pylist()


def test_cut_at_any_byte_a_journal_gives_the_rows_that_are_whole(folder):
    path = abandoned(folder, 1, 2, 3)
    content = path.read_bytes()
    ends = [end for end in range(len(content) + 1) if not read(content[:end])[1]]
    assert len(ends) == 5  # nothing, the schema, and each of three rows
    for end in range(0, len(content), 97):
        batches, torn = read(content[:end])
        assert batches == max(0, sum(whole <= end for whole in ends) - 2)
        assert torn == (end not in ends)


def test_a_large_journal_is_sealed_a_part_at_a_time_and_none_of_its_rows_is_lost(folder, monkeypatch):
    monkeypatch.setattr(journals, "_PART", 30_000)
    abandoned(folder, *range(20))
    assert [*recover(folder)] == [Sealed(rows=20, torn=False)]
    (name,) = files(folder, "date=2026-11-23/hour=22/*.parquet")
    assert 1 < parquet.ParquetFile(folder / name).metadata.num_row_groups < 20
    assert customers(folder) == [*range(20)]


@pytest.mark.parametrize("tail", [bytes(4096), b"\xff" * 4096])
def test_what_a_dead_machine_left_behind_the_rows_is_cut_off(folder, tail):
    path = abandoned(folder, 1, 2)
    path.write_bytes(path.read_bytes() + tail)
    assert [*recover(folder)] == [Sealed(rows=2, torn=True)]
    assert customers(folder) == [1, 2]


def test_a_flipped_bit_costs_the_rows_from_there_on_and_is_noticed(folder):
    path = abandoned(folder, 1, 2)
    content = bytearray(path.read_bytes())
    content[-100] ^= 1
    path.write_bytes(content)
    assert [*recover(folder)] == [Sealed(rows=1, torn=True)]
    assert customers(folder) == [1]


def test_what_the_dead_have_left_is_sealed_and_their_folder_goes(folder):
    abandoned(folder, 1, 2)
    assert [*recover(folder)] == [Sealed(rows=2, torn=False)]
    assert len(files(folder, "date=2026-11-23/hour=22/*.parquet")) == 1
    assert files(folder, "open/*") == []


def test_the_journal_of_a_living_process_is_left_alone_and_read(folder):
    desk = Desk(folder)
    journal = written(desk, 1)
    assert [*recover(folder)] == []
    assert customers(folder) == [1]
    journal.append(table_of([(exchange(2), None)]))
    assert customers(folder) == [1, 2]
    journal.close()
    desk.leave()


def test_a_process_that_died_between_the_new_file_and_the_old_doubles_no_row(folder):
    path = abandoned(folder, 1, 2)
    copy = folder / "copy"
    shutil.copytree(path.parent, copy)
    assert [*recover(folder)] == [Sealed(rows=2, torn=False)]
    copy.rename(path.parent)
    beside = folder / "date=2026-11-23/hour=22" / f".{path.stem.partition('_')[2]}.parquet.1.part"
    beside.write_bytes(b"half a file")
    assert customers(folder) == [1, 2]
    assert [*recover(folder)] == [Sealed(rows=2, torn=False)]
    assert customers(folder) == [1, 2]
    assert not beside.exists()


def test_of_many_who_recover_at_once_one_does(folder):
    for number in range(6):
        abandoned(folder, number)
    found, start = [], threading.Barrier(4)

    def work() -> None:
        start.wait()
        found.extend(recover(folder))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [Sealed(rows=1, torn=False)] * 6
    assert customers(folder) == [0, 1, 2, 3, 4, 5]


def test_a_folder_that_nobody_finished_clearing_goes(folder):
    (folder / place.OPEN / "1-abcd").mkdir(parents=True)
    assert [*recover(folder)] == []
    assert files(folder, "open/*") == []


def test_rows_that_do_not_fit_on_the_disk_leave_the_journal_as_it_was(small_disk):
    desk = Desk(small_disk)
    journal = written(desk, 1)
    before = journal.path.read_bytes()
    with pytest.raises(OSError, match="No space left"):
        journal.append(table_of([(exchange(2, many=2000), None)]))
    assert journal.path.read_bytes() == before
    journal.append(table_of([(exchange(3), None)]))
    assert customers(small_disk) == [1, 3]
    journal.close()
    seal(journal.path, small_disk)
    desk.leave()
    assert customers(small_disk) == [1, 3]


def test_folders_and_files_are_for_their_owner_only(folder):
    before = os.umask(0)
    try:
        desk = Desk(folder)
        journal = written(desk, 1)
        modes = {path.relative_to(folder): path.stat().st_mode & 0o777 for path in folder.rglob("*")}
        journal.close()
        desk.leave()
        assert [*recover(folder)]
        modes |= {path.relative_to(folder): path.stat().st_mode & 0o777 for path in [folder, *folder.rglob("*")]}
    finally:
        os.umask(before)
    assert len(modes) == 8
    for path, mode in modes.items():
        assert mode == (0o600 if path.suffix or path.name == "lock" else 0o700), path
