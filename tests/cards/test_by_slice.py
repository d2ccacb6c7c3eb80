from dataclasses import replace

import numpy as np
import pytest

from churn_drift.cards.by_slice import ALL, COLUMNS, LEAST, by_slice, judged, served, table
from churn_drift.cards.slices import TENURE, dimensions
from churn_drift.columns import take
from churn_drift.data.batches import BatchFolder
from churn_drift.errors import PipelineError
from churn_drift.model.metrics import auc, calibration
from tests.cards.examples import HISTORY, batch, customers, scored
from tests.policy.customers import folder, frames

WAYS = dimensions(customers(600))


def figures(parts, name, ways=WAYS, **options):
    found = by_slice(parts, ways, confidence=0.95, **options).slices
    return next(figures for figures in found if figures.name == name)


def tenures(part, months):
    return replace(part, columns={**part.columns, "MonthsInService": np.asarray(months, dtype=float)})


def rows(part, keep):
    return replace(
        part,
        labels=part.labels[keep],
        probabilities=part.probabilities[keep],
        columns=take(part.columns, keep),
    )


def test_the_slices_of_each_dimension_add_up_to_all_customers():
    sliced = by_slice(HISTORY, WAYS, confidence=0.95)
    assert sliced.everybody.rows == sum(len(part.labels) for part in HISTORY)
    for way in WAYS:
        found = sliced.of(way.title)
        assert [figures.name for figures in found] == list(way.names)
        assert sum(figures.rows for figures in found) == sliced.everybody.rows
        assert sum(figures.churned for figures in found) == sliced.everybody.churned


def test_a_slice_of_all_rows_of_a_batch_has_the_batchs_auc():
    part = tenures(batch(3), [20] * 600)
    found = figures([part], "19 to 24 months")
    assert found.auc == auc(part.labels, part.probabilities, confidence=0.95)
    assert found.calibration == calibration(part.labels, part.probabilities, confidence=0.95)


def test_what_the_threshold_does_is_counted():
    part = batch(3)
    found = by_slice([part], WAYS, confidence=0.95).everybody
    flagged = part.probabilities >= 0.3
    assert found.flagged.value == flagged.mean()
    assert found.precision.value == part.labels[flagged].mean()
    assert found.recall.value == flagged[part.labels == 1].mean()


def test_each_batch_is_judged_by_the_threshold_of_the_champion_that_scored_it():
    low, high = replace(batch(2), threshold=0.0), replace(batch(3), threshold=1.0)
    assert by_slice([low, high], WAYS, confidence=0.95).everybody.flagged.value == 0.5


def test_a_slice_without_customers_has_no_figures():
    found = figures([tenures(part, [20] * 600) for part in HISTORY], "37 months or more")
    assert (found.rows, found.batches) == (0, 0)
    assert (found.churn_rate.value, found.auc.value, found.calibration.value) == (None, None, None)


def test_of_three_customers_only_their_number_is_told():
    part = tenures(batch(3), [40] * 3 + [20] * 597)
    found = figures([part], "37 months or more")
    assert found.rows == 3
    assert (found.churn_rate.value, found.flagged.value, found.calibration.value) == (None, None, None)
    row = next(row for row in table({"newest": by_slice([part], WAYS, confidence=0.95)}).rows if row["rows"] == 3)
    assert {value for name, value in row.items() if name not in COLUMNS[:5]} == {None}


def test_a_slice_of_one_class_has_a_churn_rate_and_no_auc():
    part = batch(3)
    found = figures([tenures(part, np.where(part.labels == 1, 20, 40))], "37 months or more")
    assert found.churn_rate.value == 0
    assert (found.auc.value, found.recall.value, found.auc_rest.value) == (None, None, None)


@pytest.mark.parametrize(("churned", "known"), [(LEAST - 1, False), (LEAST, True)])
def test_an_auc_needs_ten_of_each_class(churned, known):
    part = batch(3)
    keep = np.sort(np.r_[np.flatnonzero(part.labels == 1)[:churned], np.flatnonzero(part.labels == 0)])
    found = by_slice([rows(part, keep)], WAYS, confidence=0.95).everybody
    assert (found.auc.value is not None) == known


def test_a_batch_without_labels_is_not_there():
    with_labels, without = scored(HISTORY[0]), scored(HISTORY[1], labelled=False)
    assert without.labelled()[0].size == 0
    found = by_slice([], WAYS, confidence=0.95)
    assert (found.batches, found.everybody.rows, found.looks) == ((), 0, 0)
    assert with_labels.labelled()[0].size == 600


# --- looks -------------------------------------------------------------------------------------------------------


def test_where_every_probability_is_right_nothing_stands_out():
    sliced = by_slice(HISTORY, WAYS, confidence=0.95)
    assert sliced.looks > 20
    assert [f.name for f in sliced.slices for p in (f.auc_p, f.calibration_p) if p is not None and p < 0.05] == []


def test_a_slice_whose_customers_leave_more_than_predicted_stands_out():
    parts = []
    for part in HISTORY:
        low = part.columns["MonthsInService"] < 11
        parts.append(replace(part, labels=np.where(low & (np.arange(600) % 2 == 0), 1.0, part.labels)))
    found = figures(parts, "under 11 months")
    assert found.calibration_rest.value > 0.1
    assert found.calibration_p < 0.001


def test_p_values_are_corrected_for_all_looks_together():
    sliced = by_slice(HISTORY, WAYS, confidence=0.95)
    raw = [p for f in sliced.slices for p in (f.auc_rest.p, f.calibration_rest.p) if p is not None]
    corrected = [p for f in sliced.slices for p in (f.auc_p, f.calibration_p) if p is not None]
    assert len(raw) == len(corrected) == sliced.looks
    assert min(corrected) == pytest.approx(min(1, min(raw) * sliced.looks))


def test_a_comparison_takes_a_hundred_of_each_class_on_both_sides():
    assert by_slice([batch(3, rows=200)], WAYS, confidence=0.95).looks == 0
    everybody = by_slice([tenures(part, [20] * 600) for part in HISTORY], [TENURE], confidence=0.95)
    assert everybody.looks == 0  # nobody is left to compare with


def test_without_comparing_there_are_figures_and_no_looks():
    sliced = by_slice(HISTORY, WAYS, confidence=0.95, compare=False)
    assert sliced.looks == 0
    assert sliced.everybody.auc.value is not None


# --- what is sliced ----------------------------------------------------------------------------------------------


def test_the_batches_are_those_of_the_headline():
    assert [part.batch for part in judged(HISTORY, "batch_02")] == ["batch_03", "batch_04", "batch_05"]
    assert judged(HISTORY[:1], "batch_02") == HISTORY[:1]
    assert judged((), None) == ()


@pytest.fixture(scope="module")
def batches(tmp_path_factory) -> BatchFolder:
    return folder(tmp_path_factory.mktemp("cards") / "batches", frames())


def test_the_rows_of_a_batch_are_joined_with_what_was_scored(batches):
    labels = batches.rows("batch_02").labels
    part = replace(HISTORY[0], labels=labels, probabilities=np.linspace(0, 1, len(labels)))
    (found,) = served(batches, [scored(part)], {part.version: 0.25})
    assert found.columns["MonthsInService"].tolist() == batches.rows("batch_02").columns["MonthsInService"].tolist()
    assert found.flagged.sum() == (part.probabilities >= 0.25).sum()


@pytest.mark.parametrize("name", ["batch_02", "batch_77"])
def test_scores_of_other_rows_are_refused_with_the_command_that_mends_it(batches, name):
    with pytest.raises(PipelineError, match=f"{name}: .*`dvc repro`"):
        served(batches, [scored(replace(HISTORY[0], batch=name))], {HISTORY[0].version: 0.3})


def test_the_table_has_a_row_a_scope_and_slice_and_every_column():
    sliced = by_slice(HISTORY, WAYS, confidence=0.95)
    found = table({"timeline": sliced, "newest": sliced})
    assert len(found.rows) == 2 * len(sliced.slices)
    assert {row["scope"] for row in found.rows} == {"timeline", "newest"}
    assert all(tuple(row) == COLUMNS for row in found.rows)
    assert found.rows[0]["dimension"] == ALL
