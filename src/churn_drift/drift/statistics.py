"""Drift statistics as pure functions of counts: no data, no state, numpy and scipy.special only.

Two samples are compared: the reference of n rows and the batch of m rows, both counted in the same cells.
Sampling noise alone makes every distance positive, about in proportion to 1/n + 1/m: every verdict here
depends on both sizes and on the number of cells.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import special

Counts = Sequence[int] | npt.NDArray[np.int64]

SMOOTHING = 0.5
"""Pseudo-rows added to each cell, Jeffreys' prior for a share.

Half a row is what "none seen" is worth in a sample of n: an empty cell then costs about as much as the
chi-square statistic says. The smallest float, often used instead, turns one stray row into an alarm; no
smoothing at all makes PSI infinite.
"""


class ChiSquare(NamedTuple):
    """A chi-square test: statistic, degrees of freedom, p-value."""

    statistic: float
    freedom: int
    p: float


class Difference(NamedTuple):
    """The batch's share less the reference's, its interval, and the two-sided p-value of no difference."""

    difference: float
    low: float
    high: float
    p: float


def cells_left(reference: Counts, batch: Counts) -> int:
    """Cells that hold a row of either sample: only they carry degrees of freedom.

    >>> cells_left([5, 0, 0], [4, 1, 0])
    2
    """
    return int(np.count_nonzero(np.asarray(reference) + np.asarray(batch)))


def psi(reference: Counts, batch: Counts) -> float:
    """Population stability index: 0 for equal shares, about d squared for a shift of d standard deviations.

    The sum of (q - p) ln(q / p) over the cells that are left, p and q the smoothed shares (see SMOOTHING).
    nan where a sample is empty. Both shape (cells,). Symmetric in its two samples of equal size.

    >>> psi([50, 50], [50, 50])
    0.0
    >>> round(psi([5000, 5000], [7000, 3000]), 3)
    0.169
    """
    ours, theirs = np.asarray(reference, dtype=np.float64), np.asarray(batch, dtype=np.float64)
    if not ours.sum() or not theirs.sum():
        return math.nan
    kept = (ours + theirs) > 0
    p, q = _smoothed(ours[kept]), _smoothed(theirs[kept])
    # xlogy calls the C library's log, one for all of numpy's CPU dispatches, where np.log has several that
    # differ in the last bits. fsum does not depend on the order of the cells.
    return math.fsum(special.xlogy(q - p, q / p))


def _smoothed(counts: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    shares: npt.NDArray[np.float64] = (counts + SMOOTHING) / (counts.sum() + SMOOTHING * len(counts))
    return shares


def psi_p_value(value: float, *, n: int, m: int, cells: int) -> float:
    """Chance of a PSI this large or larger when nothing has drifted.

    Without drift PSI is (1/n + 1/m) times chi-square with cells - 1 degrees of freedom (Yurdakul and Naranjo,
    2020), for fixed bins and for quantile bins of the reference alike. `cells` counts those that are left.
    1 for a single cell: there is nothing to compare. nan where a sample is empty.

    >>> round(psi_p_value(0.01, n=10_000, m=5_000, cells=10), 6)
    0.000117
    >>> psi_p_value(0.0, n=10_000, m=5_000, cells=1)
    1.0
    """
    if not n or not m:
        return math.nan
    return _chi_square_tail(value / noise(n=n, m=m), cells - 1)


def psi_lower_bound(value: float, *, n: int, m: int, cells: int, alpha: float) -> float:
    """The true PSI is above this, at confidence 1 - alpha (one-sided); 0 where none is shown.

    PSI / (1/n + 1/m) is about non-central chi-square with cells - 1 degrees of freedom and non-centrality
    delta / (1/n + 1/m) for a true PSI of delta (Potgieter et al., arXiv 2307.11878); this is the delta under
    which a value this large has chance alpha. A local law: for a PSI above 1 the bound is only indicative.
    nan where a sample is empty.

    >>> psi_lower_bound(0.001, n=10_000, m=5_000, cells=10, alpha=0.05)
    0.0
    >>> round(psi_lower_bound(0.05, n=10_000, m=5_000, cells=10, alpha=0.05), 4)
    0.0358
    """
    if not n or not m:
        return math.nan
    scaled = value / noise(n=n, m=m)
    if cells < 2 or _chi_square_tail(scaled, cells - 1) >= alpha:
        return 0.0
    return float(special.chndtrinc(scaled, cells - 1, 1 - alpha)) * noise(n=n, m=m)


def detectable_psi(
    *, n: int, m: int, cells: int, alpha: float, power: float, floor: float = 0.0, floor_alpha: float = 0.05
) -> float:
    """The smallest true PSI that these sample sizes show with chance `power`.

    Shown is: p-value at most alpha, and lower bound (at confidence 1 - floor_alpha) above `floor`.
    inf where a sample is empty or there is only one cell.

    >>> round(detectable_psi(n=10_000, m=5_000, cells=10, alpha=0.01, power=0.8), 4)
    0.0064
    >>> detectable_psi(n=10_000, m=0, cells=10, alpha=0.01, power=0.8)
    inf
    """
    if not n or not m or cells < 2:
        return math.inf
    scale = noise(n=n, m=m)
    needed = float(special.chdtri(cells - 1, alpha))
    if floor > 0:
        # The value whose lower bound is exactly the floor.
        needed = max(needed, float(special.chndtrix(1 - floor_alpha, cells - 1, floor / scale)))
    return float(special.chndtrinc(needed, cells - 1, 1 - power)) * scale


def noise(*, n: int, m: int) -> float:
    """1/n + 1/m: what PSI is worth per degree of freedom when nothing has drifted.

    >>> noise(n=1_000, m=500)
    0.003
    """
    return 1 / n + 1 / m


def ks_statistic(reference: Counts, batch: Counts) -> float:
    """Largest gap between two cumulative distributions, at the edges of ordered cells; between 0 and 1.

    At most the exact Kolmogorov-Smirnov statistic, and below it by less than the largest share of one cell.
    nan where a sample is empty. Both shape (cells,).

    >>> ks_statistic([5, 5, 0], [0, 5, 5])
    0.5
    """
    ours, theirs = np.asarray(reference), np.asarray(batch)
    if not ours.sum() or not theirs.sum():
        return math.nan
    gaps = ours.cumsum() / ours.sum() - theirs.cumsum() / theirs.sum()
    return float(np.abs(gaps).max())


def ks_p_value(statistic: float, *, n: int, m: int) -> float:
    """Chance of a gap this large or larger when nothing has drifted.

    Kolmogorov's limit with Stephens' correction, within 1 % of the exact value and 10,000 times cheaper than
    scipy.stats.kstwo. Conservative where values are tied or cells are coarse. nan where a sample is empty.

    >>> round(ks_p_value(0.03, n=10_000, m=5_000), 4)
    0.0048
    """
    if not n or not m or math.isnan(statistic):
        return math.nan
    root = math.sqrt(n * m / (n + m))
    return float(special.kolmogorov((root + 0.12 + 0.11 / root) * statistic))


def chi_square(reference: Counts, batch: Counts) -> ChiSquare:
    """Pearson's test that both samples have the same shares; cells without a row are left out.

    nan where a sample is empty; statistic 0 and p 1 where one cell is left.

    >>> chi_square([50, 50], [50, 50])
    ChiSquare(statistic=0.0, freedom=1, p=1.0)
    >>> round(chi_square([60, 40], [40, 60]).statistic, 6)
    8.0
    """
    ours, theirs = np.asarray(reference, dtype=np.float64), np.asarray(batch, dtype=np.float64)
    n, m = float(ours.sum()), float(theirs.sum())
    if not n or not m:
        return ChiSquare(math.nan, 0, math.nan)
    kept = (ours + theirs) > 0
    ours, theirs = ours[kept], theirs[kept]
    statistic = math.fsum((math.sqrt(m / n) * ours - math.sqrt(n / m) * theirs) ** 2 / (ours + theirs))
    freedom = len(ours) - 1
    return ChiSquare(statistic, freedom, _chi_square_tail(statistic, freedom))


def _chi_square_tail(value: float, freedom: int) -> float:
    return float(special.chdtrc(freedom, value)) if freedom > 0 else 1.0


def benjamini_hochberg(p_values: Sequence[float]) -> list[float]:
    """q-values: of all features called drifted because q <= r, on average at most a share r is not.

    In the order given. A nan stays nan and does not count as a test. Source: Benjamini and Hochberg (1995);
    it holds for independent and for positively dependent tests.

    >>> benjamini_hochberg([0.01, 0.5, 0.02])
    [0.03, 0.5, 0.03]
    """
    p = np.asarray(p_values, dtype=np.float64)
    tested = np.flatnonzero(~np.isnan(p))
    order = tested[np.argsort(p[tested], kind="stable")]
    raised = p[order] * (len(order) / np.arange(1, len(order) + 1))
    q = np.full(len(p), np.nan)
    q[order] = np.minimum(np.minimum.accumulate(raised[::-1])[::-1], 1.0)
    return [float(value) for value in q]


def wilson_interval(successes: int, *, rows: int, confidence: float) -> tuple[float, float]:
    """Interval that holds the true share with this confidence, two-sided; (0, 1) without rows.

    Wilson's score interval (1927): never leaves [0, 1], and has a width at 0 and at 1 too.

    >>> low, high = wilson_interval(0, rows=100, confidence=0.95)
    >>> low, round(high, 4)
    (0.0, 0.037)
    """
    if not rows:
        return 0.0, 1.0
    z2 = _normal_quantile(confidence) ** 2
    share = successes / rows
    centre = share + z2 / (2 * rows)
    reach = math.sqrt(z2 * (share * (1 - share) + z2 / (4 * rows)) / rows)
    low, high = (centre - reach) / (1 + z2 / rows), (centre + reach) / (1 + z2 / rows)
    return (0.0 if successes == 0 else low), (1.0 if successes == rows else high)


def two_proportions(reference: tuple[int, int], batch: tuple[int, int], *, confidence: float) -> Difference:
    """How much higher the batch's share is than the reference's; each given as (successes, rows).

    Interval: Newcombe's hybrid of the two Wilson intervals (1998, method 10). p-value: two-sided, pooled
    normal; 1 where all rows agree. All nan where a sample is empty.

    >>> change = two_proportions((300, 1000), (180, 1000), confidence=0.95)
    >>> [round(value, 3) for value in (change.difference, change.low, change.high)]
    [-0.12, -0.157, -0.083]
    >>> change.p < 1e-8
    True
    """
    (a, n), (b, m) = reference, batch
    if not n or not m:
        return Difference(math.nan, math.nan, math.nan, math.nan)
    p, q = a / n, b / m
    p_low, p_high = wilson_interval(a, rows=n, confidence=confidence)
    q_low, q_high = wilson_interval(b, rows=m, confidence=confidence)
    low = q - p - math.hypot(q - q_low, p_high - p)
    high = q - p + math.hypot(q_high - q, p - p_low)
    pooled = (a + b) / (n + m)
    spread = math.sqrt(pooled * (1 - pooled) * noise(n=n, m=m))
    z = abs(q - p) / spread if spread else 0.0
    return Difference(q - p, low, high, math.erfc(z / math.sqrt(2)))


def _normal_quantile(confidence: float) -> float:
    return float(special.ndtri((1 + confidence) / 2))
