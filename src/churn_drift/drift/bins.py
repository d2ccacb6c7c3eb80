"""Where the cells of every column lie: fitted once on the reference, used for every batch.

Bins that are fitted on each sample anew make drift vanish: a shift of one standard deviation then scores 0.
"""

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from churn_drift.columns import Codes, Columns, Numbers, length
from churn_drift.errors import DataError

FORMAT = 1
BLOCK = 65_536
"""Rows counted at a time: half a megabyte of doubles, which stays in the CPU's cache."""
ALONE = 5
"""A level with so many times the rows that a cell needs has a cell to itself; the others are joined in an
order that does not follow their counts. To set all above the line apart would be to pick those that the
reference happens to have too many of: 750 levels, 1,000 rows against 1,000, then alarm 12 % at 5 %, so 8 %."""
COMPARED = 32
"""Up to so many edges it is faster to compare a block with each edge, above to sort the block (measured)."""


@dataclass(frozen=True)
class NumberBins:
    """Cells of a numeric column: cell k holds the values with grid[k - 1] < value <= grid[k].

    grid    ascending reference quantiles; the first edge is just below the reference's minimum and the last
            is its maximum, so that the two outer cells hold what lies outside the reference's range
    coarse  positions in `grid` of the few edges used for PSI: equal shares of the reference, ties merged
    """

    grid: tuple[float, ...]
    coarse: tuple[int, ...]

    @property
    def cells(self) -> int:
        """Number of fine cells."""
        return len(self.grid) + 1


@dataclass(frozen=True)
class CategoryBins:
    """Cells of a categorical column: levels[i] is counted in cell cells[i].

    levels  every level of the reference, in an order of no meaning
    cells   frequent levels have a cell of their own, rare ones share; numbered along the levels
    once    per cell, the levels that the reference holds exactly once: a resampled reference would lack about
            so many rows, and a batch is expected to hold about that share of unseen levels without any drift
    """

    levels: tuple[str, ...]
    cells: tuple[int, ...]
    once: tuple[int, ...]


@dataclass(frozen=True)
class Bins:
    """The cells of every column and of the model's score.

    rows          reference rows they were fitted on
    min_expected  rows that a batch is expected to have in a cell before the cell is trusted on its own
    """

    rows: int
    min_expected: float
    columns: Mapping[str, NumberBins | CategoryBins]
    score: NumberBins | None = None


def fit_bins(
    columns: Columns,
    *,
    bins: int = 10,
    grid: int = 128,
    min_expected: float = 10.0,
    batch_rows: int,
    scores: Numbers | None = None,
) -> Bins:
    """The cells of every column, from the reference's quantiles and levels.

    bins          equal shares for PSI (fewer where values are tied)
    grid          equal shares for Kolmogorov-Smirnov
    batch_rows    size of a usual batch; rare levels share cells until such a batch is expected to have
                  `min_expected` rows in each. A smaller batch is folded further when it is checked
    scores        the model's scores of the reference: held-out ones, else they look surer than any batch will

    DataError if there are no rows.

    >>> fitted = fit_bins({"x": np.arange(8.0)}, bins=2, grid=4, batch_rows=100)
    >>> fitted.columns["x"].grid[1:]
    (1.0, 3.0, 5.0, 7.0)
    >>> fitted.columns["x"].coarse
    (2,)
    """
    rows = length(columns)
    if not rows:
        raise DataError("the reference has no rows: there is nothing to fit bins on")
    if min(bins, grid, batch_rows) < 1:
        raise ValueError(f"bins ({bins}), grid ({grid}) and batch_rows ({batch_rows}) must be at least 1")
    least = min_expected * rows / min(rows, batch_rows)
    fitted = {
        name: _fit_category(values, least=least)
        if isinstance(values, Codes)
        else _fit_number(values, bins=bins, grid=grid)
        for name, values in columns.items()
    }
    score = None if scores is None else _fit_number(scores, bins=bins, grid=grid)
    return Bins(rows=rows, min_expected=min_expected, columns=fitted, score=score)


def _fit_number(values: Numbers, *, bins: int, grid: int) -> NumberBins:
    ordered = np.sort(values[~np.isnan(values)])
    if not len(ordered):
        return NumberBins((), ())
    lowest, highest = ordered[0], ordered[-1]
    below = np.nextafter(lowest, -np.inf)
    coarse = _quantiles(ordered, shares=bins)
    # An end that holds a tenth of the rows, such as 0 calls, gets a cell to itself: else a constant column,
    # or an "unknown" that is coded -1 from now on, could not be seen to move.
    if len(coarse) and coarse[0] == lowest:
        coarse = np.append(coarse, below)
    if len(coarse) and highest in coarse:
        coarse = np.append(coarse, np.nextafter(highest, -np.inf))
    coarse = _edges(coarse)
    fine = _edges(np.concatenate([coarse, _quantiles(ordered, shares=grid), [below, highest]]))
    places = np.searchsorted(fine, coarse)
    return NumberBins(tuple(fine.tolist()), tuple(places.tolist()))


def _quantiles(ordered: Numbers, *, shares: int) -> Numbers:
    # Values that occur, never interpolated: the same bytes on every machine.
    places = -(-np.arange(1, shares) * len(ordered) // shares) - 1
    return ordered[np.maximum(places, 0)]


def _edges(values: Numbers) -> Numbers:
    return np.unique(values[np.isfinite(values)])


def _fit_category(values: Codes, *, least: float) -> CategoryBins:
    tally = tally_codes(values)[0]
    present = ((level, rows) for level, rows in zip(values.levels, tally.tolist(), strict=True) if rows)
    known = sorted(present, key=lambda pair: _shuffled(pair[0]))
    cells = fold(np.array([rows for _, rows in known], dtype=np.int64), least=least)
    once = np.zeros(int(cells.max(initial=-1)) + 1, dtype=np.int64)
    np.add.at(once, cells, [rows == 1 for _, rows in known])
    return CategoryBins(tuple(level for level, _ in known), tuple(cells.tolist()), tuple(once.tolist()))


def _shuffled(level: str) -> bytes:
    # In the order of names, a change that follows the names ("every second area closes") could leave the sum
    # of each cell as it was. The hash is an order that follows nothing, and the same everywhere.
    return hashlib.sha256(level.encode()).digest()


def fold(counts: npt.NDArray[np.int64], *, least: float) -> npt.NDArray[np.intp]:
    """For each cell its group: neighbours are joined, in order, until a group has at least `least` rows.

    Cells with ALONE times as many are groups of their own. What is left over at the end joins the group
    before. Groups are numbered in order of their first cell.

    >>> fold(np.array([4, 900, 7, 30, 6, 2]), least=10).tolist()
    [0, 1, 0, 2, 2, 2]
    """
    groups = np.zeros(len(counts), dtype=np.intp)
    following, opened, filled, held = 0, -1, -1, 0
    for cell, rows in enumerate(counts.tolist()):
        if rows >= ALONE * least:
            groups[cell], following = following, following + 1
            continue
        if opened < 0:
            opened, following, held = following, following + 1, 0
        groups[cell], held = opened, held + rows
        if held >= least:
            filled, opened = opened, -1
    if opened >= 0 and filled >= 0:
        groups[groups == opened] = filled
        groups[groups > opened] -= 1
    return groups


def tally_codes(values: Codes) -> tuple[npt.NDArray[np.int64], int]:
    """Rows of each level, in the order of `values.levels`, and missing rows.

    >>> rows, missing = tally_codes(Codes.of(["a", "b", "a", None]))
    >>> rows.tolist(), missing
    ([2, 1], 1)
    """
    counted = np.bincount(values.codes + 1, minlength=len(values.levels) + 1)
    return counted[1:].astype(np.int64), int(counted[0])


def tally_numbers(values: Numbers, edges: tuple[float, ...]) -> tuple[npt.NDArray[np.int64], int]:
    """Rows of each cell between the ascending edges, right-closed, and missing (NaN) rows.

    Infinite values land in the outer cells. Counts are exact, whatever the blocks.

    >>> values = np.array([1.0, 2.0, 2.5, np.inf, np.nan])
    >>> rows, missing = tally_numbers(values, (1.0, 2.0))
    >>> rows.tolist(), missing
    ([1, 1, 2], 1)
    """
    above = np.zeros(len(edges), dtype=np.int64)
    present = 0
    bounds = np.array(edges, dtype=np.float64)
    count = _compare if len(edges) <= COMPARED else _sort
    for start in range(0, len(values), BLOCK):
        block = np.ascontiguousarray(values[start : start + BLOCK])
        block_above, block_present = count(block, bounds)
        above += block_above
        present += block_present
    cells = -np.diff(np.concatenate([[present], above, [0]]))
    return cells.astype(np.int64), len(values) - present


def _compare(block: Numbers, edges: Numbers) -> tuple[npt.NDArray[np.int64], int]:
    above = np.array([np.count_nonzero(block > edge) for edge in edges], dtype=np.int64)
    return above, len(block) - int(np.count_nonzero(np.isnan(block)))


def _sort(block: Numbers, edges: Numbers) -> tuple[npt.NDArray[np.int64], int]:
    ordered = np.sort(block)
    present = int(np.searchsorted(ordered, np.inf, side="right"))
    return present - np.minimum(np.searchsorted(ordered, edges, side="right"), present), present


def bins_to_json(bins: Bins) -> dict[str, Any]:
    """Plain dicts and lists that `json` writes; edges round-trip exactly.

    >>> fitted = fit_bins({"x": np.ones(3)}, batch_rows=9)
    >>> bins_from_json(bins_to_json(fitted)) == fitted
    True
    """
    return {
        "format": FORMAT,
        "rows": bins.rows,
        "min_expected": bins.min_expected,
        "columns": {name: _column_to_json(column) for name, column in bins.columns.items()},
        "score": None if bins.score is None else _column_to_json(bins.score),
    }


def bins_from_json(document: Mapping[str, Any]) -> Bins:
    """The bins that `bins_to_json` wrote; DataError for another format."""
    if document.get("format") != FORMAT:
        raise DataError(f"drift profile has format {document.get('format')!r}, this version reads {FORMAT}")
    score = document["score"]
    return Bins(
        rows=int(document["rows"]),
        min_expected=float(document["min_expected"]),
        columns={name: _column_from_json(column) for name, column in document["columns"].items()},
        score=None if score is None else cast(NumberBins, _column_from_json(score)),
    )


def _column_to_json(column: NumberBins | CategoryBins) -> dict[str, Any]:
    if isinstance(column, CategoryBins):
        return {"levels": list(column.levels), "cells": list(column.cells), "once": list(column.once)}
    if not all(math.isfinite(edge) for edge in column.grid):
        raise DataError("bin edges must be finite")
    return {"grid": list(column.grid), "coarse": list(column.coarse)}


def _column_from_json(column: Mapping[str, Any]) -> NumberBins | CategoryBins:
    if "levels" in column:
        return CategoryBins(tuple(column["levels"]), tuple(column["cells"]), tuple(column["once"]))
    return NumberBins(tuple(float(edge) for edge in column["grid"]), tuple(column["coarse"]))
