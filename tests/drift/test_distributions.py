"""How columns are spread, in cells that people read."""

import numpy as np
import pytest

from churn_drift.columns import Codes
from churn_drift.drift import distributions, fit_bins, profile
from churn_drift.errors import DataError

LETTERS = [letter for letter in "abcdefghijklmn" for _ in range(20)]


def spread(reference, batch, **options):
    """The one column's distribution."""
    bins = fit_bins({"x": reference}, batch_rows=len(reference), **options)
    samples = {"reference": profile(bins, {"x": reference}), "batch": profile(bins, {"x": batch})}
    (found,) = distributions(samples)
    return found


def test_a_category_shows_its_ten_most_frequent_levels_and_the_others_together() -> None:
    reference = Codes.of([*LETTERS, *["z"] * 30])
    found = spread(reference, Codes.of(["z", "k", "n", "new", None]))
    assert found.cells == (*"abcdefghi", "z", "(5 others)", "(new)", "(missing)")
    assert found.shares["batch"] == (0.0,) * 9 + (0.2, 0.4, 0.2, 0.2)
    assert sum(found.shares["reference"]) == pytest.approx(1)


def test_rare_levels_that_share_a_cell_are_counted_by_name() -> None:
    reference = Codes.of([*["a"] * 100, *["b", "c", "d"] * 2])
    assert spread(reference, Codes.of(["a", "b"])).cells == ("a", "(3 others)")


def test_levels_that_are_numbers_come_in_their_order() -> None:
    assert spread(Codes.of(["100", "30", "9"] * 50), Codes.of(["9"])).cells == ("9", "30", "100")


def test_whole_numbers_are_told_without_the_edge_they_exclude() -> None:
    found = spread(np.repeat([0.0, 1.0, 2.0, 3.0, 8.0], 20), np.array([-1.0, 0.0, 6.0, 9.0]))
    assert found.cells == ("below 0", "0", "1", "2", "3", "4 to 7", "8", "above 8")
    assert found.shares["batch"] == (0.25, 0.25, 0.0, 0.0, 0.0, 0.25, 0.0, 0.25)


def test_a_constant_column_is_one_cell_until_it_moves() -> None:
    three = np.full(50, 3.0)
    assert spread(three, three).cells == ("3",)
    assert spread(three, np.array([2.0, 3.0])).cells == ("below 3", "3")


def test_a_column_without_a_value_is_missing_only() -> None:
    nothing = np.full(20, np.nan)
    assert spread(nothing, nothing).cells == ("(missing)",)
    assert spread(nothing, np.array([1.0, np.nan])).cells == ("any", "(missing)")


def test_a_batch_without_rows_has_no_shares() -> None:
    assert spread(np.arange(20.0), np.array([])).shares["batch"] == (None,) * 10


def test_the_score_is_shown_where_every_sample_has_one() -> None:
    column, scores = {"x": np.arange(20.0)}, np.linspace(0.1, 0.9, 20)
    bins = fit_bins(column, batch_rows=20, scores=scores)
    with_scores, without = profile(bins, column, scores=scores), profile(bins, column)
    assert [d.column for d in distributions({"reference": with_scores, "batch": with_scores})] == ["x", "score"]
    assert [d.column for d in distributions({"reference": with_scores, "batch": without})] == ["x"]


def test_samples_in_different_cells_are_refused() -> None:
    one, other = ({"x": np.arange(20.0) + shift} for shift in (0, 5))
    samples = {name: profile(fit_bins(x, batch_rows=20), x) for name, x in (("reference", one), ("batch", other))}
    with pytest.raises(DataError, match="different bins"):
        distributions(samples)
