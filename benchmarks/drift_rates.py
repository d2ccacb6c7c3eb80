"""How often the drift check is wrong: false alarms on random halves, detection of shifts of stated size.

    python benchmarks/drift_rates.py [CELL2CELL.csv.gz] [--splits 200] [--reference 10000] [--batch 4000]

Without a file: generated customers of 50 numbers and 7 categories.

A shift of d standard deviations tilts 8 random numeric columns of the batch: values are drawn again with
weight exp(d z), z the normal score of their rank. That moves a normal column's mean by d (PSI about d
squared) and is defined for counts with ties too. New missing values: that share of the rows of the 8 columns.
"""

import argparse
from collections.abc import Callable

import numpy as np
from scipy.special import ndtri

from churn_drift.columns import Codes, Columns, Numbers, length, take
from churn_drift.data.frames import columns_of
from churn_drift.data.ingest import read_customers
from churn_drift.data.preprocess import preprocess
from churn_drift.drift import DriftReport, FeatureDrift, Limits, check, fit_bins, profile

SHIFTED = 8
Rule = Callable[[FeatureDrift], bool]
RULES: dict[str, Rule] = {
    "ours (FDR and lower bound)": lambda feature: feature.drifted,
    "PSI > 0.1": lambda feature: (feature.psi or 0) > 0.1,
    "PSI > 0.25": lambda feature: (feature.psi or 0) > 0.25,
    "p < 0.05, uncorrected": lambda feature: (feature.p_value or 0) < 0.05,
}


def main() -> None:
    """Print the two tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("path", nargs="?")
    parser.add_argument("--splits", type=int, default=200)
    parser.add_argument("--reference", type=int, default=10_000)
    parser.add_argument("--batch", type=int, default=4_000)
    chosen = parser.parse_args()
    customers = read(chosen.path) if chosen.path else generate(40_000)
    print(f"{length(customers)} customers, {len(customers)} features; ", end="")
    print(f"reference {chosen.reference}, batch {chosen.batch}, {chosen.splits} random splits")
    sizes = (chosen.reference, chosen.batch)
    false_alarms(customers, sizes, chosen.splits)
    detection(customers, sizes, max(chosen.splits // 4, 1))


def read(path: str) -> Columns:
    """The real file, through the pipeline's own preprocessing."""
    return columns_of(preprocess(read_customers(path), source=path, zero_is_missing=True).frame)


def generate(rows: int) -> Columns:
    """Customers without any drift: skewed, tied, and categorical columns."""
    rng = np.random.default_rng(0)
    skewed = {f"skewed{i}": rng.lognormal(sigma=1.5, size=rows) for i in range(25)}
    tied = {f"tied{i}": rng.poisson(0.5 + i, rows).astype(np.float64) for i in range(25)}
    levels = {
        f"levels{k}": Codes.of([f"{v}" for v in np.minimum(rng.geometric(3 / k, rows), k)])
        for k in (4, 5, 6, 8, 20, 100, 700)
    }
    return {**skewed, **tied, **levels}


def false_alarms(customers: Columns, sizes: tuple[int, int], splits: int) -> None:
    """Random halves: everything that is found is false."""
    reports = [halves(customers, sizes, seed)[0] for seed in range(splits)]
    p = np.array([[feature.p_value for feature in report.features] for report in reports])
    print("\nno drift: share of p-values below 5 / 1 / 0.1 %: ", end="")
    print(" / ".join(f"{np.mean(p < level):.2%}" for level in (0.05, 0.01, 0.001)))
    print(f"no drift: batches called drifted: {sum(r.verdict == 'drifted' for r in reports)} of {splits}")
    print(f"\n{'rule':28} {'features falsely flagged':>26} {'batches with any flag':>24}")
    for name, rule in RULES.items():
        flagged = np.array([[rule(feature) for feature in report.features] for report in reports])
        print(f"{name:28} {flagged.mean():26.3%} {flagged.any(axis=1).mean():24.1%}")


def detection(customers: Columns, sizes: tuple[int, int], splits: int) -> None:
    """Shifts put into 8 columns: how many of them are found, and how many others are flagged."""
    kinds: dict[str, tuple[float, float]] = {f"{d:g} sd": (d, 0.0) for d in (0.1, 0.15, 0.2, 0.25, 0.3, 0.5, 1.0)}
    kinds |= {f"{share:.0%} new missing": (0.0, share) for share in (0.02, 0.05, 0.4)}
    print(f"\n{'injected':16} {'PSI':>7} {'batch drifted':>14}", *(f"{name:>28}" for name in RULES))
    print(f"{'':38}", *(f"{'found / falsely flagged':>28}" for _ in RULES))
    for kind, (shift, lost) in kinds.items():
        found = [halves(customers, sizes, seed, shift=shift, lost=lost) for seed in range(splits)]
        verdicts = np.mean([report.verdict == "drifted" for report, _ in found])
        size = np.median([f.psi or 0 for report, names in found for f in report.features if f.name in names])
        print(
            f"{kind:16} {size:7.3f} {verdicts:14.0%}",
            *(f"{rates(found, rule):>28}" for rule in RULES.values()),
        )


def rates(found: list[tuple[DriftReport, set[str]]], rule: Rule) -> str:
    """Shares of the shifted and of the other features that the rule flags."""
    hits = [rule(f) for report, names in found for f in report.features if f.name in names]
    false = [rule(f) for report, names in found for f in report.features if f.name not in names]
    return f"{np.mean(hits):.1%} / {np.mean(false):.2%}"


def halves(
    customers: Columns, sizes: tuple[int, int], seed: int, *, shift: float = 0.0, lost: float = 0.0
) -> tuple[DriftReport, set[str]]:
    """Two random, disjoint samples, compared; and the columns that were shifted in the second."""
    n, m = sizes
    rng = np.random.default_rng(seed)
    order = rng.permutation(length(customers))
    reference, batch = take(customers, order[:n]), take(customers, order[n : n + m])
    numeric = [name for name, values in customers.items() if not isinstance(values, Codes)]
    names = set(rng.choice(numeric, SHIFTED, replace=False).tolist()) if shift or lost else set()
    for name in sorted(names):
        values = batch[name]
        assert not isinstance(values, Codes)
        batch[name] = lose(tilt(values, shift, rng), lost, rng)
    bins = fit_bins(reference, batch_rows=m)
    return check(profile(bins, reference), profile(bins, batch), limits=Limits()), names


def tilt(values: Numbers, shift: float, rng: np.random.Generator) -> Numbers:
    """The same sample, drawn again with weight exp(shift z)."""
    ranks = np.argsort(np.argsort(values + 0.0, kind="stable"), kind="stable")
    weights = np.where(np.isnan(values), 1.0, np.exp(shift * ndtri((ranks + 0.5) / len(values))))
    if not shift:
        return values.copy()
    return rng.choice(values, len(values), p=weights / weights.sum())


def lose(values: Numbers, share: float, rng: np.random.Generator) -> Numbers:
    """The same values, some of them missing from now on."""
    return np.where(rng.random(len(values)) < share, np.nan, values)


if __name__ == "__main__":
    main()
