"""The table of how every feature is spread, batch by batch."""

import numpy as np
import pytest

from churn_drift.drift import fit_bins, profile
from churn_drift.policy import distributions


def test_the_table_has_a_row_a_cell_and_a_column_a_sample() -> None:
    reference, batch = {"x": np.arange(20.0)}, {"x": np.array([0.0, np.nan])}
    bins = fit_bins(reference, bins=2, batch_rows=20)
    found = distributions.table({"reference": profile(bins, reference), "batch_02": profile(bins, batch)})
    assert found.columns == ("feature", "place", "cell", "reference", "batch_02")
    assert [tuple(row.values()) for row in found.rows] == [
        ("x", 0, "up to 9", 0.5, 0.5),
        ("x", 1, "above 9", 0.5, 0.0),
        ("x", 2, "(missing)", 0.0, 0.5),
    ]


@pytest.mark.slow
def test_a_run_leaves_shares_of_every_feature_and_the_score_that_sum_to_one(finished) -> None:
    table = finished.repository.table("reports/drift_check/distributions.csv")
    features = finished.repository.table("reports/drift_check/features.csv")
    assert {*table["feature"]} == {*features["feature"], "score"}
    assert [*table.columns[3:]] == ["reference", *features["batch"].unique()]
    sums = table.groupby("feature")[[*table.columns[3:]]].sum()
    assert np.abs(sums.to_numpy() - 1).max() < 1e-4
