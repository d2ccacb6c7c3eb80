"""A profile: how many rows of a sample lie in each cell of the reference's bins.

All that drift detection ever needs of the data. Small, exact, JSON, and mergeable: the profile of a union is
the sum of the profiles, so parts may be counted on other machines or years ago.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from churn_drift.columns import Codes, Columns, Numbers, length
from churn_drift.drift.bins import (
    FORMAT,
    Bins,
    CategoryBins,
    NumberBins,
    bins_from_json,
    bins_to_json,
    tally_codes,
    tally_numbers,
)
from churn_drift.errors import DataError

Summed = TypeVar("Summed", "Counts", "LabelCounts")

EXAMPLES = 5
"""Unseen levels that are kept by name: the first in the order of names, so that merging keeps the same."""


@dataclass(frozen=True)
class Counts:
    """Rows of one column.

    cells     rows in each cell of the bins; for a number the fine cells, the outer two being out of range
    missing   rows without a value
    unseen    rows whose level the reference does not have; for a number, rows outside the reference's range
              (these lie in the outer cells as well)
    examples  names of a few unseen levels
    """

    cells: tuple[int, ...]
    missing: int
    unseen: int
    examples: tuple[str, ...] = ()

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(
            tuple(a + b for a, b in zip(self.cells, other.cells, strict=True)),
            self.missing + other.missing,
            self.unseen + other.unseen,
            tuple(sorted({*self.examples, *other.examples})[:EXAMPLES]),
        )


@dataclass(frozen=True)
class LabelCounts:
    """Rows whose label has arrived, and how many of these are positive."""

    rows: int
    positives: int

    def __add__(self, other: "LabelCounts") -> "LabelCounts":
        return LabelCounts(self.rows + other.rows, self.positives + other.positives)


@dataclass(frozen=True)
class Profile:
    """The counts of a sample, by column, with those of its scores and labels where there are any."""

    bins: Bins
    rows: int
    columns: Mapping[str, Counts]
    score: Counts | None = None
    labels: LabelCounts | None = None


def profile(
    bins: Bins,
    columns: Columns,
    *,
    scores: Numbers | None = None,
    labels: npt.NDArray[Any] | None = None,
) -> Profile:
    """The counts of these rows in these bins; columns that have no bins are not counted.

    labels   one per row: 1, 0 or True, False; NaN where it has not arrived

    DataError if a column is absent, of another kind or of another length, if a label is anything else, or if
    there are scores and the bins were fitted without.

    >>> from churn_drift.drift import fit_bins
    >>> bins = fit_bins({"plan": Codes.of(["a"] * 50 + ["b"] * 50)}, batch_rows=100)
    >>> profile(bins, {"plan": Codes.of(["a", "a", "c", None])}).columns["plan"]
    Counts(cells=(0, 2), missing=1, unseen=1, examples=('c',))
    >>> bins.columns["plan"].levels  # in an order of no meaning
    ('b', 'a')
    """
    absent = [name for name in bins.columns if name not in columns]
    if absent:
        raise DataError(f"column {absent[0]!r} is not in the batch ({len(absent)} of {len(bins.columns)} absent)")
    rows = length(columns)
    counted = {name: _count(name, column, columns[name], rows=rows) for name, column in bins.columns.items()}
    return Profile(
        bins=bins,
        rows=rows,
        columns=counted,
        score=None if scores is None else _count_scores(bins, scores, rows=rows),
        labels=None if labels is None else _count_labels(labels, rows=rows),
    )


def _count(name: str, bins: NumberBins | CategoryBins, values: Numbers | Codes, *, rows: int) -> Counts:
    if len(values) != rows:
        raise DataError(f"column {name!r} has {len(values)} rows, the first column {rows}")
    if isinstance(bins, CategoryBins) and isinstance(values, Codes):
        return _count_category(bins, values)
    if isinstance(bins, NumberBins) and not isinstance(values, Codes):
        return _count_number(bins, values)
    raise DataError(f"column {name!r} should hold {'categories' if isinstance(bins, CategoryBins) else 'numbers'}")


def _count_number(bins: NumberBins, values: Numbers) -> Counts:
    cells, missing = tally_numbers(np.asarray(values, dtype=np.float64), bins.grid)
    outside = int(cells[0] + cells[-1]) if bins.grid else int(cells[0])
    return Counts(tuple(cells.tolist()), missing, outside)


def _count_category(bins: CategoryBins, values: Codes) -> Counts:
    tally, missing = tally_codes(values)
    cell_of = dict(zip(bins.levels, bins.cells, strict=True))
    cells, unseen, names = [0] * len(bins.once), 0, []
    for level, rows in zip(values.levels, tally.tolist(), strict=True):
        if level in cell_of:
            cells[cell_of[level]] += rows
        elif rows:
            unseen += rows
            names.append(level)
    return Counts(tuple(cells), missing, unseen, tuple(sorted(names)[:EXAMPLES]))


def _count_scores(bins: Bins, scores: Numbers, *, rows: int) -> Counts:
    if bins.score is None:
        raise DataError("there are scores, but the bins were fitted without: pass scores to fit_bins")
    return _count("score", bins.score, scores, rows=rows)


def _count_labels(labels: npt.NDArray[Any], *, rows: int) -> LabelCounts:
    values = np.asarray(labels, dtype=np.float64)
    arrived = values[~np.isnan(values)]
    if len(values) != rows:
        raise DataError(f"there are {len(values)} labels for {rows} rows")
    positives = int(np.count_nonzero(arrived == 1))
    if positives + int(np.count_nonzero(arrived == 0)) != len(arrived):
        raise DataError("a label is neither 0 nor 1 nor missing")
    return LabelCounts(len(arrived), positives)


def merge(a: Profile, b: Profile) -> Profile:
    """The profile of both samples' rows together, exactly; DataError if their bins differ.

    >>> from churn_drift.drift import fit_bins
    >>> bins = fit_bins({"x": np.arange(4.0)}, batch_rows=4)
    >>> one, two = profile(bins, {"x": np.arange(2.0)}), profile(bins, {"x": np.arange(2.0, 4.0)})
    >>> merge(one, two) == profile(bins, {"x": np.arange(4.0)})
    True
    """
    require_same_bins(a, b)
    return Profile(
        bins=a.bins,
        rows=a.rows + b.rows,
        columns={name: counts + b.columns[name] for name, counts in a.columns.items()},
        score=_sum(a.score, b.score),
        labels=_sum(a.labels, b.labels),
    )


def _sum(a: Summed | None, b: Summed | None) -> Summed | None:
    if a is None:
        return b
    return a if b is None else a + b


def require_same_bins(a: Profile, b: Profile) -> None:
    """DataError unless both profiles were counted in the same bins."""
    if a.bins is b.bins or a.bins == b.bins:
        return
    names = sorted(set(a.bins.columns) ^ set(b.bins.columns)) or sorted(
        name for name in a.bins.columns if a.bins.columns[name] != b.bins.columns[name]
    )
    raise DataError(
        f"the two profiles were counted in different bins (first difference: {(*names, 'settings')[0]}): "
        "profile both with the reference's bins"
    )


def to_json(value: Profile) -> dict[str, Any]:
    """Plain dicts and lists that `json` writes: the bins and the counts, exactly."""
    return {
        "format": FORMAT,
        "rows": value.rows,
        "bins": bins_to_json(value.bins),
        "columns": {name: _counts_to_json(counts) for name, counts in value.columns.items()},
        "score": None if value.score is None else _counts_to_json(value.score),
        "labels": None if value.labels is None else {"rows": value.labels.rows, "positives": value.labels.positives},
    }


def from_json(document: Mapping[str, Any]) -> Profile:
    """The profile that `to_json` wrote; DataError for another format."""
    if document.get("format") != FORMAT:
        raise DataError(f"drift profile has format {document.get('format')!r}, this version reads {FORMAT}")
    score, labels = document["score"], document["labels"]
    return Profile(
        bins=bins_from_json(document["bins"]),
        rows=int(document["rows"]),
        columns={name: _counts_from_json(counts) for name, counts in document["columns"].items()},
        score=None if score is None else _counts_from_json(score),
        labels=None if labels is None else LabelCounts(int(labels["rows"]), int(labels["positives"])),
    )


def _counts_to_json(counts: Counts) -> dict[str, Any]:
    return {
        "cells": list(counts.cells),
        "missing": counts.missing,
        "unseen": counts.unseen,
        "examples": list(counts.examples),
    }


def _counts_from_json(counts: Mapping[str, Any]) -> Counts:
    return Counts(tuple(counts["cells"]), counts["missing"], counts["unseen"], tuple(counts["examples"]))
