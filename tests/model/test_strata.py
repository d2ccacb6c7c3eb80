import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from churn_drift.model.metrics import auc
from churn_drift.model.strata import (
    Stratum,
    auc_difference,
    calibration_difference,
    holm,
    stratified_auc,
)

LABELS = np.array([0.0, 0, 0, 1, 1, 1])
GOOD = np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.6])
POOR = np.array([0.4, 0.1, 0.6, 0.5, 0.3, 0.2])


def whole(labels, probabilities) -> Stratum:
    return Stratum(np.asarray(labels), np.asarray(probabilities), np.full(len(labels), True))


def halves(inside, outside) -> Stratum:
    """Two groups of one batch, each (labels, probabilities)."""
    labels, probabilities = (np.concatenate([a, b]) for a, b in zip(inside, outside, strict=True))
    return Stratum(labels, probabilities, np.arange(len(labels)) < len(inside[0]))


def random_batch(seed: int, rows: int, *, inside: float = 0.5) -> Stratum:
    generator = np.random.default_rng(seed)
    probabilities = generator.random(rows)
    labels = (generator.random(rows) < probabilities).astype(float)
    return Stratum(labels, probabilities, generator.random(rows) < inside)


# --- AUC of a group ----------------------------------------------------------------------------------------------


def test_of_one_batch_and_all_its_rows_it_is_that_batchs_auc_with_its_interval():
    batch = random_batch(1, 300, inside=1)
    assert stratified_auc([batch], confidence=0.95) == auc(batch.labels, batch.probabilities, confidence=0.95)


def test_batches_weigh_as_many_rows_as_the_group_has_in_them():
    # All pairs rightly ordered in 6 rows, 4 of 9 in 18.
    batches = [whole(LABELS, GOOD), whole(np.tile(LABELS, 3), np.tile(POOR, 3))]
    assert auc(LABELS, POOR, confidence=0.95).value == pytest.approx(4 / 9)
    assert stratified_auc(batches, confidence=0.95).value == pytest.approx((6 * 1 + 18 * 4 / 9) / 24)


@given(st.integers(0, 50))
def test_what_another_model_does_to_the_level_of_its_batch_changes_nothing(seed):
    one, two = random_batch(seed, 60), random_batch(seed + 100, 80)
    other = Stratum(two.labels, two.probabilities**3 / 2, two.inside)
    before = stratified_auc([one, two], confidence=0.95)
    assert stratified_auc([one, other], confidence=0.95) == before


def test_a_batch_with_one_row_of_a_class_is_left_out():
    batches = [whole(LABELS, POOR), whole([0.0, 0, 1], [0.1, 0.2, 0.3])]
    assert stratified_auc(batches, confidence=0.95) == auc(LABELS, POOR, confidence=0.95)


@pytest.mark.parametrize("labels", [[], [1.0, 1.0, 1.0], [0.0, 0.0, 1.0]])
def test_without_two_rows_of_each_class_there_is_none(labels):
    assert stratified_auc([whole(labels, [0.5] * len(labels))], confidence=0.95).value is None


# --- a group against the others ----------------------------------------------------------------------------------


def test_the_difference_in_auc_is_that_of_the_two_aucs():
    (batch,) = batches = [halves((LABELS, POOR), (LABELS, GOOD))]
    difference = auc_difference(batches, confidence=0.95)
    assert difference.value == pytest.approx(auc(*batch.group(), confidence=0.95).value - 1)
    assert difference.low < difference.value < difference.high


def test_the_others_are_weighed_like_the_group():
    """Batch by batch both are alike, so they are alike, however differently they are spread over the batches."""
    few, many = (LABELS, POOR), (np.tile(LABELS, 5), np.tile(POOR, 5))
    good, lots = (LABELS, GOOD), (np.tile(LABELS, 5), np.tile(GOOD, 5))
    batches = [halves(few, many), halves(lots, good)]
    assert auc_difference(batches, confidence=0.95).value == pytest.approx(0)
    assert calibration_difference(batches, confidence=0.95).value == pytest.approx(0)


def test_a_difference_weighs_as_many_rows_as_the_group_has_and_not_as_the_others():
    """Worse by 5 / 9 in a batch with 6 rows of the group and 30 others, alike in one with 30 and 6."""
    many = np.tile(LABELS, 5)
    batches = [halves((LABELS, POOR), (many, np.tile(GOOD, 5))), halves((many, np.tile(GOOD, 5)), (LABELS, GOOD))]
    assert auc_difference(batches, confidence=0.95).value == pytest.approx(-5 / 9 * 6 / 36)


def test_above_zero_the_group_left_more_than_predicted_beside_the_others():
    half = np.full(4, 0.5)
    batch = halves((np.array([1.0, 1, 1, 0]), half), (np.array([1.0, 1, 0, 0]), half))
    assert calibration_difference([batch], confidence=0.95).value == 0.25


def test_a_batch_without_others_says_nothing_of_a_difference():
    assert auc_difference([whole(LABELS, GOOD)], confidence=0.95).value is None
    assert calibration_difference([whole(LABELS, GOOD)], confidence=0.95).value is None


def test_group_and_others_change_sides_with_the_sign():
    batch = random_batch(3, 200)
    other = Stratum(batch.labels, batch.probabilities, ~batch.inside)
    for compare in (auc_difference, calibration_difference):
        one, two = compare([batch], confidence=0.95), compare([other], confidence=0.95)
        assert (one.value, one.p) == pytest.approx((-two.value, two.p))


# --- the number of looks -----------------------------------------------------------------------------------------


def test_holm_multiplies_the_smallest_p_by_the_number_of_looks():
    assert holm([0.2, 0.001, 0.04]) == pytest.approx([0.2, 0.003, 0.08])


def test_holm_never_puts_a_larger_p_before_a_smaller_one_and_never_exceeds_one():
    assert holm([0.03, 0.02, 0.9]) == pytest.approx([0.06, 0.06, 0.9])
    assert holm([0.9, 0.8]) == [1.0, 1.0]


def test_a_look_that_was_not_made_is_not_counted():
    assert holm([None, 0.04, None]) == [None, 0.04, None]
    assert holm([]) == []
