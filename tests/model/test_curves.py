import json

import numpy as np
import pytest
from sklearn import metrics as sklearn

from churn_drift.columns import Numbers
from churn_drift.model import curves, metrics


def array(*values: float) -> Numbers:
    return np.array(values, dtype=np.float64)


def simulated(*, rows: int) -> tuple[Numbers, Numbers]:
    random = np.random.default_rng(0)
    probabilities = random.uniform(0.05, 0.6, rows)
    return (random.random(rows) < probabilities).astype(np.float64), probabilities


def column(curve: curves.Points, name: str) -> Numbers:
    return np.array([point[name] for point in curve])


def test_roc_goes_from_the_lower_left_to_the_upper_right_by_way_of_every_score() -> None:
    curve = curves.roc(array(0, 1, 0, 1), array(0.1, 0.2, 0.3, 0.4))
    assert [(p["fpr"], p["tpr"]) for p in curve] == [(0, 0), (0, 0.5), (0.5, 0.5), (0.5, 1), (1, 1)]


def test_ties_are_one_step_of_the_roc() -> None:
    assert curves.roc(array(0, 1), array(0.5, 0.5)) == [{"fpr": 0, "tpr": 0}, {"fpr": 1, "tpr": 1}]


def test_the_area_under_a_short_roc_is_the_auc() -> None:
    labels, scores = simulated(rows=60)
    curve = curves.roc(labels, scores)
    area = np.trapezoid(column(curve, "tpr"), column(curve, "fpr"))
    assert area == pytest.approx(sklearn.roc_auc_score(labels, scores), abs=1e-5)


def test_a_thinned_roc_keeps_its_ends_and_its_area() -> None:
    labels, scores = simulated(rows=20_000)
    curve = curves.roc(labels, scores)
    assert len(curve) == 200
    assert (curve[0], curve[-1]) == ({"fpr": 0, "tpr": 0}, {"fpr": 1, "tpr": 1})
    area = np.trapezoid(column(curve, "tpr"), column(curve, "fpr"))
    assert area == pytest.approx(sklearn.roc_auc_score(labels, scores), abs=1e-3)


def test_precision_recall_starts_at_the_highest_score() -> None:
    curve = curves.precision_recall(array(0, 1, 0, 1), array(0.1, 0.2, 0.3, 0.4))
    assert [(p["recall"], p["precision"]) for p in curve] == [(0.5, 1), (0.5, 0.5), (1, 0.666667), (1, 0.5)]


def test_precision_recall_agrees_with_scikit_learn() -> None:
    labels, scores = simulated(rows=100)
    precision, recall, _ = sklearn.precision_recall_curve(labels, scores)
    curve = curves.precision_recall(labels, scores)
    assert column(curve, "recall") == pytest.approx(recall[-2::-1], abs=1e-6)
    assert column(curve, "precision") == pytest.approx(precision[-2::-1], abs=1e-6)


def test_calibration_bins_have_equal_counts_and_hold_their_rate() -> None:
    curve = curves.calibration(*simulated(rows=1000), confidence=0.95)
    assert column(curve, "rows").tolist() == [100] * 10
    assert (np.diff(column(curve, "predicted")) > 0).all()
    assert all(p["low"] < p["observed"] < p["high"] for p in curve)


def test_rows_of_one_probability_share_a_bin() -> None:
    curve = curves.calibration(array(0, 1, 1, 1), np.full(4, 0.5), confidence=0.95)
    assert [(p["predicted"], p["observed"], p["rows"]) for p in curve] == [(0.5, 0.75, 4)]


def test_calibration_bins_add_up_to_the_calibration_error() -> None:
    labels, p = simulated(rows=1000)
    curve = curves.calibration(labels, p, confidence=0.95)
    gap = np.abs(column(curve, "observed") - column(curve, "predicted"))
    assert (gap * column(curve, "rows")).sum() / 1000 == pytest.approx(metrics.calibration_error(labels, p), abs=1e-5)


def test_gain_of_a_perfect_model_reaches_all_at_the_churn_rate() -> None:
    labels = array(1, 0, 0, 0)
    curve = curves.gain(labels, labels, points=4)
    assert column(curve, "caught").tolist() == [1, 1, 1, 1]
    assert column(curve, "lift").tolist() == [4, 2, 1.333333, 1]


def test_gain_of_a_constant_is_the_diagonal() -> None:
    curve = curves.gain(array(1, 0, 0, 0), np.ones(4), points=4)
    assert column(curve, "caught").tolist() == column(curve, "share").tolist()


def test_lift_at_a_tenth_is_the_lift_of_the_scorecard() -> None:
    labels, scores = simulated(rows=1000)
    tenth = next(p for p in curves.gain(labels, scores) if p["share"] == 0.1)
    assert tenth["lift"] == pytest.approx(metrics.top_lift(labels, scores, confidence=0.95).value, abs=1e-6)


def test_curves_of_any_two_models_have_the_same_shares() -> None:
    labels, scores = simulated(rows=1000)
    one, other = curves.gain(labels, scores), curves.gain(labels[:77], np.ones(77))
    assert column(one, "share").tolist() == column(other, "share").tolist()


@pytest.mark.parametrize("label", [0.0, 1.0])
def test_one_class_has_no_roc_and_no_precision_recall(label: float) -> None:
    labels, scores = np.full(3, label), array(0.1, 0.2, 0.3)
    assert curves.roc(labels, scores) == curves.precision_recall(labels, scores) == []


def test_nobody_churned_has_no_gain_but_a_calibration() -> None:
    labels, scores = array(0, 0), array(0.1, 0.2)
    assert curves.gain(labels, scores) == []
    assert len(curves.calibration(labels, scores, confidence=0.95)) == 2


def test_no_rows_have_no_curves() -> None:
    assert curves.roc(array(), array()) == curves.calibration(array(), array(), confidence=0.95) == []


def test_curves_are_json_and_do_not_depend_on_the_order_of_rows() -> None:
    labels, scores = simulated(rows=500)
    scores = np.round(scores, 2)
    order = np.random.default_rng(1).permutation(500)
    for draw in (curves.roc, curves.precision_recall, curves.gain):
        assert json.dumps(draw(labels, scores), allow_nan=False) == json.dumps(draw(labels[order], scores[order]))
