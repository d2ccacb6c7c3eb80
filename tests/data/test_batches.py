"""A folder of batches gives back, by name and in order, what was written."""

import numpy as np
import pytest

from churn_drift import schema
from churn_drift.data import files, io
from churn_drift.data.batch_files import extended, write_batches
from churn_drift.data.batches import BatchFolder
from churn_drift.errors import DataError, PipelineError


@pytest.fixture
def frames(clean_records):
    return [clean_records(20, start=start) for start in (0, 20, 40, 60)]


@pytest.fixture
def folder(tmp_path, frames):
    write_batches(frames, tmp_path / "batches", reference_batches=2, landed=1, zero_is_missing=True)
    return tmp_path / "batches"


def test_batches_come_in_order_and_the_first_are_the_reference(folder):
    batches = BatchFolder(folder)
    assert batches.names == ("batch_00", "batch_01", "batch_02", "batch_03")
    assert batches.reference == ("batch_00", "batch_01")
    assert batches.later == ("batch_02", "batch_03")


def test_more_than_a_hundred_batches_stay_in_order(tmp_path, frames, monkeypatch):
    monkeypatch.setattr(io, "write_frame", lambda frame, path: files.write_bytes(b"", path))
    write_batches(frames[:1] * 101, tmp_path, reference_batches=1, landed=0, zero_is_missing=True)
    assert BatchFolder(tmp_path).names[98:] == ("batch_98", "batch_99", "batch_100")


def test_the_index_tells_rows_origin_and_digest(folder):
    index = files.read_json(folder / "index.json")
    assert [entry["origin"] for entry in index["batches"]] == ["history", "history", "history", "landed"]
    assert [entry["rows"] for entry in index["batches"]] == [20, 20, 20, 20]
    assert index["batches"][1]["sha256"] == files.sha256(folder / "batch_01.parquet")
    assert BatchFolder(folder).sha256("batch_01") == index["batches"][1]["sha256"]


def test_rows_are_the_record_without_id_label_and_retention(folder, frames):
    rows = BatchFolder(folder).rows("batch_02")
    assert rows.customers.tolist() == frames[2][schema.ID].tolist()
    assert list(rows.columns) == [column.name for column in schema.RECORD]
    assert rows.labels.tolist() == frames[2][schema.LABEL].tolist()


def test_labelled_rows_of_several_batches_follow_each_other(tmp_path, frames):
    frames[1].loc[[0, 5], schema.LABEL] = np.nan
    write_batches(frames, tmp_path, reference_batches=2, landed=0, zero_is_missing=True)
    rows = BatchFolder(tmp_path).labelled(["batch_00", "batch_01"])
    expected = [*frames[0][schema.ID], *frames[1][schema.ID].drop([0, 5])]
    assert rows.customers.tolist() == expected
    assert len(rows.labels) == len(rows.columns["Occupation"]) == len(rows.columns["Handsets"]) == 38
    assert not np.isnan(rows.labels).any()


def test_the_same_frames_give_the_same_digests(tmp_path, folder, frames):
    write_batches(frames, tmp_path / "again", reference_batches=2, landed=1, zero_is_missing=True)
    assert (tmp_path / "again" / "index.json").read_bytes() == (folder / "index.json").read_bytes()


def test_a_reference_with_every_label_is_enough(folder):
    BatchFolder(folder).require_labels(("batch_00", "batch_01"))


def test_a_missing_label_in_the_reference_is_refused_with_batch_row_and_customer(tmp_path, frames):
    frames[1].loc[[3, 7], schema.LABEL] = np.nan
    write_batches(frames, tmp_path, reference_batches=2, landed=0, zero_is_missing=True)
    with pytest.raises(DataError) as refused:
        BatchFolder(tmp_path).require_labels(("batch_00", "batch_01"))
    assert str(refused.value).startswith(
        f"{tmp_path}/batch_01.parquet: row 4: Churn: the label of customer {frames[1][schema.ID].iloc[3]} is missing "
        "(2 such rows) in a reference batch; label the rows or lower"
    )


def test_one_batch_more_lies_in_scratch_and_the_folder_stays_as_it_was(folder, tmp_path, clean_records):
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    (tmp_path / "scratch").mkdir()
    longer = extended(folder, clean_records(7, start=80), tmp_path / "scratch")
    assert longer.names == ("batch_00", "batch_01", "batch_02", "batch_03", "batch_04")
    assert longer.reference == ("batch_00", "batch_01")
    assert len(longer.rows("batch_04").customers) == 7
    assert longer.sha256("batch_02") == BatchFolder(folder).sha256("batch_02")
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_a_folder_without_an_index_names_the_command(tmp_path):
    with pytest.raises(PipelineError, match=r"index\.json: not there; `dvc repro` makes it"):
        BatchFolder(tmp_path)
