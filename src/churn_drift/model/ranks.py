"""What scores, comparisons and curves share: checked input, ranks with ties, intervals of shares."""

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri

from churn_drift.columns import Numbers

DECIMALS = 6


def checked(labels: Numbers, *scores: Numbers) -> tuple[Numbers, ...]:
    """Labels and scores as float64. ValueError for unequal lengths, labels not 0 or 1, scores not finite."""
    arrays = tuple(np.asarray(values, dtype=np.float64) for values in (labels, *scores))
    for values in arrays:
        if values.shape != (len(arrays[0]),):
            raise ValueError(f"labels and scores are of one length: {[a.shape for a in arrays]}")
    if not np.isin(arrays[0], (0.0, 1.0)).all():
        raise ValueError("labels are 0 or 1; leave out rows whose label has not arrived")
    if not all(np.isfinite(values).all() for values in arrays[1:]):
        raise ValueError("scores are finite numbers")
    return arrays


def quantile(confidence: float) -> float:
    """The two-sided normal quantile: 1.96 for .95."""
    if not 0 < confidence < 1:
        raise ValueError(f"confidence is between 0 and 1, not {confidence}")
    return float(ndtri((1 + confidence) / 2))


def rounded(value: float | None) -> float | None:
    """As written in reports: 6 decimals, no negative zero; None stays.

    >>> rounded(-1e-9), rounded(3)
    (0.0, 3)
    """
    return None if value is None else round(value, DECIMALS) + 0


def wilson(successes: float, trials: float, *, z: float) -> tuple[float, float]:
    """Wilson's interval for a share.

    >>> low, high = wilson(0, 10, z=1.96)
    >>> low, round(high, 3)
    (0.0, 0.278)
    """
    share, square = successes / trials, z * z / trials
    half = (square * share * (1 - share) + square * square / 4) ** 0.5
    middle = share + square / 2
    return max(0.0, (middle - half) / (1 + square)), min(1.0, (middle + half) / (1 + square))


def equal_count_bins(scores: Numbers, *, bins: int) -> npt.NDArray[np.int64]:
    """Each row's bin, 0 to bins - 1, by the middle of its rank: of equal size but for ties, which share one.

    >>> equal_count_bins(np.array([0.3, 0.1, 0.2, 0.2]), bins=2).tolist()
    [1, 0, 1, 1]
    """
    return placements(scores, scores).astype(np.int64) * bins // (2 * max(1, len(scores)))


def cumulative(labels: Numbers, scores: Numbers) -> tuple[Numbers, Numbers]:
    """Churned rows, and all rows, that score at least as high as each distinct score, highest first."""
    order = np.argsort(-scores, kind="stable")
    last = np.flatnonzero(np.append(np.diff(scores[order]) != 0, True)[: len(scores)])
    return np.cumsum(labels[order])[last], last.astype(np.float64) + 1


def placements(scores: Numbers, among: Numbers) -> Numbers:
    """Twice the number of `among` that each score exceeds, ties counting half: whole numbers, hence exact."""
    ordered = np.sort(among)
    twice = np.searchsorted(ordered, scores, "left") + np.searchsorted(ordered, scores, "right")
    return twice.astype(np.float64)
