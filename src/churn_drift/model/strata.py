"""One group of customers, and it against all others, batch by batch: what a slice's figures are made of.

Rows that different models scored are never ranked together, and a group that is common in one batch and rare in the
next is not to be judged by how the batches differ. So everything is computed within a batch and then averaged, each
batch weighing as many rows as the group has in it: the figure is that of the group's customers. The others are weighed
like the group (direct standardisation), so that both stand for the same mix of batches.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from churn_drift.columns import Numbers
from churn_drift.model.compare import Difference
from churn_drift.model.metrics import Estimate, auc_and_variance, logit_interval
from churn_drift.model.ranks import quantile

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Stratum:
    """The labelled rows of one batch, scored by one model; arrays of one length.

    inside  True for the rows of the group
    """

    labels: Numbers
    probabilities: Numbers
    inside: Mask

    def group(self) -> tuple[Numbers, Numbers]:
        """Labels and probabilities of the group."""
        return self.labels[self.inside], self.probabilities[self.inside]

    def others(self) -> tuple[Numbers, Numbers]:
        """Labels and probabilities of all others."""
        return self.labels[~self.inside], self.probabilities[~self.inside]


def stratified_auc(strata: Sequence[Stratum], *, confidence: float) -> Estimate:
    """The group's AUC within a batch, averaged over batches; of one batch it is that batch's AUC and interval.

    A batch with fewer than two churned or two kept rows of the group tells nothing of its own error and is left out.
    None where no batch is left. With 5 churned and 15 kept rows in one batch, or 2 and 6 in each of five, the
    95 % interval covers 95 to 97 % (AUC .65, 2,500 and 600 simulations).

    >>> batch = Stratum(np.array([0.0, 0, 1, 1]), np.array([0.1, 0.4, 0.35, 0.8]), np.full(4, True))
    >>> stratified_auc([batch, batch], confidence=0.95).value
    0.75
    """
    parts = [part for part in (_auc_part(*stratum.group()) for stratum in strata) if part]
    if not parts:
        return Estimate()
    value, variance = _weighted(parts)
    smaller = sum(part.smaller for part in parts)
    return logit_interval(value, variance, z=quantile(confidence), confidence=confidence, successes=smaller)


def auc_difference(strata: Iterable[Stratum], *, confidence: float) -> Difference:
    """The group's AUC less that of the others in the same batches. None where no batch has enough of both."""
    parts = []
    for stratum in strata:
        group, others = _auc_part(*stratum.group()), _auc_part(*stratum.others())
        if group and others:
            parts.append(group.less(others))
    return Difference.of(*_weighted(parts), confidence=confidence) if parts else Difference()


def calibration_difference(strata: Iterable[Stratum], *, confidence: float) -> Difference:
    """How much more the group churned than predicted, less the same of the others in the same batches.

    Above 0 the group's probabilities are too low beside the others'. A batch with fewer than two rows of either is left
    out; None where no batch is left.

    >>> even = Stratum(np.array([1.0, 0, 1, 0]), np.full(4, 0.25), np.array([True, True, False, False]))
    >>> calibration_difference([even], confidence=0.95).value
    0.0
    """
    parts = []
    for stratum in strata:
        missed = stratum.labels - stratum.probabilities
        inside, outside = missed[stratum.inside], missed[~stratum.inside]
        if min(len(inside), len(outside)) >= 2:
            parts.append(_mean_part(inside).less(_mean_part(outside)))
    return Difference.of(*_weighted(parts), confidence=confidence) if parts else Difference()


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Each p corrected for the number of looks: below alpha, at most a chance of alpha that any of them errs.

    Whatever the looks have to do with each other. None, a look that was not made, stays and is not counted.
    Source: Holm 1979.

    >>> holm([0.01, None, 0.04, 0.03])
    [0.03, None, 0.06, 0.06]
    """
    order = sorted((p, place) for place, p in enumerate(p_values) if p is not None)
    corrected: list[float | None] = [None] * len(p_values)
    reached = 0.0
    for rank, (p, place) in enumerate(order):
        reached = max(reached, min(1.0, p * (len(order) - rank)))
        corrected[place] = reached
    return corrected


@dataclass(frozen=True)
class _Part:
    """What one batch says of the group: a value, its variance, its rows, and how many of the smaller class."""

    value: float
    variance: float
    rows: int
    smaller: int = 0

    def less(self, other: "_Part") -> "_Part":
        """Two groups of different customers: the variances add; the weight stays that of the first."""
        return _Part(self.value - other.value, self.variance + other.variance, self.rows)


def _auc_part(labels: Numbers, probabilities: Numbers) -> _Part | None:
    value, variance = auc_and_variance(labels, probabilities)
    if value is None or variance is None:
        return None
    churned = int(labels.sum())
    return _Part(value, variance, len(labels), smaller=min(churned, len(labels) - churned))


def _mean_part(values: Numbers) -> _Part:
    return _Part(float(values.mean()), float(values.var(ddof=1)) / len(values), len(values))


def _weighted(parts: Sequence[_Part]) -> tuple[float, float]:
    """The mean over independent batches, by rows, and its variance."""
    total = sum(part.rows for part in parts)
    value = sum(part.rows * part.value for part in parts) / total
    variance = sum(part.rows**2 * part.variance for part in parts) / total**2
    return value, variance
