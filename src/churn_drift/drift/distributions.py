"""How every column is spread, in a dozen cells with names that people read: for pictures, not for tests."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from churn_drift.drift.bins import CategoryBins, NumberBins
from churn_drift.drift.evidence import total
from churn_drift.drift.profile import Counts, Profile, require_same_bins
from churn_drift.drift.report import DECIMALS

SCORE = "score"
LEVELS = 10
"""Levels of a category that have a cell of their own."""
NEW, MISSING = "(new)", "(missing)"


@dataclass(frozen=True)
class Distribution:
    """Where the rows of one column lie, in several samples.

    cells   names in the order shown; those in brackets are no value of the column
    shares  by sample, then cell, 0 to 1; None for a sample without rows
    """

    column: str
    cells: tuple[str, ...]
    shares: Mapping[str, tuple[float | None, ...]]


def distributions(samples: Mapping[str, Profile]) -> list[Distribution]:
    """Every column of the samples, the first of which is the reference, and the score where all have one.

    A number has the cells of its PSI; a category its ten most frequent levels in the reference, the others together.
    A cell that is empty in all samples is left out. DataError if the profiles were counted in different bins.

    >>> from churn_drift.drift import fit_bins, profile
    >>> reference, batch = {"x": np.arange(8.0)}, {"x": np.array([3.0, 9.0, np.nan])}
    >>> bins = fit_bins(reference, bins=2, batch_rows=8)
    >>> (found,) = distributions({"reference": profile(bins, reference), "batch": profile(bins, batch)})
    >>> found.cells, found.shares["batch"]
    (('up to 3', 'above 3', '(missing)'), (0.333333, 0.333333, 0.333333))
    """
    reference = next(iter(samples.values()))
    for sample in samples.values():
        require_same_bins(reference, sample)
    found = [
        _distribution(name, bins, {sample: p.columns[name] for sample, p in samples.items()})
        for name, bins in reference.bins.columns.items()
    ]
    scores = {sample: p.score for sample, p in samples.items() if p.score is not None}
    if reference.bins.score is not None and len(scores) == len(samples):
        found.append(_distribution(SCORE, reference.bins.score, scores))
    return found


def _distribution(column: str, bins: NumberBins | CategoryBins, samples: Mapping[str, Counts]) -> Distribution:
    if isinstance(bins, NumberBins):
        whole = all((_next(edge) if _is_just_below(edge) else edge).is_integer() for edge in bins.grid)
        names = [*_intervals([bins.grid[place] for place in bins.coarse], whole=whole), MISSING]
        rows = {sample: _number(bins, counts) for sample, counts in samples.items()}
    else:
        groups = _groups(bins, next(iter(samples.values())))
        names = [*groups, NEW, MISSING]
        rows = {sample: _category(list(groups.values()), counts) for sample, counts in samples.items()}
    used = [place for place in range(len(names)) if any(cells[place] for cells in rows.values())]
    return Distribution(
        column,
        tuple(names[place] for place in used),
        {sample: _shares([cells[i] for i in used], total(samples[sample], bins)) for sample, cells in rows.items()},
    )


def _number(bins: NumberBins, counts: Counts) -> list[int]:
    starts = [0, *(place + 1 for place in bins.coarse)]
    return [*np.add.reduceat(np.array(counts.cells, dtype=np.int64), starts).tolist(), counts.missing]


def _category(groups: Sequence[Sequence[int]], counts: Counts) -> list[int]:
    return [*(sum(counts.cells[cell] for cell in group) for group in groups), counts.unseen, counts.missing]


def _shares(rows: Sequence[int], of: int) -> tuple[float | None, ...]:
    return tuple(round(n / of, DECIMALS) if of else None for n in rows)


def _groups(bins: CategoryBins, reference: Counts) -> dict[str, list[int]]:
    """Cells by the name that they are shown under."""
    held: dict[int, list[str]] = {}
    for level, cell in zip(bins.levels, bins.cells, strict=True):
        held.setdefault(cell, []).append(level)
    alone = {levels[0]: cell for cell, levels in held.items() if len(levels) == 1}
    frequent = sorted(alone, key=lambda level: (-reference.cells[alone[level]], level))[:LEVELS]
    shown = {level: [alone[level]] for level in sorted(frequent, key=_natural)}
    rest = [cell for cell in held if [cell] not in shown.values()]
    others = sum(len(held[cell]) for cell in rest)
    return {**shown, f"({others} others)": rest} if rest else shown


def _natural(level: str) -> tuple[float, str]:
    """Numbers by their value, before names.

    >>> sorted(["b", "100", "30", "a"], key=_natural)
    ['30', '100', 'a', 'b']
    """
    try:
        return float(level), level
    except ValueError:
        return math.inf, level


def _intervals(edges: Sequence[float], *, whole: bool) -> list[str]:
    """Names of the cells between ascending edges, right-closed; whole numbers start after the edge.

    An edge just below a value (see `bins`) is told as that value.

    >>> _intervals([0.0, 12.31, 12.34], whole=False)
    ['up to 0', '0 to 12.31', '12.31 to 12.34', 'above 12.34']
    >>> _intervals([np.nextafter(0.0, -1), 0.0, 1.0, 4.0, np.nextafter(9.0, 0)], whole=True)
    ['below 0', '0', '1', '2 to 4', '5 to 8', '9 or more']
    >>> _intervals([], whole=True)
    ['any']
    """
    if not edges:
        return ["any"]
    below = [_is_just_below(edge) for edge in edges]
    values = [_next(edge) if just else edge for edge, just in zip(edges, below, strict=True)]
    if whole:
        first = [value + (not just) for value, just in zip(values, below, strict=True)]
        last = [value - just for value, just in zip(values, below, strict=True)]
    else:
        first = last = values
    said = dict(zip([*first, *last], _told([*first, *last]), strict=True))
    between = [said[a] if a == b else f"{said[a]} to {said[b]}" for a, b in zip(first[:-1], last[1:], strict=True)]
    lowest = f"below {said[values[0]]}" if below[0] else f"up to {said[last[0]]}"
    highest = f"{said[first[-1]]} or more" if below[-1] else f"above {said[last[-1]]}"
    return [lowest, *between, highest]


def _is_just_below(edge: float) -> bool:
    """Whether the next larger double is a much simpler number."""
    return len(repr(_next(edge))) + 3 <= len(repr(edge))


def _next(edge: float) -> float:
    return float(np.nextafter(edge, math.inf)) + 0.0  # -0.0 would be told as such


def _told(values: Sequence[float]) -> list[str]:
    """The values with as few digits as keep different ones apart, three at least."""
    apart = len(set(values))
    for digits in range(3, 18):
        told = [f"{float(f'{value:.{digits}g}'):.15g}" for value in values]
        if len(set(told)) == apart:
            break
    return told
