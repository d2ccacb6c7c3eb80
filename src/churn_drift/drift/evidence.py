"""The statistics of one column, from its two counts: how far it has moved, and how sure that is."""

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from churn_drift.drift import statistics
from churn_drift.drift.bins import CategoryBins, NumberBins, fold
from churn_drift.drift.profile import Counts
from churn_drift.drift.report import Kind

Cells = npt.NDArray[np.int64]


class Evidence(NamedTuple):
    """What the counts say, before it is judged; nan where undefined.

    kind              of the column
    rows              of the batch
    cells             cells that hold a row, missing and unseen included
    psi, psi_lower, p   distance, its lower bound, chance of it without drift
    chi2, ks, ks_p    second opinions; ks is nan for categories
    missing           difference of the missing shares, then the two shares
    unseen_expected   rows of the batch expected to be unseen without drift
    """

    kind: Kind
    rows: int
    cells: int
    psi: float
    psi_lower: float
    p: float
    chi2: statistics.ChiSquare
    ks: float
    ks_p: float
    missing: statistics.Difference
    missing_reference: float
    missing_batch: float
    unseen_expected: float


def weigh(
    bins: NumberBins | CategoryBins,
    reference: Counts,
    batch: Counts,
    *,
    min_expected: float,
    confidence: float,
) -> Evidence:
    """Every statistic of one column.

    >>> bins, counts = NumberBins((0.0, 9.0), (0,)), Counts(cells=(500, 500, 0), missing=0, unseen=0)
    >>> found = weigh(bins, counts, Counts((200, 800, 0), 0, 0), min_expected=10, confidence=0.95)
    >>> found.cells, round(found.psi, 3), round(found.ks, 3)
    (2, 0.415, 0.3)
    """
    n, m = total(reference, bins), total(batch, bins)
    ours, theirs = paired(bins, reference, batch, min_expected=min_expected)
    cells = statistics.cells_left(ours, theirs)
    distance = statistics.psi(ours, theirs)
    fine = (reference.cells, batch.cells) if isinstance(bins, NumberBins) else ((), ())
    ks = statistics.ks_statistic(*fine)
    return Evidence(
        kind="number" if isinstance(bins, NumberBins) else "category",
        rows=m,
        cells=cells,
        psi=distance,
        psi_lower=statistics.psi_lower_bound(distance, n=n, m=m, cells=cells, alpha=1 - confidence),
        p=statistics.psi_p_value(distance, n=n, m=m, cells=cells),
        chi2=statistics.chi_square(ours, theirs),
        ks=ks,
        ks_p=statistics.ks_p_value(ks, n=sum(fine[0]), m=sum(fine[1])),
        missing=statistics.two_proportions((reference.missing, n), (batch.missing, m), confidence=confidence),
        missing_reference=reference.missing / n if n else math.nan,
        missing_batch=batch.missing / m if m else math.nan,
        unseen_expected=m * _held_out(bins, reference) / n if n else math.nan,
    )


def total(counts: Counts, bins: NumberBins | CategoryBins) -> int:
    """All rows of a column: a number outside the reference's range is in the outer cells already."""
    return sum(counts.cells) + counts.missing + (counts.unseen if isinstance(bins, CategoryBins) else 0)


def paired(
    bins: NumberBins | CategoryBins, reference: Counts, batch: Counts, *, min_expected: float
) -> tuple[Cells, Cells]:
    """Both samples in the cells that PSI compares; the last is *missing*, before it a category has *unseen*.

    >>> bins = CategoryBins(levels=("a", "b"), cells=(0, 1), once=(0, 0))
    >>> pair = paired(bins, Counts((50, 50), 0, 0), Counts((40, 20), 30, 10), min_expected=10)
    >>> [cells.tolist() for cells in pair]
    [[50, 50, 0, 0], [40, 20, 10, 30]]
    """
    if isinstance(bins, NumberBins):
        starts = [0, *(place + 1 for place in bins.coarse)]
        return _coarse(reference, starts), _coarse(batch, starts)
    return _levels(bins, reference, batch, min_expected=min_expected)


def _coarse(counts: Counts, starts: list[int]) -> Cells:
    return np.append(np.add.reduceat(np.array(counts.cells, dtype=np.int64), starts), counts.missing)


def _levels(bins: CategoryBins, reference: Counts, batch: Counts, *, min_expected: float) -> tuple[Cells, Cells]:
    ours, theirs = np.array(reference.cells, dtype=np.int64), np.array(batch.cells, dtype=np.int64)
    n, m = total(reference, bins), total(batch, bins)
    # A batch smaller than the usual one has fewer rows in each cell: join cells, by the reference's counts.
    groups = fold(ours, least=min_expected * n / min(n, m) if n and m else math.inf)
    held_out = np.array(bins.once, dtype=np.int64) if _is_own_reference(reference) else np.zeros_like(ours)
    size = int(groups.max(initial=-1)) + 1
    mine = _grouped(ours - held_out, groups, size)
    return (
        np.append(mine, [reference.unseen + held_out.sum(), reference.missing]),
        np.append(_grouped(theirs, groups, size), [batch.unseen, batch.missing]),
    )


def _grouped(counts: Cells, groups: npt.NDArray[np.intp], size: int) -> Cells:
    return np.bincount(groups, weights=counts, minlength=size).astype(np.int64)


def _held_out(bins: NumberBins | CategoryBins, reference: Counts) -> int:
    if isinstance(bins, NumberBins):
        return reference.unseen
    return sum(bins.once) if _is_own_reference(reference) else reference.unseen


def _is_own_reference(reference: Counts) -> bool:
    # The bins were fitted on these very rows, so that none could be unseen. Leaving out one row at a time,
    # the rows whose level occurs once would be: that is the share of unseen levels to expect of new rows
    # (Good and Turing), and the fair count to compare a batch with. Else a column of many levels drifts
    # without drift.
    return reference.unseen == 0
