"""Bins and profiles: what is counted where, that it adds up, and that it survives JSON."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from churn_drift.columns import Codes, Numbers, concatenate
from churn_drift.drift import (
    Bins,
    CategoryBins,
    NumberBins,
    Profile,
    fit_bins,
    from_json,
    merge,
    profile,
    to_json,
)
from churn_drift.drift import bins as bins_module
from churn_drift.drift.bins import fold, tally_numbers
from churn_drift.errors import DataError

NUMBERS = st.lists(
    st.one_of(st.sampled_from([0.0, -0.0, 1.0, 2.5, np.nan, np.inf, -np.inf]), st.floats(-5, 5)), max_size=30
)
LEVELS = st.lists(st.sampled_from(["a", "b", "c", "new", None]), max_size=30)
REFERENCE: dict[str, Numbers | Codes] = {
    "x": np.arange(-3.0, 4.0, 0.25),
    "plan": Codes.of(["a"] * 14 + ["b"] * 13 + [None]),
}
BINS = fit_bins(REFERENCE, bins=4, grid=8, batch_rows=28, min_expected=5, scores=np.linspace(0, 1, 28))


def columns_of(values: list[float], seed: int = 0) -> dict[str, Numbers | Codes]:
    rng = np.random.default_rng(seed)
    levels = rng.choice(["a", "b", "c", "d", "e", "f", "g", "h"], size=len(values)).tolist()
    return {"x": np.array(values, dtype=np.float64), "plan": Codes.of([*levels])}


def profile_of(values: list[float], seed: int = 0) -> Profile:
    labels = np.arange(len(values)) % 2
    return profile(BINS, columns_of(values, seed), scores=np.zeros(len(values)), labels=labels)


def number(bins: Bins, name: str = "x") -> NumberBins:
    column = bins.columns[name]
    assert isinstance(column, NumberBins)
    return column


def category(bins: Bins, name: str = "x") -> CategoryBins:
    column = bins.columns[name]
    assert isinstance(column, CategoryBins)
    return column


def coarse_edges(bins: Bins) -> list[float]:
    return [number(bins).grid[place] for place in number(bins).coarse]


def test_psi_bins_are_the_deciles_of_the_reference() -> None:
    fitted = fit_bins({"x": np.arange(1.0, 101.0)}, bins=10, batch_rows=100)
    assert coarse_edges(fitted) == [10.0, 20.0, 30.0, 40.0, 50.0, 60.0, 70.0, 80.0, 90.0]


def test_tied_quantiles_merge() -> None:
    fitted = fit_bins({"x": np.array([1.0] * 2 + [5.0] * 6 + [8.0, 9.0])}, bins=10, batch_rows=10)
    assert len(set(coarse_edges(fitted))) == len(coarse_edges(fitted))
    assert 5.0 in coarse_edges(fitted)


def test_a_constant_column_has_a_cell_below_and_one_above() -> None:
    fitted = fit_bins({"x": np.zeros(20)}, batch_rows=10)
    counted = profile(fitted, {"x": np.array([-1.0, 0.0, 0.0, 2.0])}).columns["x"]
    assert counted.cells == (1, 2, 1)
    assert counted.unseen == 2


def test_an_all_missing_column_has_one_cell_and_everything_in_it_is_unseen() -> None:
    fitted = fit_bins({"x": np.full(9, np.nan)}, batch_rows=10)
    counted = profile(fitted, {"x": np.array([1.0, np.nan])}).columns["x"]
    assert (counted.cells, counted.missing, counted.unseen) == ((1,), 1, 1)


def test_infinite_values_lie_in_the_outer_cells() -> None:
    counted = profile(BINS, {"x": np.array([-np.inf, np.inf, np.inf]), "plan": Codes.of([None] * 3)}).columns["x"]
    assert (counted.cells[0], counted.cells[-1], counted.unseen, counted.missing) == (1, 2, 3, 0)


def test_an_infinite_reference_still_has_finite_edges() -> None:
    fitted = fit_bins({"x": np.array([-np.inf] * 5 + [1.0, 2.0, 3.0] + [np.inf] * 5)}, batch_rows=10)
    assert all(np.isfinite(number(fitted).grid))
    json.dumps(to_json(profile(fitted, {"x": np.array([np.inf])})), allow_nan=False)


def test_missing_is_a_cell_of_its_own() -> None:
    counted = profile(BINS, {"x": np.array([np.nan, 0.0]), "plan": Codes.of([None, None])})
    assert (counted.columns["x"].missing, counted.columns["plan"].missing) == (1, 2)


def test_frequent_levels_stand_alone_and_rare_ones_share() -> None:
    levels = ["big"] * 80 + ["r1", "r2", "r3", "r4"] * 5
    fitted = category(fit_bins({"x": Codes.of(levels)}, batch_rows=100, min_expected=10))
    cell = dict(zip(fitted.levels, fitted.cells, strict=True))
    assert len(set(cell.values())) == 3
    assert [level for level in cell if cell[level] == cell["big"]] == ["big"]


def test_a_level_that_the_encoding_lists_but_no_row_has_is_not_known() -> None:
    fitted = fit_bins({"x": Codes(np.zeros(30, dtype=np.int32), ("a", "ghost"))}, batch_rows=30)
    assert category(fitted).levels == ("a",)
    assert profile(fitted, {"x": Codes.of(["ghost"])}).columns["x"].unseen == 1


def test_a_level_that_the_encoding_lists_but_no_row_has_is_no_example() -> None:
    fitted = fit_bins({"x": Codes.of(["a"] * 9)}, batch_rows=30)
    assert profile(fitted, {"x": Codes(np.zeros(3, dtype=np.int32), ("a", "ghost"))}).columns["x"].examples == ()


def test_the_order_of_the_levels_in_the_encoding_does_not_matter() -> None:
    one = Codes(np.array([0, 1, 1, -1], dtype=np.int32), ("a", "b"))
    two = Codes(np.array([1, 0, 0, -1], dtype=np.int32), ("b", "a"))
    assert fit_bins({"x": one}, batch_rows=4) == fit_bins({"x": two}, batch_rows=4)
    fitted = fit_bins({"x": one}, batch_rows=4)
    assert profile(fitted, {"x": one}) == profile(fitted, {"x": two})


@given(st.lists(st.integers(0, 40), max_size=30), st.integers(1, 30))
def test_every_group_of_folded_cells_has_enough(counts: list[int], least: int) -> None:
    groups = fold(np.array(counts, dtype=np.int64), least=least)
    held = np.bincount(groups, weights=counts) if counts else np.array([])
    assert len(held) <= 1 or (sum(counts) < least) or (held >= least).sum() >= len(held) - 1
    assert sorted(set(groups.tolist())) == list(range(len(held)))


@given(NUMBERS, st.lists(st.floats(-5, 5), unique=True, max_size=6))
def test_counts_are_those_of_one_row_at_a_time(values: list[float], edges: list[float]) -> None:
    edges = sorted(edges)
    expected = [0] * (len(edges) + 1)
    for value in values:
        if not np.isnan(value):
            expected[sum(value > edge for edge in edges)] += 1
    cells, missing = tally_numbers(np.array(values, dtype=np.float64), tuple(edges))
    assert (cells.tolist(), missing) == (expected, sum(map(bool, np.isnan(values))))


@pytest.mark.parametrize("compared", [0, 1_000])
@pytest.mark.parametrize("block", [7, 64, 10_000])
def test_counts_do_not_depend_on_blocks_or_method(monkeypatch: pytest.MonkeyPatch, compared: int, block: int) -> None:
    values = np.random.default_rng(4).normal(size=2_000).round(1)
    values[::9], values[1] = np.nan, np.inf
    edges = tuple(np.unique(values[np.isfinite(values)]).tolist())
    expected = tally_numbers(values, edges)
    monkeypatch.setattr(bins_module, "BLOCK", block)
    monkeypatch.setattr(bins_module, "COMPARED", compared)
    cells, missing = tally_numbers(values, edges)
    assert (cells.tolist(), missing) == (expected[0].tolist(), expected[1])


def test_strided_columns_count_the_same() -> None:
    table = np.random.default_rng(4).normal(size=(500, 3))
    assert (tally_numbers(table[:, 1], (0.0,))[0] == tally_numbers(table[:, 1].copy(), (0.0,))[0]).all()


@settings(max_examples=50)
@given(NUMBERS, NUMBERS)
def test_the_profile_of_a_union_is_the_merge_of_the_profiles(a: list[float], b: list[float]) -> None:
    union = profile(
        BINS,
        concatenate([columns_of(a, 1), columns_of(b, 2)]),
        scores=np.zeros(len(a) + len(b)),
        labels=np.concatenate([np.arange(len(a)) % 2, np.arange(len(b)) % 2]),
    )
    assert merge(profile_of(a, 1), profile_of(b, 2)) == union


@settings(max_examples=50)
@given(NUMBERS, NUMBERS, NUMBERS)
def test_merging_is_associative_and_commutative(a: list[float], b: list[float], c: list[float]) -> None:
    one, two, three = profile_of(a, 1), profile_of(b, 2), profile_of(c, 3)
    assert merge(merge(one, two), three) == merge(one, merge(two, three))
    assert merge(one, two) == merge(two, one)


def test_merging_keeps_the_labels_that_only_one_side_has() -> None:
    labelled, without = profile_of([1.0, 2.0]), profile(BINS, columns_of([3.0]))
    both = merge(labelled, without)
    assert both.labels == labelled.labels
    assert both.rows == 3


def test_profiles_of_different_bins_do_not_merge() -> None:
    other = fit_bins({**REFERENCE, "x": np.arange(28.0)}, batch_rows=28)
    with pytest.raises(DataError, match=r"different bins.*: x\)"):
        merge(profile(BINS, REFERENCE), profile(other, REFERENCE))


@given(NUMBERS)
def test_a_profile_survives_json(values: list[float]) -> None:
    written = json.dumps(to_json(profile_of(values)), allow_nan=False)
    assert from_json(json.loads(written)) == profile_of(values)


def test_a_profile_without_scores_and_labels_survives_json() -> None:
    bare = profile(fit_bins({"x": np.arange(9.0)}, batch_rows=9), {"x": np.arange(3.0)})
    assert from_json(json.loads(json.dumps(to_json(bare)))) == bare


def test_edges_survive_json_to_the_last_bit() -> None:
    values = np.random.default_rng(0).normal(size=300) / 3
    fitted = fit_bins({"x": values}, batch_rows=100)
    again = from_json(json.loads(json.dumps(to_json(profile(fitted, {"x": values})))))
    assert number(again.bins).grid == number(fitted).grid


def test_another_format_is_refused() -> None:
    with pytest.raises(DataError, match="format 2"):
        from_json({**to_json(profile_of([1.0])), "format": 2})


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"x": np.zeros(2)}, "'plan' is not in the batch"),
        ({"x": Codes.of(["a"]), "plan": Codes.of(["a"])}, "'x' should hold numbers"),
        ({"x": np.zeros(1), "plan": np.zeros(1)}, "'plan' should hold categories"),
        ({"x": np.zeros(2), "plan": Codes.of(["a"])}, "'plan' has 1 rows"),
    ],
)
def test_a_batch_of_another_shape_is_refused(columns: dict[str, Numbers | Codes], message: str) -> None:
    with pytest.raises(DataError, match=message):
        profile(BINS, columns)


def test_labels_are_counted_where_they_have_arrived() -> None:
    labels = np.array([1.0, 0.0, np.nan, 1.0])
    counted = profile(BINS, columns_of([0.0] * 4), labels=labels).labels
    assert counted is not None
    assert (counted.rows, counted.positives) == (3, 2)


def test_a_label_that_is_neither_yes_nor_no_is_refused() -> None:
    with pytest.raises(DataError, match="neither 0 nor 1"):
        profile(BINS, columns_of([0.0]), labels=np.array([2.0]))


def test_scores_without_bins_for_them_are_refused() -> None:
    with pytest.raises(DataError, match="fitted without"):
        profile(fit_bins(REFERENCE, batch_rows=9), REFERENCE, scores=np.zeros(28))


def test_an_empty_reference_is_refused() -> None:
    with pytest.raises(DataError, match="no rows"):
        fit_bins({"x": np.array([])}, batch_rows=100)


def test_profiling_changes_nothing_in_the_batch() -> None:
    values = np.array([3.0, 1.0, np.nan])
    codes = Codes.of(["b", "a", None])
    profile(BINS, {"x": values, "plan": codes})
    assert np.array_equal(values, [3.0, 1.0, np.nan], equal_nan=True)
    assert codes.codes.tolist() == [1, 0, -1]
