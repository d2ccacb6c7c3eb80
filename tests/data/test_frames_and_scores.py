"""Clean frames as arrays, and the table of what the champions scored."""

import numpy as np
import pandas as pd

from churn_drift import schema
from churn_drift.columns import Codes
from churn_drift.data.frames import columns_of, labels_of
from churn_drift.data.scores import read_scores, write_scores


def test_numbers_become_floats_and_categories_codes_with_missing_kept(clean_records):
    frame = clean_records(5)
    frame["Handsets"] = [1.0, np.nan, 3.0, 4.0, 5.0]
    frame["PrizmCode"] = pd.Series(["Town", None, "Other", "Town", "Rural"], dtype="str")
    columns = columns_of(frame)
    assert list(columns) == [column.name for column in schema.RECORD]
    np.testing.assert_array_equal(columns["Handsets"], [1.0, np.nan, 3.0, 4.0, 5.0])
    assert isinstance(columns["PrizmCode"], Codes)
    assert columns["PrizmCode"].levels == ("Other", "Rural", "Town")
    assert columns["PrizmCode"].codes.tolist() == [2, -1, 0, 2, 1]


def test_labels_that_have_not_arrived_are_nan_and_never_zero(clean_records):
    labels = labels_of(clean_records(3).assign(Churn=[1.0, np.nan, 0.0]))
    np.testing.assert_array_equal(labels, [1.0, np.nan, 0.0])


def part(batch, version, labels):
    rows = len(labels)
    return {
        "batch": batch,
        "version": version,
        "customers": np.arange(rows),
        "margin": np.full(rows, 0.12345678),
        "probability": np.linspace(0.1, 0.3, rows),
        "label": np.array(labels),
    }


def test_scores_are_read_back_by_batch_in_order(tmp_path):
    write_scores([part("batch_03", "b", [1.0, np.nan, 0.0]), part("batch_02", "a", [0.0])], tmp_path / "s.parquet")
    first, second = read_scores(tmp_path / "s.parquet")
    assert (first.batch, first.version, second.batch, second.version) == ("batch_03", "b", "batch_02", "a")
    np.testing.assert_array_equal(first.labels, [1.0, np.nan, 0.0])
    assert first.probabilities.tolist() == [0.1, 0.2, 0.3]


def test_labelled_scores_leave_out_what_has_not_arrived(tmp_path):
    write_scores([part("batch_02", "a", [1.0, np.nan, 0.0])], tmp_path / "s.parquet")
    labels, probabilities = read_scores(tmp_path / "s.parquet")[0].labelled()
    assert labels.tolist() == [1.0, 0.0]
    assert probabilities.tolist() == [0.1, 0.3]


def test_margins_are_rounded_to_six_decimals(tmp_path):
    write_scores([part("batch_02", "a", [1.0])], tmp_path / "s.parquet")
    assert pd.read_parquet(tmp_path / "s.parquet")["margin"].tolist() == [0.123457]
