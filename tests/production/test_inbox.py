"""Files in a folder: which are whole, which leave, and that none is overwritten or thrown away unseen."""

import os
from pathlib import Path

import pytest

from churn_drift.errors import ConfigError
from churn_drift.production.inbox import LocalInbox, quiet_seconds

NOW = 1_800_000_000.0


@pytest.fixture
def inbox(tmp_path: Path) -> LocalInbox:
    (tmp_path / "inbox").mkdir()
    (tmp_path / "copies").mkdir()
    return LocalInbox(tmp_path / "inbox", tmp_path / "quarantine", quiet=5, clock=lambda: NOW)


@pytest.fixture
def drop(tmp_path: Path):
    """Puts a file into the inbox, written some seconds ago."""

    def put(name: str, content: str = "content", *, age: float = 60.0) -> Path:
        path = tmp_path / "inbox" / name
        path.write_text(content)
        os.utime(path, (NOW - age, NOW - age))
        return path

    return put


def test_a_folder_that_is_not_there_is_an_empty_inbox(tmp_path: Path) -> None:
    assert LocalInbox(tmp_path / "no").waiting() == []


def test_whole_csv_files_wait_in_order_of_name(inbox, drop) -> None:
    for name in ("b.csv", "a.csv.gz", ".c.csv", "d.csv.part", "e.csv.tmp", "f.txt", "g.parquet"):
        drop(name)
    (drop("h").parent / "i.csv").mkdir()
    assert inbox.waiting() == ["a.csv.gz", "b.csv"]


def test_files_that_are_no_csv_by_their_name_are_told_and_those_that_are_being_written_are_not(inbox, drop) -> None:
    for name in ("b.csv", "a.csv.gz", ".c.xlsx", "d.csv.part", "e.csv.tmp", "g.parquet", "f.CSV"):
        drop(name)
    (drop("h.csv").parent / "i").mkdir()
    assert inbox.left_alone() == ["f.CSV", "g.parquet"]


def test_a_file_that_was_written_a_moment_ago_is_still_arriving(inbox, drop) -> None:
    drop("young.csv", age=4.9)
    drop("old.csv", age=5.1)
    assert inbox.waiting() == ["old.csv"]
    assert inbox.arriving() == ["young.csv"]


def test_a_clock_that_was_set_back_does_not_hold_a_file_for_ever(inbox, drop) -> None:
    drop("of_tomorrow.csv", age=-86_400)
    assert inbox.waiting() == ["of_tomorrow.csv"]


def test_a_settled_file_is_gone_and_settling_twice_is_once(inbox, drop, tmp_path) -> None:
    path = drop("a.csv")
    inbox.fetch("a.csv", tmp_path / "copies")
    inbox.settle("a.csv")
    inbox.settle("a.csv")
    assert list(path.parent.iterdir()) == []


@pytest.mark.parametrize("leave", ["settle", "refuse"])
def test_what_has_come_under_the_name_meanwhile_stays_and_waits(inbox, drop, tmp_path, leave) -> None:
    drop("a.csv", "first")
    inbox.fetch("a.csv", tmp_path / "copies")
    path = drop("a.csv", "other", age=50)
    inbox.settle("a.csv") if leave == "settle" else inbox.refuse("a.csv", "why")
    assert path.read_text() == "other"
    assert inbox.waiting() == ["a.csv"]


def test_what_a_killed_run_had_put_aside_waits_again(inbox, drop, tmp_path) -> None:
    drop(".a.csv.taken", "first")
    drop("b.csv", "newer")
    drop(".b.csv.taken", "first")
    assert [name[:2] for name in inbox.waiting()] == ["a.", "b.", "b."]
    assert sorted(path.read_text() for path in (tmp_path / "inbox").iterdir()) == ["first", "first", "newer"]


def test_a_refused_file_lies_in_the_quarantine_beside_its_reason(inbox, drop, tmp_path) -> None:
    drop("a.csv", "bad")
    where = inbox.refuse("a.csv", "a.csv: row 3: no")
    assert where == str(tmp_path / "quarantine/a.csv")
    assert Path(where).read_text() == "bad"
    assert Path(f"{where}.error.txt").read_text().startswith("a.csv: row 3: no\n")
    assert inbox.waiting() == []


def test_refusing_twice_is_once_and_no_other_file_is_overwritten(inbox, drop, tmp_path) -> None:
    quarantine = tmp_path / "quarantine"
    for content in ("one", "two", "one", "two"):
        drop("a.csv", content)
        inbox.refuse("a.csv", content)
        inbox.refuse("a.csv", content)
    found = {path.read_text() for path in quarantine.glob("*.csv")}
    assert found == {"one", "two"}
    assert len(list(quarantine.iterdir())) == 4


def test_a_quarantine_on_another_disk_gets_the_file_too(inbox, drop, tmp_path, monkeypatch) -> None:
    def crosses(self: Path, target: Path) -> Path:
        if self.parent.name == "inbox":
            raise OSError(18, "Invalid cross-device link")
        return self.rename(target)

    monkeypatch.setattr(Path, "replace", crosses)
    path = drop("a.csv", "bad")
    assert Path(inbox.refuse("a.csv", "why")).read_text() == "bad"
    assert not path.exists()


def test_a_name_of_any_bytes_can_be_printed_and_is_refused_like_others(inbox, drop, tmp_path) -> None:
    name = os.fsdecode(b"a\n\xff\x1b[31m.csv")
    drop(name, "bad")
    assert inbox.waiting() == [name]
    where = inbox.refuse(name, "why")
    assert where.isprintable()
    assert where.endswith(r"a\x0a\xff\x1b[31m.csv")
    assert (tmp_path / "quarantine" / name).read_text() == "bad"


@pytest.mark.parametrize("said", ["soon", "-1", "inf", "nan"])
def test_a_quiet_time_that_is_no_number_of_seconds_is_named(said: str) -> None:
    with pytest.raises(ConfigError, match=f"INBOX_QUIET_SECONDS: '{said}' is no number of seconds"):
        quiet_seconds({"INBOX_QUIET_SECONDS": said})
