"""A landed batch is immutable and lands once; labels come later and stay; what is refused leaves no trace."""

import pandas as pd
import pytest

from churn_drift import paths, schema
from churn_drift.data import files, io
from churn_drift.data.batches import BatchFolder
from churn_drift.data.landing import batch_files, label_files, land_batch, land_labels, landed_frames
from churn_drift.errors import DataError
from churn_drift.stages import preprocess, split_batches


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "landed"


@pytest.fixture
def batch(raw_records):
    return raw_records(6)


@pytest.fixture
def records(batch):
    """The batch as it arrives: without labels."""
    return batch.drop(columns="Churn")


@pytest.fixture
def land(folder):
    return lambda raw: land_batch(raw, source="new.csv", folder=folder)


@pytest.fixture
def tell(folder):
    return lambda raw: land_labels(raw, source="labels.csv", folder=folder)


def labels_of(raw, *labels):
    return pd.DataFrame({"CustomerID": raw["CustomerID"].head(len(labels)), "Churn": labels}, dtype="str")


def landed(folder):
    return landed_frames(zero_is_missing=True, folder=folder)


def contents(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def refused(folder, act, *arguments):
    before = contents(folder)
    with pytest.raises(DataError) as error:
        act(*arguments)
    assert contents(folder) == before
    assert "\n" not in str(error.value)
    return str(error.value)


# --- batches -----------------------------------------------------------------------------------------------------


def test_nothing_has_landed_at_first(folder):
    assert landed(folder) == []


def test_a_batch_lands_clean_and_typed_without_labels(folder, land, records):
    found = land(records)
    assert (found.rows, found.new) == (6, True)
    assert found.path.parent == folder / "batches"
    assert label_files(folder) == []
    (clean,) = landed(folder)
    assert clean.frame["CustomerID"].tolist() == [int(number) for number in records["CustomerID"]]
    assert clean.unlabelled == 6


def test_landing_twice_is_landing_once(folder, land, records):
    first = land(records)
    before = contents(folder)
    again = land(records)
    assert (again.path, again.rows, again.new) == (first.path, 6, False)
    assert contents(folder) == before


def test_the_order_of_rows_and_columns_and_duplicates_do_not_matter(folder, land, records):
    first = land(records)
    other = pd.concat([records.iloc[::-1], records.iloc[:2]])[sorted(records.columns)]
    assert land(other) == type(first)(first.path, 6, False)


def test_the_spelling_of_a_duplicate_does_not_matter(tmp_path, records):
    spelled = records.iloc[[2]].assign(Handsets=records["Handsets"].iloc[2] + ".0")
    found = [
        land_batch(pd.concat(parts), source="new.csv", folder=tmp_path / str(number))
        for number, parts in enumerate([[records, spelled], [spelled, records]])
    ]
    assert [one.rows for one in found] == [6, 6]
    assert found[0].path.name == found[1].path.name


def test_customer_numbers_that_a_spreadsheet_wrote_are_the_same_customers(folder, land, tell, records):
    land(records.assign(CustomerID=records["CustomerID"] + ".0"))
    assert not land(records).new
    tell(labels_of(records, "Yes"))
    assert landed(folder)[0].frame["Churn"].iloc[0] == 1.0


def test_batches_keep_the_order_in_which_they_landed(folder, land, raw_records):
    for start in (30, 0, 60):
        land(raw_records(5, start=start))
    first = [int(raw_records(1, start=start)["CustomerID"].iloc[0]) for start in (30, 0, 60)]
    assert [clean.frame["CustomerID"].iloc[0] for clean in landed(folder)] == first
    assert [path.name[:5] for path in batch_files(folder)] == ["0001_", "0002_", "0003_"]


def test_a_landed_batch_is_never_written_again(folder, land, raw_records):
    first = land(raw_records(5)).path
    stamp = first.stat().st_mtime_ns
    land(raw_records(5, start=5))
    land(raw_records(5))
    assert first.stat().st_mtime_ns == stamp


def test_the_argument_stays_as_it_was(land, batch):
    before = batch.copy()
    land(batch)
    pd.testing.assert_frame_equal(batch, before)


def test_a_customer_who_landed_before_is_refused(folder, land, raw_records):
    path = land(raw_records(5)).path
    message = refused(folder, land, raw_records(5, start=4))
    customer = raw_records(1, start=4)["CustomerID"].iloc[0]
    assert message == (
        f"new.csv: CustomerID {customer} has arrived before, in {path} (1 such customers); "
        "a customer arrives once: leave these rows out"
    )


def test_a_faulty_batch_is_refused_and_leaves_no_folder(folder, land, records):
    assert "row 3: Handsets: 'two'" in refused(folder, land, records.assign(Handsets=["1", "two", "3", "4", "5", "6"]))
    assert not folder.exists()


def test_two_records_of_one_customer_are_refused(folder, land, batch):
    conflict = pd.concat([batch.assign(Handsets="1"), batch.iloc[[0]].assign(Handsets="2")])
    assert "rows 2 and 8: " in refused(folder, land, conflict)


# --- labels ------------------------------------------------------------------------------------------------------


def test_labels_that_come_with_a_batch_land_too(folder, land, batch):
    land(batch.assign(Churn=["Yes", "No", "", "NA", "No", "Yes"]))
    frame = landed(folder)[0].frame
    assert frame["Churn"].fillna(-1).tolist() == [1, 0, -1, -1, 0, 1]


def test_labels_land_later_and_join_their_customers(folder, land, tell, records):
    land(records)
    found = tell(labels_of(records, "No", "Yes").iloc[::-1])
    assert (found.rows, found.new) == (2, True)
    assert landed(folder)[0].frame["Churn"].fillna(-1).tolist() == [0, 1, -1, -1, -1, -1]


def test_labels_reach_every_batch_that_they_are_about(folder, land, tell, raw_records):
    land(raw_records(3).drop(columns="Churn"))
    land(raw_records(3, start=3).drop(columns="Churn"))
    tell(labels_of(raw_records(6), "Yes", "No", "No", "No", "No", "Yes"))
    assert [clean.frame["Churn"].tolist() for clean in landed(folder)] == [[1, 0, 0], [0, 0, 1]]


def test_the_columns_of_a_label_file_may_stand_in_any_order(folder, land, tell, records):
    land(records)
    tell(labels_of(records, "Yes")[["Churn", "CustomerID"]])
    assert landed(folder)[0].unlabelled == 5


def test_landing_labels_twice_is_landing_them_once(folder, land, tell, records):
    land(records)
    tell(labels_of(records, "No", "Yes"))
    before = contents(folder)
    assert not tell(labels_of(records, "No", "Yes")).new
    assert not tell(labels_of(records, "No")).new
    assert contents(folder) == before


def test_only_new_labels_land(folder, land, tell, records):
    land(records)
    tell(labels_of(records, "No", "Yes"))
    found = tell(labels_of(records, "No", "Yes", "Yes"))
    assert (found.rows, found.new) == (1, True)
    assert landed(folder)[0].unlabelled == 3


def test_a_batch_that_comes_again_with_its_labels_brings_them(folder, land, batch, records):
    first = land(records)
    again = land(batch.assign(Churn="Yes"))
    assert (again.path, again.new) == (first.path, True)
    assert len(batch_files(folder)) == 1
    assert landed(folder)[0].unlabelled == 0
    assert not land(batch.assign(Churn="Yes")).new


def test_a_label_that_contradicts_a_landed_one_is_refused(folder, land, tell, batch, records):
    land(records)
    tell(labels_of(records, "No"))
    customer = records["CustomerID"].iloc[0]
    assert refused(folder, tell, labels_of(records, "Yes")).startswith(
        f"labels.csv: CustomerID {customer}: Churn Yes contradicts No, which landed before; "
    )
    assert "contradicts No" in refused(folder, land, batch.assign(Churn="Yes"))


def test_labels_that_contradict_each_other_are_refused(folder, land, tell, records):
    land(records)
    both = pd.concat([labels_of(records, "Yes"), labels_of(records, "No")], ignore_index=True)
    assert "stands twice with different Churn; keep the right one" in refused(folder, tell, both)


def test_labels_of_customers_who_never_landed_are_refused(folder, land, tell, raw_records):
    land(raw_records(3).drop(columns="Churn"))
    stray = labels_of(raw_records(5), "Yes", "No", "No", "No", "Yes")
    customer = stray["CustomerID"].iloc[3]
    assert refused(folder, tell, stray).startswith(
        f"labels.csv: row 5: CustomerID: {customer} is in no landed batch (2 such rows); land its batch first"
    )


@pytest.mark.parametrize("label", ["yes", "", "NA", "1"])
def test_a_label_that_is_neither_yes_nor_no_is_refused(folder, land, tell, records, label):
    land(records)
    assert f"row 3: Churn: {label!r} is neither" in refused(folder, tell, labels_of(records, "Yes", label))


def test_a_label_of_no_customer_number_is_refused(folder, land, tell, records):
    land(records)
    stray = pd.DataFrame({"CustomerID": ["x1"], "Churn": ["Yes"]}, dtype="str")
    assert "labels.csv: row 2: CustomerID: 'x1' is not a number; mend the cell" in refused(folder, tell, stray)


def test_a_label_file_with_a_header_only_is_refused(folder, land, tell, records):
    land(records)
    assert "no rows below the header" in refused(folder, tell, labels_of(records))


def test_a_label_file_with_other_columns_is_refused(folder, land, tell, records):
    land(records)
    assert "labels need the columns CustomerID,Churn; found CustomerID,Churned" in refused(
        folder, tell, labels_of(records, "Yes").rename(columns={"Churn": "Churned"})
    )


def test_an_interrupted_landing_is_finished_by_landing_again(folder, land, batch, monkeypatch):
    write, written = files.write_bytes, []

    def once(content, path):
        if written:
            raise KeyboardInterrupt
        written.append(path)
        write(content, path)

    with monkeypatch.context() as patched:
        patched.setattr(files, "write_bytes", once)
        with pytest.raises(KeyboardInterrupt):
            land(batch)
    assert land(batch).new
    (clean,) = landed(folder)
    assert clean.unlabelled == 0


# --- the timeline goes on ----------------------------------------------------------------------------------------


def test_landed_batches_continue_the_timeline(scratch, raw_records):
    io.write_csv(raw_records(200), paths.RAW)
    preprocess.main()
    land_batch(raw_records(30, start=200).drop(columns="Churn"), source="a.csv")
    land_batch(raw_records(20, start=230), source="b.csv")
    split_batches.main()
    batches = BatchFolder(paths.BATCHES)
    assert len(batches.names) == 12
    assert len(batches.reference) == 2
    assert [len(batches.rows(name).labels) for name in batches.names[9:]] == [20, 30, 20]
    assert [len(batches.rows(name).labelled().labels) for name in batches.names[9:]] == [20, 0, 20]
    origins = [entry["origin"] for entry in files.read_json(paths.BATCHES / "index.json")["batches"]]
    assert origins == ["history"] * 10 + ["landed"] * 2


def test_labels_that_arrive_change_their_batch_only(scratch, raw_records):
    io.write_csv(raw_records(200), paths.RAW)
    preprocess.main()
    for start in (200, 220):
        land_batch(raw_records(20, start=start).drop(columns="Churn"), source="a.csv")
    split_batches.main()
    before = BatchFolder(paths.BATCHES)
    land_labels(raw_records(20, start=200)[[schema.ID, schema.LABEL]], source="labels.csv")
    split_batches.main()
    after = BatchFolder(paths.BATCHES)
    assert [name for name in before.names if before.sha256(name) != after.sha256(name)] == ["batch_10"]
    assert len(after.rows("batch_10").labelled().labels) == 20


def test_landed_batches_carry_no_injected_drift(scratch, raw_records):
    text = paths.PARAMS.read_text(encoding="utf-8").replace("kind: none", "kind: covariate")
    paths.PARAMS.write_text(text, encoding="utf-8")
    io.write_csv(raw_records(200), paths.RAW)
    preprocess.main()
    land_batch(raw_records(20, start=200), source="a.csv")
    split_batches.main()
    batches = BatchFolder(paths.BATCHES)
    as_they_came = [float(cell) for cell in raw_records(40, start=180)["MonthlyRevenue"]]
    assert batches.rows("batch_10").columns["MonthlyRevenue"].tolist() == as_they_came[20:]
    assert (batches.rows("batch_09").columns["MonthlyRevenue"] > as_they_came[:20]).all()
    assert len(files.read_json(paths.SCENARIO_TRUTH)["strength"]) == 10
