# mypy: disable-error-code="operator, arg-type, comparison-overlap, union-attr, call-overload"
# Values that may be None are compared as they are: a None fails the test.

import json
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit, logit
from sklearn import metrics as sklearn
from sklearn.linear_model import LogisticRegression

from churn_drift.columns import Numbers
from churn_drift.model import metrics
from churn_drift.model.metrics import Estimate
from churn_drift.model.ranks import checked, equal_count_bins, rounded, wilson

Batch = tuple[Numbers, Numbers]


def array(*values: float) -> Numbers:
    return np.array(values, dtype=np.float64)


def simulated(seed: int, *, rows: int = 400, slope: float = 0.8, intercept: float = -1.0) -> Batch:
    """Customers whose probabilities are true."""
    random = np.random.default_rng(seed)
    probabilities = expit(intercept + slope * random.normal(size=rows))
    return (random.random(rows) < probabilities).astype(np.float64), probabilities


@st.composite
def batches(draw: st.DrawFn) -> Batch:
    """Both classes, few distinct probabilities, hence many ties."""
    rows = draw(st.lists(st.tuples(st.sampled_from([0.0, 1.0]), st.integers(1, 9).map(lambda n: n / 10)), max_size=40))
    labels, probabilities = zip(*rows, (0.0, 0.3), (1.0, 0.3), strict=True)
    return array(*labels), array(*probabilities)


MEASURES: list[Callable[..., Estimate]] = [
    metrics.auc,
    metrics.pr_auc,
    metrics.brier,
    metrics.log_loss,
    metrics.calibration,
    metrics.calibration_slope,
    metrics.top_lift,
]


# AUC


def test_auc_is_the_share_of_pairs_in_the_right_order() -> None:
    # Pairs (churned, kept): .35 > .1 and .8 > .1 and .8 > .4, but not .35 > .4.
    assert metrics.auc(array(0, 0, 1, 1), array(0.1, 0.4, 0.35, 0.8), confidence=0.95).value == 0.75


def test_a_tie_counts_half() -> None:
    assert metrics.auc(array(0, 1), array(0.5, 0.5), confidence=0.95).value == 0.5


def test_a_constant_score_has_an_auc_of_one_half_without_spread() -> None:
    constant = metrics.auc(array(0, 0, 1, 1), array(1, 1, 1, 1), confidence=0.95)
    assert constant == Estimate(0.5, 0.5, 0.5)


def test_delong_by_hand() -> None:
    # Churned .35 and .8 exceed 1/2 and 2/2 of the kept; kept .1 and .4 are below 2/2 and 1/2: two
    # variances of 1/8, so the variance of the AUC is 1/8/2 + 1/8/2 = 1/8.
    auc = metrics.auc(array(0, 0, 1, 1), array(0.1, 0.4, 0.35, 0.8), confidence=0.95)
    half = 1.959964 * 0.125**0.5 / (0.75 * 0.25)
    assert auc.low == pytest.approx(expit(logit(0.75) - half), abs=1e-6)
    assert auc.high == pytest.approx(expit(logit(0.75) + half), abs=1e-6)


def test_delong_agrees_with_the_bootstrap() -> None:
    labels, scores = simulated(5, rows=600)
    estimate = metrics.auc(labels, scores, confidence=0.95)
    random = np.random.default_rng(0)
    draws = [random.integers(0, 600, 600) for _ in range(400)]
    resampled = [metrics.auc(labels[rows], scores[rows], confidence=0.95).value for rows in draws]
    low, high = np.quantile(np.array(resampled, dtype=np.float64), [0.025, 0.975])
    assert estimate.low == pytest.approx(low, abs=0.012)
    assert estimate.high == pytest.approx(high, abs=0.012)


def test_complete_separation_still_has_an_interval() -> None:
    # Two disjoint pairs that agree: Clopper and Pearson's lower bound is .025 ** (1 / 2).
    separated = metrics.auc(array(0, 0, 1, 1), array(1, 2, 3, 4), confidence=0.95)
    reversed_ = metrics.auc(array(1, 1, 0, 0), array(1, 2, 3, 4), confidence=0.95)
    assert separated == Estimate(1.0, pytest.approx(0.025**0.5), 1.0)
    assert reversed_ == Estimate(0.0, 0.0, pytest.approx(1 - 0.025**0.5))


def test_one_churned_row_gives_a_value_without_bounds() -> None:
    assert metrics.auc(array(0, 0, 1), array(1, 3, 2), confidence=0.95) == Estimate(0.5)


def test_the_interval_is_narrower_at_lower_confidence() -> None:
    wide, narrow = (metrics.auc(*simulated(1), confidence=c) for c in (0.95, 0.8))
    assert wide.low < narrow.low < narrow.value < narrow.high < wide.high


def test_mean_auc_counts_every_batch_once_whatever_its_size() -> None:
    small, large = (array(0, 1), array(1, 2)), (np.tile(array(0, 1), 50), np.tile(array(2, 1), 50))
    assert metrics.mean_auc([small, large], confidence=0.95).value == 0.5


def test_mean_auc_leaves_out_a_batch_of_one_class() -> None:
    known = array(0, 0, 1, 1), array(0.1, 0.4, 0.35, 0.8)
    assert metrics.mean_auc([known, (array(1, 1), array(0, 1))], confidence=0.95).value == 0.75


def test_mean_auc_is_four_times_as_certain_in_sixteen_batches() -> None:
    one, sixteen = (metrics.mean_auc([simulated(1)] * n, confidence=0.95) for n in (1, 16))
    assert one.high - one.low == pytest.approx(4 * (sixteen.high - sixteen.low))


def test_mean_auc_of_no_batch_is_undefined() -> None:
    assert metrics.mean_auc([], confidence=0.95) == Estimate()


# Against scikit-learn


@given(batches())
@settings(deadline=None, max_examples=30)
def test_values_agree_with_scikit_learn(batch: Batch) -> None:
    labels, p = batch
    for ours, theirs in [
        (metrics.auc, sklearn.roc_auc_score),
        (metrics.pr_auc, sklearn.average_precision_score),
        (metrics.brier, sklearn.brier_score_loss),
        (metrics.log_loss, sklearn.log_loss),
    ]:
        assert ours(labels, p, confidence=0.95).value == pytest.approx(theirs(labels, p), abs=1e-12)


@given(batches(), st.integers(1, 9).map(lambda n: n / 10))
@settings(deadline=None, max_examples=25)
def test_flags_agree_with_scikit_learn(batch: Batch, threshold: float) -> None:
    labels, p = batch
    ours = metrics.at_threshold(labels, p, threshold=threshold)
    precision, recall, f1, _ = sklearn.precision_recall_fscore_support(
        labels, p >= threshold, average="binary", zero_division=np.nan
    )
    assert ours.recall == pytest.approx(recall)
    assert ours.f1 == pytest.approx(f1)
    assert ours.precision is None if np.isnan(precision) else ours.precision == pytest.approx(precision)


@given(batches(), st.randoms(use_true_random=False))
@settings(deadline=None, max_examples=25)
def test_nothing_depends_on_the_order_of_rows(batch: Batch, random: object) -> None:
    labels, p = batch
    order = np.random.default_rng(random.randrange(2**32)).permutation(len(labels))  # type: ignore[attr-defined]
    before = metrics.evaluate(labels, p, threshold=0.5, confidence=0.95).to_dict()
    after = metrics.evaluate(labels[order], p[order], threshold=0.5, confidence=0.95).to_dict()
    assert json.dumps(before) == json.dumps(after)


@given(batches())
@settings(deadline=None, max_examples=25)
def test_intervals_hold_their_value_and_nothing_is_nan(batch: Batch) -> None:
    for measure in MEASURES:
        estimate = measure(*batch, confidence=0.9)
        present = [v for v in (estimate.low, estimate.value, estimate.high) if v is not None]
        assert np.isfinite(present).all()
        assert all(a <= b + 1e-12 for a, b in pairwise(present))


# Average precision, Brier, log loss


def test_average_precision_of_a_constant_is_the_churn_rate() -> None:
    assert metrics.pr_auc(array(0, 0, 0, 1), array(1, 1, 1, 1), confidence=0.95).value == 0.25


def test_log_loss_of_a_certain_error_is_clipped() -> None:
    sure_and_wrong = metrics.log_loss(array(1.0), array(0.0), confidence=0.95).value
    assert sure_and_wrong == pytest.approx(-np.log(1e-6))


def test_one_row_has_a_mean_without_bounds() -> None:
    assert metrics.brier(array(1), array(0.5), confidence=0.95) == Estimate(0.25)


# Calibration


def test_calibration_is_positive_when_too_little_is_predicted() -> None:
    assert metrics.calibration(array(1, 1, 0, 0), array(0.25, 0.25, 0.25, 0.25), confidence=0.95).value == 0.25


def test_calibration_error_does_not_let_bins_cancel() -> None:
    # Low half predicted .2, observed 0; high half predicted .8, observed 1: right in all, off by .2 each.
    labels, p = array(0, 0, 1, 1), array(0.2, 0.2, 0.8, 0.8)
    assert metrics.calibration(labels, p, confidence=0.95).value == pytest.approx(0)
    assert metrics.calibration_error(labels, p, bins=2) == pytest.approx(0.2)


def test_slope_is_that_of_an_unpenalised_logistic_regression() -> None:
    labels, p = simulated(3, rows=2000)
    fitted = LogisticRegression(C=np.inf, tol=1e-10).fit(logit(p)[:, None], labels)
    assert metrics.calibration_slope(labels, p, confidence=0.95).value == pytest.approx(fitted.coef_[0, 0], abs=1e-4)


def test_slope_halves_when_the_log_odds_are_doubled() -> None:
    labels, p = simulated(3, rows=2000)
    right, extreme = (metrics.calibration_slope(labels, expit(k * logit(p)), confidence=0.95).value for k in (1, 2))
    assert extreme == pytest.approx(right / 2)


@pytest.mark.parametrize("p", [array(0.1, 0.2, 0.8, 0.9), array(0.3, 0.3, 0.3, 0.3)])
def test_slope_of_separated_or_constant_probabilities_is_undefined(p: Numbers) -> None:
    assert metrics.calibration_slope(array(0, 0, 1, 1), p, confidence=0.95) == Estimate()


# Lift and threshold


def test_lift_is_the_top_tenth_over_all() -> None:
    labels = array(1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1)  # 4 of 20, 2 of 2 at the top
    assert metrics.top_lift(labels, np.arange(20.0)[::-1], confidence=0.95).value == 5.0


def test_lift_of_a_constant_score_is_one() -> None:
    labels = np.tile(array(1, 0, 0, 0), 10)
    assert metrics.top_lift(labels, np.ones(40), confidence=0.95).value == pytest.approx(1)


def test_a_probability_at_the_threshold_is_flagged() -> None:
    assert metrics.at_threshold(array(1), array(0.5), threshold=0.5).flagged == 1


def test_nothing_flagged_has_no_precision_but_a_recall() -> None:
    found = metrics.at_threshold(array(0, 1), array(0.1, 0.2), threshold=0.5)
    assert (found.precision, found.recall, found.f1) == (None, 0.0, 0.0)


def test_nobody_churned_and_nothing_flagged_has_no_f1() -> None:
    found = metrics.at_threshold(array(0, 0), array(0.1, 0.2), threshold=0.5)
    assert (found.precision, found.recall, found.f1) == (None, None, None)


# Undefined and refused


@pytest.mark.parametrize("label", [0.0, 1.0])
def test_one_class_has_no_auc_no_average_precision_and_no_slope(label: float) -> None:
    labels, p = np.full(5, label), np.linspace(0.1, 0.5, 5)
    for measure in (metrics.auc, metrics.pr_auc, metrics.calibration_slope):
        assert measure(labels, p, confidence=0.95) == Estimate()


def test_nobody_churned_has_no_lift() -> None:
    assert metrics.top_lift(array(0, 0), array(1, 2), confidence=0.95) == Estimate()


def test_no_rows_have_no_scores() -> None:
    card = metrics.evaluate(array(), array(), threshold=0.5, confidence=0.95)
    assert card.rows == 0
    assert card.brier == card.log_loss == card.calibration == card.auc == card.lift == Estimate()
    assert card.calibration_error is None


def test_a_missing_label_is_refused_not_read_as_0() -> None:
    with pytest.raises(ValueError, match="label has not arrived"):
        metrics.auc(array(0, 1, np.nan), array(1, 2, 3), confidence=0.95)


def test_scores_of_other_rows_are_refused() -> None:
    with pytest.raises(ValueError, match="one length"):
        checked(array(0, 1), array(1))


def test_a_score_that_is_not_a_number_is_refused() -> None:
    with pytest.raises(ValueError, match="finite"):
        checked(array(0, 1), array(1, np.nan))


def test_a_confidence_in_per_cent_is_refused() -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        metrics.brier(array(0, 1), array(0, 1), confidence=95)


# Written


def test_a_scorecard_is_json_with_six_decimals() -> None:
    card = metrics.evaluate(*simulated(1), threshold=0.3, confidence=0.95).to_dict()
    assert json.loads(json.dumps(card, allow_nan=False)) == card
    assert card["auc"] == {name: round(v, 6) for name, v in card["auc"].items()}  # type: ignore[attr-defined]
    assert list(card) == [
        "rows",
        "churned",
        "auc",
        "pr_auc",
        "log_loss",
        "brier",
        "calibration",
        "calibration_slope",
        "calibration_error",
        "lift",
        "at_threshold",
    ]


def test_no_negative_zero_is_written() -> None:
    assert str(rounded(-1e-9)) == "0.0"


def test_ties_share_a_bin_and_bins_are_equal_without_ties() -> None:
    assert np.bincount(equal_count_bins(np.arange(100.0), bins=10)).tolist() == [10] * 10
    assert set(equal_count_bins(np.ones(7), bins=10).tolist()) == {5}


def test_wilson_by_hand() -> None:
    # 5 of 10 with z = 2: (.5 + .2 +- sqrt(.4 * .25 + .04)) / 1.4
    low, high = wilson(5, 10, z=2)
    assert low == pytest.approx((0.7 - 0.14**0.5) / 1.4)
    assert high == pytest.approx((0.7 + 0.14**0.5) / 1.4)


# Coverage


def test_intervals_cover_the_truth_about_as_often_as_they_say() -> None:
    labels, p = simulated(0, rows=400_000)
    exact = {measure.__name__: measure(labels, p, confidence=0.9).value for measure in MEASURES}
    covered = dict.fromkeys(exact, 0)
    runs = 250
    for seed in range(1, runs + 1):
        batch = simulated(seed, rows=400)
        for measure in MEASURES:
            estimate = measure(*batch, confidence=0.9)
            covered[measure.__name__] += estimate.low <= exact[measure.__name__] <= estimate.high
    for name, count in covered.items():  # Binomial(250, .9) / 250 has a standard deviation of .019
        assert 0.84 <= count / runs <= 0.96, (name, count / runs)
