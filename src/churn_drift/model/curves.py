"""Curves of one model on one batch, as rows for `dvc plots`: small, rounded to 6 decimals, ties respected.

An undefined curve (one class; no rows) is an empty list.
"""

import numpy as np

from churn_drift.columns import Numbers
from churn_drift.model.metrics import BINS
from churn_drift.model.ranks import checked, cumulative, equal_count_bins, quantile, wilson

Points = list[dict[str, float]]

POINTS = 200
"""At most so many points a curve; of more, evenly spaced ranks are kept, both ends among them."""


def roc(labels: Numbers, scores: Numbers, *, points: int = POINTS) -> Points:
    """Share of the churned that is caught (tpr) against share of the kept that is flagged (fpr), 0 to 1.

    >>> roc(np.array([0.0, 1.0]), np.array([0.2, 0.7]))
    [{'fpr': 0.0, 'tpr': 0.0}, {'fpr': 0.0, 'tpr': 1.0}, {'fpr': 1.0, 'tpr': 1.0}]
    """
    labels, scores = checked(labels, scores)
    churned, kept = labels.sum(), (1 - labels).sum()
    if not (churned and kept):
        return []
    hits, flagged = (np.append(0.0, values) for values in cumulative(labels, scores))
    at = _thinned(flagged, points=points)
    return _points(fpr=(flagged - hits)[at] / kept, tpr=hits[at] / churned)


def precision_recall(labels: Numbers, scores: Numbers, *, points: int = POINTS) -> Points:
    """Precision against recall, highest scores first; it starts at the highest score, no point is made up.

    >>> precision_recall(np.array([0.0, 1.0]), np.array([0.2, 0.7]))
    [{'recall': 1.0, 'precision': 1.0}, {'recall': 1.0, 'precision': 0.5}]
    """
    labels, scores = checked(labels, scores)
    churned = labels.sum()
    if churned in (0, len(labels)):
        return []
    hits, flagged = cumulative(labels, scores)
    at = _thinned(flagged, points=points)
    return _points(recall=hits[at] / churned, precision=hits[at] / flagged[at])


def calibration(labels: Numbers, probabilities: Numbers, *, confidence: float, bins: int = BINS) -> Points:
    """Observed churn rate with Wilson's interval against mean predicted probability, by bins of equal count.

    Rows with one probability share a bin, so there may be fewer than `bins`. Defined with one class.

    >>> calibration(np.array([0.0, 1.0]), np.array([0.25, 0.5]), confidence=0.95, bins=1)
    [{'predicted': 0.375, 'observed': 0.5, 'low': 0.094531, 'high': 0.905469, 'rows': 2}]
    """
    z = quantile(confidence)
    labels, probabilities = checked(labels, probabilities)
    place = equal_count_bins(probabilities, bins=bins)
    rows, churned, predicted = (
        np.bincount(place, weights=weights, minlength=bins) for weights in (None, labels, probabilities)
    )
    curve = []
    for n, k, p in zip(rows.tolist(), churned.tolist(), predicted.tolist(), strict=True):
        if n:
            low, high = wilson(k, n, z=z)
            values = {"predicted": p / n, "observed": k / n, "low": low, "high": high}
            curve.append({**{name: round(value, 6) for name, value in values.items()}, "rows": n})
    return curve


def gain(labels: Numbers, scores: Numbers, *, points: int = 100) -> Points:
    """What targeting the highest-scored share of customers catches: share of the churned, lift over chance.

    On a fixed grid of shares (1 / points to 1), so that curves of several models and revisions lie on each
    other; between distinct scores linear, as if ties were broken at random. Empty when nobody churned.

    >>> gain(np.array([0.0, 1.0]), np.array([0.2, 0.7]), points=2)
    [{'share': 0.5, 'caught': 1.0, 'lift': 2.0}, {'share': 1.0, 'caught': 1.0, 'lift': 1.0}]
    """
    labels, scores = checked(labels, scores)
    churned = labels.sum()
    if not churned:
        return []
    hits, flagged = cumulative(labels, scores)
    share = np.arange(1, points + 1) / points
    caught = np.interp(share * len(labels), np.append(0.0, flagged), np.append(0.0, hits)) / churned
    return _points(share=share, caught=caught, lift=caught / share)


def _thinned(flagged: Numbers, *, points: int) -> np.ndarray[tuple[int], np.dtype[np.intp]]:
    if len(flagged) <= points:
        return np.arange(len(flagged))
    return np.unique(np.searchsorted(flagged, np.linspace(flagged[0], flagged[-1], points)))


def _points(**values: Numbers) -> Points:
    columns = [np.round(column, 6).tolist() for column in values.values()]
    return [dict(zip(values, row, strict=True)) for row in zip(*columns, strict=True)]
