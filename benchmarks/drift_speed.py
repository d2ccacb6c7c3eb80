"""How fast one drift check is, beside the usual ways to do it, in one run on one machine: trust the ratios.

    OMP_NUM_THREADS=1 python benchmarks/drift_speed.py [--rows 100000 1000000] [--repeat 3]

50 numeric and 7 categorical columns, reference of 50,000 rows. Ours: profile (counts for PSI and for the
128-quantile grid of Kolmogorov-Smirnov, missing, unseen) and check (all statistics, intervals, corrections).
The two others compute one number a column, and start from the reference's rows, as they are usually called.
"""

import argparse
import time
from collections.abc import Callable

import numpy as np
from scipy.stats import chi2_contingency, ks_2samp

from churn_drift.columns import Codes, Columns
from churn_drift.drift import Bins, Limits, Profile, check, fit_bins, profile

REFERENCE = 50_000


def main() -> None:
    """Print a table of median seconds, and the ratio to ours."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[100_000, 1_000_000])
    parser.add_argument("--repeat", type=int, default=3)
    chosen = parser.parse_args()
    reference = generate(REFERENCE, seed=0)
    for rows in chosen.rows:
        compare(reference, generate(rows, seed=1), rows=rows, repeat=chosen.repeat)


def generate(rows: int, *, seed: int) -> Columns:
    """Half of the numbers skewed and continuous, half tied counts, 2 % missing."""
    rng = np.random.default_rng(seed)
    columns: dict[str, np.ndarray | Codes] = {}
    for i in range(50):
        values = rng.lognormal(size=rows) if i % 2 else rng.poisson(1 + i, rows).astype(np.float64)
        values[:: 50 + i] = np.nan
        columns[f"number{i}"] = values
    for k in (2, 2, 3, 5, 8, 60, 700):
        levels = tuple(f"level{j}" for j in range(k))
        columns[f"category{len(columns)}"] = Codes(rng.integers(0, k, rows).astype(np.int32), levels)
    return columns


def compare(reference: Columns, batch: Columns, *, rows: int, repeat: int) -> None:
    """Time all ways on one batch."""
    bins = fit_bins(reference, batch_rows=rows)
    known = profile(bins, reference)
    counted = profile(bins, batch)
    ways: dict[str, Callable[[], object]] = {
        "ours: profile and check": lambda: ours(bins, known, batch),
        "  of which check": lambda: check(known, counted, limits=Limits()),
        "np.histogram PSI": lambda: histogram_psi(reference, batch),
        "scipy ks_2samp, chi2": lambda: scipy_tests(reference, batch),
    }
    seconds = {name: timed(way, repeat=repeat) for name, way in ways.items()}
    base = next(iter(seconds.values()))
    print(f"\n{rows} rows x {len(batch)} columns{'seconds':>20}{'ratio':>10}")
    for name, value in seconds.items():
        print(f"{name:32}{value:20.4f}{value / base:10.2f}")


def timed(way: Callable[[], object], *, repeat: int) -> float:
    """Median CPU seconds of this process: other users of the machine count less than in wall time."""
    taken = []
    for _ in range(repeat):
        start = time.process_time()
        way()
        taken.append(time.process_time() - start)
    return float(np.median(taken))


def ours(bins: Bins, known: Profile, batch: Columns) -> object:
    """What `drift_check` does with a batch."""
    return check(known, profile(bins, batch), limits=Limits())


def histogram_psi(reference: Columns, batch: Columns) -> list[float]:
    """The usual hand-written PSI: np.histogram on the reference's deciles, levels by np.unique."""
    return [histogram_column(values, batch[name]) for name, values in reference.items()]


def histogram_column(reference: np.ndarray | Codes, batch: np.ndarray | Codes) -> float:
    """PSI of one column, empty bins at 1e-6."""
    if isinstance(reference, Codes) and isinstance(batch, Codes):
        p, q = (np.bincount(codes.codes, minlength=len(reference.levels)) for codes in (reference, batch))
    else:
        assert not isinstance(reference, Codes)
        assert not isinstance(batch, Codes)
        a, b = reference[~np.isnan(reference)], batch[~np.isnan(batch)]
        edges = np.unique(np.quantile(a, np.linspace(0, 1, 11)))
        edges[0], edges[-1] = -np.inf, np.inf
        p, q = np.histogram(a, edges)[0], np.histogram(b, edges)[0]
    ours_share, batch_share = np.maximum(p / p.sum(), 1e-6), np.maximum(q / q.sum(), 1e-6)
    return float(np.sum((batch_share - ours_share) * np.log(batch_share / ours_share)))


def scipy_tests(reference: Columns, batch: Columns) -> list[float]:
    """The usual two tests, by scipy.stats."""
    p_values = []
    for name, values in reference.items():
        other = batch[name]
        if isinstance(values, Codes) and isinstance(other, Codes):
            table = [np.bincount(codes.codes, minlength=len(values.levels)) for codes in (values, other)]
            p_values.append(chi2_contingency(table)[1])
        else:
            assert not isinstance(values, Codes)
            assert not isinstance(other, Codes)
            found = ks_2samp(values[~np.isnan(values)], other[~np.isnan(other)], method="asymp")
            p_values.append(found.pvalue)
    return p_values


if __name__ == "__main__":
    main()
