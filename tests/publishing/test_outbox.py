import multiprocessing
import os
import shutil
import time
from pathlib import Path

import pytest

from churn_drift.errors import PipelineError
from churn_drift.publishing import address, lock, outbox, record, trees
from churn_drift.publishing.record import Lineage

DIRTY = Lineage("2026-11-23T18:00:00+00:00", "c0ffee", dirty=True)
CLEAN = Lineage("2026-11-24T00:00:00+00:00", "f00d", dirty=False)


def put(lineage: Lineage = DIRTY) -> Path:
    with outbox.alone():
        outbox.put(trees.from_workspace, lineage)
    return outbox.FOLDER / lock.key_of(lock.LOCK.read_bytes())


def test_a_run_that_was_put_lies_in_a_folder_of_its_key_and_can_be_read(here: Path) -> None:
    folder = put()
    assert outbox.waiting() == [folder]
    assert record.read(folder).lineage == DIRTY


def test_a_later_run_does_not_touch_one_that_waits(here: Path) -> None:
    first = put()
    before = record.read(first).summary
    text = (here / "dvc.lock").read_text()
    (here / "dvc.lock").write_text(text.replace("seed: 20", "seed: 21"))
    second = put()
    assert outbox.waiting() == [first, second]
    assert record.read(first).summary == before
    assert record.read(second).params["ingest.seed"] == "21"


def test_the_same_run_twice_waits_once_with_the_better_lineage_and_the_first_time(here: Path) -> None:
    folder = put(DIRTY)
    put(CLEAN)
    put(DIRTY)
    assert outbox.waiting() == [folder]
    assert record.read_lineage(folder) == Lineage(DIRTY.at, CLEAN.commit, dirty=False)


def test_a_run_that_cannot_be_copied_leaves_nothing(here: Path) -> None:
    shutil.rmtree("models/candidate")
    with pytest.raises(PipelineError):
        put()
    assert list(outbox.FOLDER.iterdir()) == []


def test_what_a_killed_call_left_half_written_is_not_waiting_and_goes(here: Path) -> None:
    left = outbox.FOLDER / ".4711.part"
    (left / record.TREE).mkdir(parents=True)
    assert outbox.waiting() == []
    with outbox.alone():
        assert not left.exists()


def test_a_run_that_was_removed_is_gone(here: Path) -> None:
    outbox.remove(put())
    assert outbox.waiting() == []
    assert list(outbox.FOLDER.iterdir()) == []


def test_a_delivery_is_remembered_for_its_store_and_no_other(here: Path) -> None:
    assert outbox.delivered("a", "1") is None
    outbox.FOLDER.mkdir()
    outbox.remember("a", "1", DIRTY)
    outbox.remember("b", "1", CLEAN)
    assert outbox.delivered("a", "1") == DIRTY
    assert outbox.delivered("b", "1") == CLEAN
    assert outbox.delivered("b", "2") is None


def test_a_damaged_memory_is_no_memory(here: Path) -> None:
    outbox.FOLDER.mkdir()
    for content in ("", "[]", "[1]", '{"a": 1}', '{"a": {"1": {"at": 1}}}'):
        outbox.DELIVERED.write_text(content)
        assert outbox.delivered("a", "1") is None
    outbox.remember("a", "1", DIRTY)
    assert outbox.delivered("a", "1") == DIRTY


def test_one_publisher_waits_for_the_other(here: Path) -> None:
    with outbox.alone():
        waits = multiprocessing.get_context("spawn").Process(target=_note_the_time, args=(str(here),))
        waits.start()
        time.sleep(1.5)
        assert not Path("entered").exists()
    waits.join(10)
    assert Path("entered").exists()


def _note_the_time(folder: str) -> None:
    os.chdir(folder)
    with outbox.alone():
        Path("entered").touch()


def test_a_sqlite_file_that_was_deleted_and_made_again_is_another_store(here: Path) -> None:
    assert address.identity() is None
    file = Path("mlflow.db")
    file.touch()
    first = address.identity()
    assert address.identity() == first
    file.rename("away")
    file.touch()
    assert address.identity() not in (first, None)


def test_the_same_file_in_a_moved_repository_is_another_store(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("mlflow.db").touch()
    first = address.identity()
    moved = here.rename(here.parent / "moved")
    monkeypatch.chdir(moved)
    assert address.identity() != first


def test_a_server_of_another_name_is_another_store_and_needs_no_file(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = set()
    for uri in ("http://a:5000", "http://b:5000", "postgresql://me:secret@c/mlflow"):
        monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
        seen.add(address.identity())
        assert address.exists()
    assert len(seen) == 3
    assert None not in seen


def test_no_password_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://me:secret@host:8443/base")
    assert address.shown() == "https://me@host:8443/base"
    assert "secret" not in address.how_to_see()


def test_the_default_store_is_looked_for_in_the_working_directory(here: Path) -> None:
    assert address.uri() == "sqlite:///mlflow.db"
    assert not address.exists()
    Path("mlflow.db").touch()
    assert address.exists()
    assert address.how_to_see().startswith("`mlflow ui --port 5000`")
