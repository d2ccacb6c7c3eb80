# mypy: disable-error-code="operator, arg-type, comparison-overlap, union-attr, call-overload"
# Values that may be None are compared as they are: a None fails the test.

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit

from churn_drift.columns import Numbers
from churn_drift.model import compare, metrics
from churn_drift.model.compare import Difference, PairedSums


def array(*values: float) -> Numbers:
    return np.array(values, dtype=np.float64)


def rivals(seed: int, *, rows: int = 400, noise: tuple[float, float] = (1.0, 1.0)) -> tuple[Numbers, ...]:
    """Labels, and two models that see the truth through noise of their own."""
    random = np.random.default_rng(seed)
    truth = -1 + 0.8 * random.normal(size=rows)
    labels = (random.random(rows) < expit(truth)).astype(np.float64)
    first, second = (expit(truth + size * random.normal(size=rows)) for size in noise)
    return labels, first, second


probabilities = st.integers(1, 9).map(lambda n: n / 10)
rows = st.lists(st.tuples(st.sampled_from([0.0, 1.0]), probabilities, probabilities), min_size=1, max_size=30)
sums = st.builds(PairedSums, st.integers(0, 10**6), st.integers(-99, 99), st.integers(0, 99))


# Paired AUC


def test_the_difference_is_the_second_less_the_first() -> None:
    labels, worse, better = array(0, 0, 1, 1), array(0.1, 0.4, 0.35, 0.8), array(0.1, 0.2, 0.3, 0.4)
    assert compare.paired_auc(labels, worse, better, confidence=0.95).value == 0.25


def test_paired_delong_by_hand() -> None:
    # Of the kept, 1/2 and 1 lie below the churned by the first, 1 and 1 by the second: differences 1/2 and 0,
    # variance 1/8; the kept likewise; so the variance is 1/8/2 + 1/8/2 = 1/8 and z = .25 / sqrt(1/8).
    labels, first, second = array(0, 0, 1, 1), array(0.1, 0.4, 0.35, 0.8), array(0.1, 0.2, 0.3, 0.4)
    difference = compare.paired_auc(labels, first, second, confidence=0.95)
    assert difference.standard_error == pytest.approx(0.125**0.5)
    assert difference.z == pytest.approx(0.5**0.5)
    assert difference.p == pytest.approx(0.4795, abs=1e-4)


def test_paired_delong_is_the_delong_covariance() -> None:
    labels, first, second = rivals(4)
    churned, kept = labels == 1, labels == 0

    def shares(scores: Numbers) -> tuple[Numbers, Numbers]:
        wins = (scores[churned][:, None] > scores[kept]) + 0.5 * (scores[churned][:, None] == scores[kept])
        return wins.mean(axis=1), wins.mean(axis=0)

    (v10, v01), (w10, w01) = shares(first), shares(second)
    covariance = np.cov(v10, w10) / churned.sum() + np.cov(v01, w01) / kept.sum()
    expected = covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1]
    difference = compare.paired_auc(labels, first, second, confidence=0.95)
    assert difference.standard_error == pytest.approx(expected**0.5)


def test_a_constant_rival_leaves_the_spread_of_one_auc() -> None:
    labels, scores, _ = rivals(2)
    difference = compare.paired_auc(labels, np.ones(len(labels)), scores, confidence=0.95)
    value, variance = metrics.auc_and_variance(labels, scores)
    assert difference.value == pytest.approx(value - 0.5)
    assert difference.standard_error == pytest.approx(variance**0.5)


@given(rows)
@settings(deadline=None, max_examples=30)
def test_exchanging_the_models_turns_every_sign(batch: list[tuple[float, float, float]]) -> None:
    labels, first, second = (array(*values) for values in zip(*batch, strict=True))
    there = compare.paired_auc(labels, first, second, confidence=0.95)
    back = compare.paired_auc(labels, second, first, confidence=0.95)
    for a, b in [(there.value, back.value), (there.z, back.z), (there.low, back.high)]:
        assert a == b is None or a == pytest.approx(-b)
    assert there.p == back.p
    saved = compare.paired_log_loss(labels, first, second)
    assert saved.z == pytest.approx(-compare.paired_log_loss(labels, second, first).z)


def test_identical_scores_differ_by_zero_with_z_0_and_p_1() -> None:
    labels, scores, _ = rivals(1)
    assert compare.paired_auc(labels, scores, scores, confidence=0.95) == Difference(0, 0, 0, 0, 0, 1)


def test_the_same_ranking_on_another_scale_is_no_difference() -> None:
    labels, scores, _ = rivals(1)
    assert compare.paired_auc(labels, scores, scores / 2, confidence=0.95).z == 0


def test_pairing_is_surer_than_two_intervals_apart() -> None:
    labels, first, second = rivals(1, noise=(0.2, 0.2))
    paired = compare.paired_auc(labels, first, second, confidence=0.95)
    alone = metrics.auc(labels, first, confidence=0.95)
    assert paired.high - paired.low < (alone.high - alone.low) / 2


@pytest.mark.parametrize("label", [0.0, 1.0])
def test_one_class_has_no_difference_in_auc(label: float) -> None:
    difference = compare.paired_auc(np.full(3, label), array(1, 2, 3), array(3, 2, 1), confidence=0.95)
    assert difference == Difference()


def test_a_single_churned_row_gives_the_value_alone() -> None:
    difference = compare.paired_auc(array(0, 0, 1), array(3, 2, 1), array(1, 2, 3), confidence=0.95)
    assert difference == Difference(1.0)


def test_perfect_against_constant_gives_the_value_alone() -> None:
    labels = array(0, 0, 1, 1)
    assert compare.paired_auc(labels, np.ones(4), labels, confidence=0.95) == Difference(0.5)


def test_equal_rivals_are_told_apart_as_often_as_the_confidence_says() -> None:
    apart = [abs(compare.paired_auc(*rivals(seed), confidence=0.9).z) > 1.6449 for seed in range(300)]
    assert 0.05 <= np.mean(apart) <= 0.15


# Paired log loss


def test_a_better_second_model_has_a_positive_total() -> None:
    saved = compare.paired_log_loss(array(1, 0), array(0.5, 0.5), array(0.5, 0.25))
    assert saved.total == pytest.approx(np.log(0.75 / 0.5))


def test_the_variance_is_rows_times_that_of_a_row() -> None:
    # The first row saves log 2, the other three nothing: variance of a row log(2) ** 2 / 4.
    saved = compare.paired_log_loss(array(1, 1, 1, 1), np.full(4, 0.5), array(1, 0.5, 0.5, 0.5))
    assert saved.variance == pytest.approx(np.log(2) ** 2, rel=1e-5)
    assert saved.z == pytest.approx(1, rel=1e-5)


def test_identical_scores_have_z_0() -> None:
    saved = compare.paired_log_loss(array(0, 1), array(0.2, 0.7), array(0.2, 0.7))
    assert saved == PairedSums(2)
    assert saved.z == 0


def test_one_row_counts_one_standard_error_at_most() -> None:
    assert compare.paired_log_loss(array(1), array(0.5), array(0.9)).z == pytest.approx(1)


def test_rows_that_all_agree_count_as_in_a_sign_test() -> None:
    assert compare.paired_log_loss(np.ones(9), np.full(9, 0.5), np.full(9, 0.6)).z == pytest.approx(3)


def test_no_rows_settle_nothing() -> None:
    nothing = compare.paired_log_loss(array(), array(), array())
    assert nothing == PairedSums()
    assert nothing.z == 0
    assert nothing.mean(confidence=0.95) == Difference()


def test_mean_is_the_saving_per_row_at_the_same_z() -> None:
    mean = PairedSums(40, 6.0, 4.0).mean(confidence=0.95)
    assert (mean.value, mean.standard_error, mean.z) == (
        pytest.approx(0.15),
        pytest.approx(0.05),
        pytest.approx(3),
    )


@given(sums, sums, sums)
def test_batches_may_be_added_in_any_order(a: PairedSums, b: PairedSums, c: PairedSums) -> None:
    assert (a + b) + c == a + (b + c) == c + b + a
    assert a + PairedSums() == a


def test_a_batch_counts_by_its_spread_within_not_by_the_shift_between() -> None:
    one, other = PairedSums(100, 50.0, 1.0), PairedSums(100, -50.0, 1.0)
    assert one + other == PairedSums(200, 0.0, 2.0)


def test_z_of_equal_rivals_is_standard_normal() -> None:
    z = np.array([compare.paired_log_loss(*rivals(seed)).z for seed in range(300)])
    assert abs(z.mean()) < 0.2
    assert 0.85 < z.std() < 1.15


# Rows needed


def test_twice_the_z_needs_four_times_the_rows() -> None:
    assert compare.rows_needed(PairedSums(100, 1.0, 1.0), z=2) == 300


def test_so_many_rows_of_the_same_kind_do_arrive() -> None:
    seen = PairedSums(500, 8.0, 100.0)
    more = compare.rows_needed(seen, z=2.33)
    factor = (seen.rows + more) / seen.rows
    assert PairedSums(500, 8.0 * factor, 100.0 * factor).z == pytest.approx(2.33, abs=1e-3)


def test_nothing_more_is_needed_past_the_bar() -> None:
    assert compare.rows_needed(PairedSums(100, 3.0, 1.0), z=2) == 0


@pytest.mark.parametrize("seen", [PairedSums(), PairedSums(100), PairedSums(100, -1.0, 1.0)])
def test_no_number_of_rows_settles_no_effect_or_a_worse_model(seen: PairedSums) -> None:
    assert compare.rows_needed(seen, z=2) is None


# Mean over batches


def test_the_mean_of_four_equal_batches_is_twice_as_sure() -> None:
    batch = Difference.of(0.02, 0.0001, confidence=0.95)
    mean = compare.mean_difference([batch] * 4, confidence=0.95)
    assert (mean.value, mean.standard_error) == (pytest.approx(0.02), pytest.approx(0.005))


def test_a_batch_without_a_difference_is_left_out() -> None:
    batch = Difference.of(0.02, 0.0001, confidence=0.95)
    assert compare.mean_difference([Difference(), batch], confidence=0.95).value == 0.02


def test_a_batch_without_a_standard_error_leaves_the_value_alone() -> None:
    batch = Difference.of(0.02, 0.0001, confidence=0.95)
    assert compare.mean_difference([Difference(0.04), batch], confidence=0.95) == Difference(pytest.approx(0.03))


def test_the_mean_of_no_batch_is_undefined() -> None:
    assert compare.mean_difference([], confidence=0.95) == Difference()


def test_the_mean_of_batches_without_a_difference_is_zero() -> None:
    same = Difference.of(0.0, 0.0, confidence=0.95)
    assert compare.mean_difference([same, same], confidence=0.95) == same


def test_the_mean_covers_the_truth_about_as_often_as_it_says() -> None:
    big = rivals(10_000, rows=400_000, noise=(1.2, 0.8))
    exact = compare.paired_auc(*big, confidence=0.9).value
    covered = []
    for run in range(100):
        batches = [rivals(5 * run + i, rows=300, noise=(1.2, 0.8)) for i in range(5)]
        mean = compare.mean_difference([compare.paired_auc(*b, confidence=0.9) for b in batches], confidence=0.9)
        covered.append(mean.low <= exact <= mean.high)
    assert 0.82 <= np.mean(covered) <= 0.97


# Written


def test_sums_and_differences_survive_json() -> None:
    seen = compare.paired_log_loss(*rivals(1))
    again = PairedSums(**json.loads(json.dumps(seen.to_dict())))
    assert (again.rows, again.z) == (seen.rows, pytest.approx(seen.z, abs=1e-4))
    difference = compare.paired_auc(*rivals(1), confidence=0.95)
    assert Difference(**json.loads(json.dumps(difference.to_dict()))).to_dict() == difference.to_dict()
