"""Statistics from counts: values one can check in the head, laws checked by simulation."""

import math
from itertools import pairwise
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from churn_drift.drift import statistics

COUNTS = st.lists(st.integers(0, 1000), min_size=1, max_size=12)
SAMPLES = st.lists(st.tuples(st.integers(0, 500), st.integers(0, 500)), min_size=1, max_size=12)
P_VALUES = st.lists(st.floats(0, 1), min_size=1, max_size=40)


def test_psi_of_a_half_to_a_fifth_is_its_textbook_value() -> None:
    expected = 0.3 * math.log(0.8 / 0.5) - 0.3 * math.log(0.2 / 0.5)
    assert statistics.psi([5_000, 5_000], [8_000, 2_000]) == pytest.approx(expected, rel=1e-3)


def test_psi_of_a_normal_shift_is_the_shift_squared() -> None:
    normal = NormalDist()

    edges = [normal.inv_cdf(k / 200) for k in range(1, 200)]
    reference = np.full(200, 5_000_000)
    batch = np.diff([0, *(normal.cdf(edge - 0.5) for edge in edges), 1]) * 1e9
    assert statistics.psi(reference, batch.astype(int)) == pytest.approx(0.25, rel=0.02)


def test_psi_of_an_empty_sample_is_undefined() -> None:
    assert math.isnan(statistics.psi([0, 0], [3, 4]))
    assert math.isnan(statistics.psi_p_value(0.1, n=0, m=7, cells=2))
    assert math.isnan(statistics.psi_lower_bound(0.1, n=7, m=0, cells=2, alpha=0.05))


def test_one_stray_row_in_an_empty_cell_is_no_alarm() -> None:
    value = statistics.psi([5_000, 5_000, 0], [2_500, 2_499, 1])
    assert statistics.psi_p_value(value, n=10_000, m=5_000, cells=3) > 0.2


def test_cells_that_neither_sample_fills_change_nothing() -> None:
    assert statistics.psi([30, 0, 70], [60, 0, 40]) == statistics.psi([30, 70], [60, 40])
    assert statistics.chi_square([30, 0, 70], [60, 0, 40]) == statistics.chi_square([30, 70], [60, 40])


@given(SAMPLES)
def test_psi_is_never_negative(cells: list[tuple[int, int]]) -> None:
    value = statistics.psi(*zip(*cells, strict=True))
    assert math.isnan(value) or value >= 0


@given(COUNTS.filter(any))
def test_psi_of_a_sample_with_itself_is_zero(counts: list[int]) -> None:
    assert statistics.psi(counts, counts) == 0


@given(SAMPLES, st.randoms(use_true_random=False))
def test_the_order_of_the_cells_does_not_matter(cells: list[tuple[int, int]], random) -> None:  # type: ignore[no-untyped-def]
    shuffled = random.sample(cells, len(cells))
    before, after = (tuple(zip(*order, strict=True)) for order in (cells, shuffled))
    assert statistics.psi(*before) == pytest.approx(statistics.psi(*after), nan_ok=True, abs=1e-15)
    assert statistics.chi_square(*before) == pytest.approx(statistics.chi_square(*after), nan_ok=True)


@pytest.mark.parametrize("m", [500, 5_000, 20_000])
def test_the_p_value_of_psi_is_uniform_without_drift(m: int) -> None:
    rng, n = np.random.default_rng(1), 10_000
    reference, batch = (rng.multinomial(rows, [0.1] * 10, size=4_000) for rows in (n, m))
    p = np.array([
        statistics.psi_p_value(statistics.psi(a, b), n=n, m=m, cells=10)
        for a, b in zip(reference, batch, strict=True)
    ])  # fmt: skip
    assert np.mean(p < 0.05) == pytest.approx(0.05, abs=0.012)
    assert np.mean(p < 0.01) == pytest.approx(0.01, abs=0.006)


def test_the_lower_bound_holds_in_95_of_100_samples() -> None:
    rng, n, m = np.random.default_rng(2), 10_000, 5_000
    before, after = np.full(10, 0.1), np.linspace(0.07, 0.13, 10)
    true = float(((after - before) * np.log(after / before)).sum())
    bounds = [
        statistics.psi_lower_bound(
            statistics.psi(rng.multinomial(n, before), rng.multinomial(m, after)),
            n=n,
            m=m,
            cells=10,
            alpha=0.05,
        )
        for _ in range(1_500)
    ]
    assert np.mean(np.array(bounds) <= true) == pytest.approx(0.95, abs=0.02)


def test_the_lower_bound_is_below_the_value_and_grows_with_the_batch() -> None:
    small, large = (statistics.psi_lower_bound(0.1, n=10**5, m=m, cells=10, alpha=0.05) for m in (500, 50_000))
    assert 0 < small < large < 0.1


def test_the_lower_bound_is_finite_for_an_extreme_shift() -> None:
    bound = statistics.psi_lower_bound(8.0, n=10**6, m=10**6, cells=10, alpha=0.05)
    assert 7.9 < bound < 8.0


def test_a_detectable_shift_is_detected_as_often_as_it_says() -> None:
    rng, n, m = np.random.default_rng(3), 20_000, 4_000
    size = statistics.detectable_psi(n=n, m=m, cells=2, alpha=0.01, power=0.8, floor=0.005)
    # Two cells around a half: PSI is about (2 d)^2 when a share of a half plus d lies in one.
    share = 0.5 + math.sqrt(size) / 2
    values = [
        statistics.psi([n // 2, n // 2], [k, m - k])
        for k in rng.normal(m * share, math.sqrt(m * share * (1 - share) * (1 + m / n)), 4_000).round().astype(int)
    ]
    shown = [
        statistics.psi_p_value(value, n=n, m=m, cells=2) <= 0.01
        and statistics.psi_lower_bound(value, n=n, m=m, cells=2, alpha=0.05) > 0.005
        for value in values
    ]
    assert np.mean(shown) == pytest.approx(0.8, abs=0.04)


def test_an_empty_batch_could_show_nothing() -> None:
    assert statistics.detectable_psi(n=100, m=0, cells=10, alpha=0.01, power=0.8) == math.inf


def test_the_ks_statistic_is_the_largest_gap() -> None:
    assert statistics.ks_statistic([10, 0, 0], [0, 0, 10]) == 1.0
    assert statistics.ks_statistic([1, 1, 1, 1], [2, 2, 2, 2]) == 0.0


def test_the_ks_p_value_is_within_one_percent_of_the_exact_one() -> None:
    kstwo = pytest.importorskip("scipy.stats").kstwo

    effective = 10_000 * 5_000 // 15_000
    for gap in (0.02, 0.025, 0.03):
        assert statistics.ks_p_value(gap, n=10_000, m=5_000) == pytest.approx(kstwo.sf(gap, effective), rel=0.02)


def test_chi_square_agrees_with_scipy() -> None:
    chi2_contingency = pytest.importorskip("scipy.stats").chi2_contingency

    expected = chi2_contingency([[30, 50, 20], [10, 70, 45]], correction=False)
    ours = statistics.chi_square([30, 50, 20], [10, 70, 45])
    assert (ours.statistic, ours.p, ours.freedom) == pytest.approx((expected.statistic, expected.pvalue, 2))


def test_benjamini_hochberg_on_the_textbook_case() -> None:
    assert statistics.benjamini_hochberg([0.04, 0.01, 0.03]) == pytest.approx([0.04, 0.03, 0.04])


def test_a_nan_is_no_test() -> None:
    assert statistics.benjamini_hochberg([0.02, math.nan]) == pytest.approx([0.02, math.nan], nan_ok=True)


@given(P_VALUES)
def test_q_values_keep_the_order_of_the_p_values_and_are_not_below_them(p: list[float]) -> None:
    q = statistics.benjamini_hochberg(p)
    pairs = sorted(zip(p, q, strict=True))
    assert all(a[1] <= b[1] for a, b in pairwise(pairs))
    assert all(value >= chance and value <= 1 for chance, value in pairs)


def test_the_wilson_interval_has_a_width_where_nothing_was_seen() -> None:
    low, high = statistics.wilson_interval(0, rows=10, confidence=0.95)
    assert low == 0
    assert 0.2 < high < 0.35
    assert statistics.wilson_interval(10, rows=10, confidence=0.95) == pytest.approx((1 - high, 1.0))
    assert statistics.wilson_interval(0, rows=0, confidence=0.95) == (0.0, 1.0)


def test_newcombes_interval_is_that_of_his_paper() -> None:
    # Newcombe 1998, table II, case (a), method 10: 56/70 against 48/80.
    change = statistics.two_proportions((48, 80), (56, 70), confidence=0.95)
    assert (change.difference, change.low, change.high) == pytest.approx((0.2, 0.0524, 0.3339), abs=1e-4)


def test_a_rate_may_rise_or_fall() -> None:
    rise = statistics.two_proportions((100, 1_000), (200, 1_000), confidence=0.95)
    fall = statistics.two_proportions((200, 1_000), (100, 1_000), confidence=0.95)
    assert (rise.difference, rise.low, rise.p) == pytest.approx((-fall.difference, -fall.high, fall.p))


def test_rates_of_nothing_are_undefined_and_equal_extremes_differ_in_nothing() -> None:
    assert math.isnan(statistics.two_proportions((0, 0), (1, 2), confidence=0.95).p)
    assert statistics.two_proportions((0, 9), (0, 9), confidence=0.95).p == 1.0
