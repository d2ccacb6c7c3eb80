"""Verdicts: what must alarm, what must not, and what is said about it."""

import json
import subprocess
import sys

import numpy as np
import pytest

from churn_drift.columns import Codes, Columns, Numbers, length, take
from churn_drift.drift import DriftReport, FeatureDrift, Limits, check, fit_bins, profile
from churn_drift.errors import DataError


def compare(
    reference: Columns,
    batch: Columns,
    *,
    limits: Limits | None = None,
    importance: dict[str, float] | None = None,
    batch_rows: int | None = None,
) -> DriftReport:
    bins = fit_bins(reference, batch_rows=batch_rows or max(length(batch), 1))
    ours, theirs = profile(bins, reference), profile(bins, batch)
    return check(ours, theirs, limits=limits or Limits(), importance=importance)


def one(reference: Numbers | Codes, batch: Numbers | Codes) -> FeatureDrift:
    return compare({"x": reference}, {"x": batch}).features[0]


def normal(rows: int, *, mean: float = 0.0, seed: int = 0) -> Numbers:
    return np.random.default_rng(seed).normal(mean, 1, rows)


def customers(rows: int, *, seed: int, shift: float = 0.0, shifted: int = 0) -> dict[str, Numbers | Codes]:
    """20 numbers and two categories; the first `shifted` numbers are moved by `shift`."""
    rng = np.random.default_rng(seed)
    numbers: dict[str, Numbers | Codes] = {
        f"n{i}": rng.lognormal(size=rows) + shift * 2 * (i < shifted) for i in range(20)
    }
    few = rng.choice(["a", "b", "c", "d"], p=[0.6, 0.3, 0.09, 0.01], size=rows).tolist()
    many = [f"area{int(k)}" for k in rng.geometric(0.005, rows)]
    return {**numbers, "few": Codes.of(few), "many": Codes.of(many)}


def test_two_halves_of_one_batch_are_stable() -> None:
    for seed in range(20):
        whole = customers(6_000, seed=seed)
        order = np.random.default_rng(seed).permutation(6_000)
        report = compare(take(whole, order[:3_000]), take(whole, order[3_000:]))
        assert report.verdict == "stable"
        assert report.drifted_features == ()


def test_a_batch_compared_with_itself_is_stable_at_psi_zero_for_all_but_the_unseen() -> None:
    batch = customers(2_000, seed=1)
    report = compare(batch, batch)
    assert report.verdict == "stable"
    assert {feature.psi for feature in report.features if feature.name != "many"} == {0.0}


def test_a_shifted_batch_is_drifted_and_the_reason_names_what_and_how_far() -> None:
    report = compare(customers(6_000, seed=1), customers(3_000, seed=2, shift=0.3, shifted=5))
    assert report.verdict == "drifted"
    assert sorted(report.drifted_features) == ["n0", "n1", "n2", "n3", "n4"]
    assert report.worst in report.drifted_features
    assert report.reason.startswith("5 of 22 features drifted, 23% by weight, limit 10%: n")


def test_a_shift_of_one_sigma_has_a_large_psi() -> None:
    found = one(normal(10_000), normal(5_000, mean=1, seed=1))
    assert found.psi == pytest.approx(1.0, abs=0.15)
    assert found.drifted


def test_a_half_sigma_shift_is_found_beside_one_value_of_a_million() -> None:
    batch = np.append(normal(5_000, mean=0.5, seed=1), 1e6)
    found = one(np.append(normal(10_000), 1e6), batch)
    assert found.psi == pytest.approx(0.24, abs=0.05)
    assert found.drifted


def test_forty_percent_new_missing_values_are_found() -> None:
    batch = normal(5_000, seed=1)
    batch[:2_000] = np.nan
    found = one(normal(10_000), batch)
    assert found.psi is not None
    assert found.psi > 1
    assert found.missing_batch == 0.4
    assert found.drifted
    assert "missing 0.0%, now 40.0%" in found.reason


@pytest.mark.parametrize("lost", ["first half", "every second", "random half"])
def test_half_of_700_levels_vanishing_is_found(lost: str) -> None:
    rng = np.random.default_rng(0)
    names = [f"area{k:03d}" for k in range(700)]
    kept = {"first half": names[350:], "every second": names[::2]}.get(lost) or rng.choice(names, 350, replace=False)
    found = one(Codes.of(rng.choice(names, 10_000).tolist()), Codes.of(rng.choice(kept, 5_000).tolist()))
    assert found.psi_lower is not None
    assert found.psi_lower > 0.5
    assert found.drifted


def test_700_levels_without_drift_are_no_drift() -> None:
    names = [f"area{k:03d}" for k in range(700)]
    p = []
    for seed in range(100):
        rng = np.random.default_rng(seed)
        found = one(Codes.of(rng.choice(names, 5_000).tolist()), Codes.of(rng.choice(names, 2_500).tolist()))
        assert not found.drifted
        p.append(found.p_value)
    assert np.mean(np.array(p) < 0.05) < 0.12


def test_unseen_levels_that_a_long_tail_always_brings_are_no_drift() -> None:
    rng = np.random.default_rng(0)
    draws = [f"shop{k}" for k in rng.zipf(1.5, 15_000)]
    found = one(Codes.of(draws[:10_000]), Codes.of(draws[10_000:]))
    assert found.unseen > 100
    assert found.unseen == pytest.approx(found.unseen_expected, rel=0.2)
    assert not found.drifted


def test_a_new_level_is_found_and_named() -> None:
    reference = Codes.of(["a", "b"] * 5_000)
    found = one(reference, Codes.of(["a", "b"] * 900 + ["zeta"] * 200))
    assert (found.unseen, found.examples) == (200, ("zeta",))
    assert found.drifted
    assert "unseen in 200 rows, 0 expected, such as 'zeta'" in found.reason


def test_lognormal_columns_give_no_false_alarms() -> None:
    rng = np.random.default_rng(5)
    alarms = [one(rng.lognormal(sigma=2, size=4_000), rng.lognormal(sigma=2, size=2_000)).drifted for _ in range(150)]
    assert not any(alarms)


def test_p_values_of_tied_counts_and_rare_missing_values_hold_their_size() -> None:
    rng, p = np.random.default_rng(6), []
    for _ in range(400):
        values = rng.poisson(0.7, 6_000).astype(np.float64)
        values[rng.random(6_000) < 0.0005] = np.nan
        p.append(one(values[:4_000], values[4_000:]).p_value)
    assert np.mean(np.array(p) < 0.05) == pytest.approx(0.05, abs=0.035)


def test_a_tiny_certain_shift_is_not_relevant() -> None:
    found = one(normal(400_000), normal(400_000, mean=0.05, seed=1))
    assert found.q_value is not None
    assert found.q_value < 1e-6
    assert not found.drifted
    assert "limit 0.02" in found.reason


def test_a_large_uncertain_shift_is_not_significant() -> None:
    limits = Limits(min_rows=10)
    report = compare({"x": normal(10_000)}, {"x": normal(12, seed=3)}, limits=limits)
    assert report.features[0].psi is not None
    assert report.features[0].psi > 0.25
    assert report.verdict == "stable"
    assert "within sampling noise" in report.features[0].reason


def test_a_batch_one_row_below_min_rows_is_insufficient_and_at_min_rows_is_not() -> None:
    reference = {"x": normal(10_000)}
    few = compare(reference, {"x": normal(199, mean=3)})
    assert (few.verdict, few.share_drifted, few.drifted_features) == ("insufficient", 0.0, ())
    assert few.reason.startswith("the batch has 199 rows, min_rows is 200: only a PSI above 0.1")
    assert compare(reference, {"x": normal(200, mean=3)}).verdict == "drifted"


def test_an_empty_batch_is_insufficient_and_not_an_error() -> None:
    report = compare(customers(1_000, seed=1), take(customers(10, seed=1), np.array([], dtype=np.intp)))
    assert (report.verdict, report.worst, report.detectable_psi) == ("insufficient", None, None)
    assert report.features[0].psi is None
    assert "no shift at all could have been shown" in report.reason
    json.dumps(report.to_dict(), allow_nan=False)


def test_an_empty_batch_is_insufficient_even_where_any_number_of_rows_will_do() -> None:
    report = compare({"x": normal(500)}, {"x": normal(0)}, limits=Limits(min_rows=0))
    assert report.verdict == "insufficient"


def test_a_reference_too_small_to_judge_by_is_insufficient() -> None:
    report = compare({"x": normal(50)}, {"x": normal(5_000, mean=3)})
    assert report.verdict == "insufficient"
    assert report.reason.startswith("the reference has 50 rows")


def test_a_larger_batch_can_show_a_smaller_shift() -> None:
    shown = [compare({"x": normal(10_000)}, {"x": normal(m, seed=1)}).detectable_psi for m in (300, 3_000, 30_000)]
    assert shown[0] > shown[1] > shown[2] > 0.02  # type: ignore[operator]


def test_a_constant_column_that_stays_is_stable_and_one_that_moves_is_drifted() -> None:
    assert one(np.zeros(1_000), np.zeros(500)).psi == 0.0
    assert one(np.zeros(1_000), np.full(500, 5.0)).drifted
    assert one(np.zeros(1_000), np.full(500, -1.0)).drifted


def test_a_zero_that_is_coded_minus_one_from_now_on_is_found() -> None:
    reference = np.where(np.arange(5_000) % 2 == 0, 0.0, np.arange(5_000) / 100)
    assert one(reference, np.where(reference == 0, -1.0, reference)).drifted


def test_an_all_missing_column_that_stays_is_stable_and_one_that_fills_is_drifted() -> None:
    nothing = np.full(1_000, np.nan)
    assert one(nothing, nothing).p_value == 1.0
    assert one(nothing, np.ones(500)).drifted
    assert one(np.ones(1_000), nothing).drifted


def test_a_smaller_batch_than_usual_is_folded_further_and_stays_calm() -> None:
    rng = np.random.default_rng(0)
    names = [f"area{k:03d}" for k in range(200)]
    bins = fit_bins({"x": Codes.of(rng.choice(names, 20_000).tolist())}, batch_rows=20_000)
    reference = profile(bins, {"x": Codes.of(rng.choice(names, 20_000).tolist())})
    p = [
        check(reference, profile(bins, {"x": Codes.of(rng.choice(names, 300).tolist())}), limits=Limits())
        for _ in range(200)
    ]
    assert {report.verdict for report in p} == {"stable"}
    assert max(report.features[0].cells for report in p) < 32


def test_importance_decides_whether_one_drifted_feature_condemns_the_batch() -> None:
    reference, batch = customers(5_000, seed=1), customers(5_000, seed=2, shift=0.5, shifted=1)
    assert compare(reference, batch).verdict == "stable"
    assert compare(reference, batch, importance={"n0": 3, "n1": 7}).verdict == "drifted"
    assert compare(reference, batch, importance={"n0": 3, "n1": 7}).share_drifted == pytest.approx(0.3)
    assert compare(reference, batch, importance={"n0": 1, "n1": 19}).verdict == "stable"


def test_a_share_exactly_at_the_limit_is_drifted() -> None:
    reference, batch = customers(5_000, seed=1), customers(5_000, seed=2, shift=0.5, shifted=1)
    limits = Limits(drift_share=0.25)
    assert compare(reference, batch, limits=limits, importance={"n0": 1, "n1": 3}).verdict == "drifted"


def test_a_limit_of_zero_means_any_feature_and_not_always() -> None:
    reference, limits = customers(5_000, seed=1), Limits(drift_share=0.0)
    shifted = customers(5_000, seed=2, shift=0.5, shifted=1)
    assert compare(reference, customers(5_000, seed=2), limits=limits).verdict == "stable"
    assert compare(reference, shifted, limits=limits).verdict == "drifted"


def test_an_importance_of_nothing_but_zeros_weighs_all_the_same() -> None:
    report = compare(customers(500, seed=1), customers(500, seed=2), importance={"n0": 0.0})
    assert {round(feature.weight, 9) for feature in report.features} == {round(1 / 22, 9)}


def test_a_negative_importance_is_refused() -> None:
    with pytest.raises(ValueError, match="importance"):
        compare(customers(500, seed=1), customers(500, seed=2), importance={"n0": -1.0})


def scored(score_shift: float, rate: float, *, rows: int = 5_000) -> DriftReport:
    reference, batch = {"x": normal(10_000)}, {"x": normal(rows, seed=1)}
    held_out = normal(10_000, seed=2)
    bins = fit_bins(reference, batch_rows=rows, scores=held_out)
    ours = profile(bins, reference, scores=held_out, labels=np.arange(10_000) % 10 < 3)
    labels = np.arange(rows) < rate * rows
    theirs = profile(bins, batch, scores=normal(rows, mean=score_shift, seed=3), labels=labels)
    return check(ours, theirs, limits=Limits())


def test_a_drifted_score_makes_the_batch_drifted() -> None:
    report = scored(0.4, 0.3)
    assert report.score is not None
    assert report.score.drifted
    assert report.verdict == "drifted"
    assert "score: PSI 0.1" in report.reason
    assert scored(0.0, 0.3).verdict == "stable"


@pytest.mark.parametrize(("rate", "drifted"), [(0.30, False), (0.32, False), (0.25, True), (0.35, True)])
def test_a_label_rate_may_drift_up_and_down(rate: float, drifted: bool) -> None:
    report = scored(0.0, rate)
    assert report.labels is not None
    assert report.labels.drifted is drifted
    assert (report.verdict == "drifted") is drifted
    assert report.labels.difference == pytest.approx(rate - 0.3)


def test_labels_too_few_to_judge_are_no_drift() -> None:
    bins = fit_bins({"x": normal(1_000)}, batch_rows=1_000)
    reference = profile(bins, {"x": normal(1_000)}, labels=np.zeros(1_000))
    arrived = np.where(np.arange(1_000) < 150, 1.0, np.nan)
    report = check(reference, profile(bins, {"x": normal(1_000)}, labels=arrived), limits=Limits())
    assert report.labels is not None
    assert not report.labels.drifted
    assert report.labels.reason == "the batch has 150 labels, min_rows is 200"
    assert report.verdict == "stable"


def test_without_scores_or_labels_there_is_no_word_about_them() -> None:
    report = compare(customers(500, seed=1), customers(500, seed=2))
    assert (report.score, report.labels) == (None, None)


def test_profiles_in_different_bins_are_not_compared() -> None:
    a, b = ({"x": normal(500, seed=seed)} for seed in (1, 2))
    one_bins, two_bins = fit_bins(a, batch_rows=500), fit_bins(b, batch_rows=500)
    with pytest.raises(DataError, match="different bins"):
        check(profile(one_bins, a), profile(two_bins, b), limits=Limits())


def test_the_report_is_json_with_six_decimals() -> None:
    report = compare(customers(1_000, seed=1), customers(1_000, seed=2, shift=0.3, shifted=3))
    document = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert document["verdict"] == report.verdict
    assert document["features"][0]["psi"] == round(report.features[0].psi or 0, 6)
    assert document["features"][-1]["ks"] is None


def test_the_order_of_the_rows_does_not_matter() -> None:
    reference, batch = customers(1_000, seed=1), customers(800, seed=2)
    shuffled = take(batch, np.random.default_rng(0).permutation(800))
    assert compare(reference, batch) == compare(reference, shuffled)


@pytest.mark.parametrize("fault", [{"fdr": 0.0}, {"confidence": 1.0}, {"psi_threshold": -1.0}, {"alpha": float("nan")}])
def test_impossible_limits_are_refused(fault: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(fault))):
        Limits(**fault)  # type: ignore[arg-type]


def test_drift_needs_numpy_and_scipy_special_only() -> None:
    told = "import churn_drift.drift, sys; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=True).stdout.split()
    assert not {"pandas", "sklearn", "scipy.stats", "xgboost", "pyarrow", "pydantic"} & set(loaded)
