"""Two models on the same rows: by how much the second is better than the first, and how surely.

Differences are second minus first in AUC, first minus second in log loss: positive always means that the
second is better. They are taken within a batch, on rows that both scored, and then summed or averaged over
batches. Rows that different models scored are never pooled into one AUC: their scores are not on one scale,
so the pooled ranking would measure how the models' levels and the batches' churn rates differ, not how well
either ranks its customers.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from scipy.special import ndtr

from churn_drift.columns import Numbers
from churn_drift.model.metrics import row_log_loss
from churn_drift.model.ranks import checked, placements, quantile, rounded


@dataclass(frozen=True)
class Difference:
    """How much better the second is, its interval, standard error, z and two-sided p; None where undefined.

    A difference without any spread (equal rankings) has z 0 and p 1. Where the spread cannot be estimated (a
    class with one row, one model that separates completely and one constant) the value alone is given.
    """

    value: float | None = None
    low: float | None = None
    high: float | None = None
    standard_error: float | None = None
    z: float | None = None
    p: float | None = None

    @classmethod
    def of(cls, value: float, variance: float | None, *, confidence: float) -> Self:
        """From a value and its variance, by the normal distribution.

        >>> Difference.of(0.02, 0.0001, confidence=0.95).to_dict()
        {'value': 0.02, 'low': 0.0004, 'high': 0.0396, 'standard_error': 0.01, 'z': 2.0, 'p': 0.0455}
        """
        width = quantile(confidence)
        if variance is None or (variance == 0 and value != 0):
            return cls(value)
        error = variance**0.5
        z = value / error if error else 0.0
        p = float(2 * ndtr(-abs(z)))
        return cls(value, value - width * error, value + width * error, error, z, p)

    def to_dict(self) -> dict[str, float | None]:
        """For a report, rounded to 6 decimals."""
        return {name: rounded(value) for name, value in vars(self).items()}


@dataclass(frozen=True)
class PairedSums:
    """Log loss that the second model saves, in nats, summed over rows and batches; `+` adds further batches.

    rows      labelled rows that both models scored
    total     sum over rows of (loss of the first - loss of the second)
    variance  of `total`: the sum over batches of rows x variance within the batch

    >>> sum([PairedSums(10, 2.0, 1.0), PairedSums(30, 4.0, 3.0)], start=PairedSums())
    PairedSums(rows=40, total=6.0, variance=4.0)
    """

    rows: int = 0
    total: float = 0.0
    variance: float = 0.0

    def __add__(self, other: Self) -> Self:
        return type(self)(self.rows + other.rows, self.total + other.total, self.variance + other.variance)

    @property
    def z(self) -> float:
        """Standard errors by which the second is better; 0 for equal scores and for no rows.

        >>> PairedSums(40, 6.0, 4.0).z
        3.0
        """
        return self.total / self.variance**0.5 if self.variance else 0.0

    def mean(self, *, confidence: float) -> Difference:
        """The saving per row, in nats. None without rows."""
        if not self.rows:
            return Difference()
        return Difference.of(self.total / self.rows, self.variance / self.rows**2, confidence=confidence)

    def to_dict(self) -> dict[str, float]:
        """For a report, rounded to 6 decimals; `PairedSums(**written)` reads it back."""
        return {"rows": self.rows, "total": round(self.total, 6) + 0, "variance": round(self.variance, 6)}


def paired_auc(labels: Numbers, first: Numbers, second: Numbers, *, confidence: float) -> Difference:
    """By how much the second's AUC exceeds the first's on the same rows.

    The variance takes in that both rank the same customers (paired DeLong), so it is far below that of two
    AUCs apart. None with one class. Source: DeLong, DeLong & Clarke-Pearson 1988.

    >>> labels, scores = np.array([0.0, 0, 1, 1]), np.array([0.1, 0.4, 0.35, 0.8])
    >>> paired_auc(labels, scores, labels, confidence=0.95).value  # .75 against 1
    0.25
    >>> paired_auc(labels, scores, scores, confidence=0.95).z
    0.0
    """
    quantile(confidence)
    labels, first, second = checked(labels, first, second)
    churned, kept = labels == 1, labels == 0
    m, n = int(churned.sum()), int(kept.sum())
    if not (m and n):
        return Difference()
    above = placements(second[churned], second[kept]) - placements(first[churned], first[kept])
    below = placements(second[kept], second[churned]) - placements(first[kept], first[churned])
    value = float(above.sum() / (2 * m * n))
    if not (above.any() or below.any()):
        return Difference.of(0.0, 0.0, confidence=confidence)
    if min(m, n) < 2:
        return Difference(value)
    variance = float(np.var(above, ddof=1) / (4 * n * n * m) + np.var(below, ddof=1) / (4 * m * m * n))
    return Difference.of(value, variance, confidence=confidence)


def paired_log_loss(labels: Numbers, first: Numbers, second: Numbers) -> PairedSums:
    """How much log loss the second model saves on a batch that both scored, as sums that add over batches.

    The variance is never below total^2 / rows, which a batch reaches only where nearly all rows agree (or
    with one row): |z| is at most sqrt(rows), as in a sign test that all rows pass. One class is no obstacle.

    >>> labels, first = np.array([0.0, 1, 1]), np.array([0.5, 0.5, 0.5])
    >>> sums = paired_log_loss(labels, first, np.array([0.5, 0.5, 1.0]))
    >>> sums.rows, round(sums.total, 5)  # the third row saves log 2
    (3, 0.69315)
    """
    labels, first, second = checked(labels, first, second)
    saved = row_log_loss(labels, first) - row_log_loss(labels, second)
    rows, total = len(saved), float(saved.sum())
    if not saved.any():
        return PairedSums(rows)
    spread = float(saved.var(ddof=1)) if rows > 1 else 0.0
    return PairedSums(rows, total, max(rows * spread, total * total / rows))


def rows_needed(sums: PairedSums, *, z: float) -> int | None:
    """How many more labelled rows bring the sums to `z`, effect and spread being as observed so far.

    0 where they are there already. None where more rows of the same kind never would: no rows, no effect to speak
    of (z under .0001), or the second is worse. With so many rows the chance to arrive is one half, no more; the
    effect observed is uncertain.

    >>> rows_needed(PairedSums(100, 1.0, 1.0), z=2)  # z is 1, and grows as the root of the rows
    300
    """
    if sums.total <= 0 or sums.variance <= 0 or sums.z < 1e-4:
        return None
    return max(0, math.ceil(sums.rows * (z / sums.z) ** 2 - 1e-9) - sums.rows)


def mean_difference(differences: Sequence[Difference], *, confidence: float) -> Difference:
    """The unweighted mean over batches, each batch counting once; batches where it is undefined are left out.

    The batches are independent given the models: the variance is the sum of theirs over their number squared.
    The value alone where one of them has no standard error; None where no batch is left.

    >>> batch = Difference.of(0.02, 0.0001, confidence=0.95)
    >>> mean_difference([batch, batch, batch, batch], confidence=0.95).z
    4.0
    """
    defined = [(d.value, d.standard_error) for d in differences if d.value is not None]
    if not defined:
        return Difference()
    value = math.fsum(v for v, _ in defined) / len(defined)
    errors = [error for _, error in defined if error is not None]
    if len(errors) < len(defined):
        return Difference(value)
    variance = math.fsum(error * error for error in errors) / len(defined) ** 2
    return Difference.of(value, variance, confidence=confidence)
