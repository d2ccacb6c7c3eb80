"""Measure how faithful the simulator is to a Cell2Cell CSV.

    python scripts/simulator_fidelity.py cell2cell.csv [--json]

Marginals and dependences are compared with the whole file. The AUC of a model trained on simulated rows
is honest: unless --in-sample is given, the statistics behind it are fitted again on 70 % of the file and
the model is scored on the other 30 %.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import fit_simulator
import numpy as np
import numpy.typing as npt
import pandas as pd
import xgboost
from scipy.stats import rankdata
from sklearn.metrics import roc_auc_score

from churn_drift import schema
from churn_drift.data import simulator
from churn_drift.usage import Parser

Floats = npt.NDArray[np.float64]
MODEL = {
    "objective": "binary:logistic",
    "tree_method": "hist",
    "eta": 0.05,
    "max_depth": 5,
    "min_child_weight": 50,
    "subsample": 0.8,
    "colsample_bytree": 0.7,
    "max_cat_threshold": 8,
    "nthread": 1,
    "seed": 0,
}
TREES = 200
FLOOR = 1e-4
"""Least share of a bin, so that an empty one gives a finite PSI."""


# --- composition -------------------------------------------------------------------------------------------------


def psi(reference: pd.Series, other: pd.Series) -> float:
    """Population stability index of one column: 0 is the same, above 0.1 is a visible shift."""
    p, q = (np.maximum(share, FLOOR) for share in _shares(reference, other))
    return float(((q - p) * np.log(q / p)).sum())


def _shares(reference: pd.Series, other: pd.Series) -> tuple[Floats, Floats]:
    """Shares by bin: reference deciles or levels, rare levels folded to one, missing a bin of its own."""
    if pd.api.types.is_numeric_dtype(reference):
        edges = np.unique(np.nanquantile(reference.to_numpy(float), np.arange(1, 10) / 10))
        codes = [_numeric_bins(values, edges) for values in (reference, other)]
    else:
        counts = reference.value_counts()
        place = {level: i for i, level in enumerate(counts.index[counts >= max(25, 0.005 * len(reference))])}
        codes = [_level_bins(values, place) for values in (reference, other)]
    bins = max(int(c.max()) for c in codes) + 1
    first, second = (np.bincount(c, minlength=bins) / len(c) for c in codes)
    return first, second


def _numeric_bins(values: pd.Series, edges: Floats) -> npt.NDArray[Any]:
    numbers = values.to_numpy(float, na_value=np.nan)
    return np.where(np.isnan(numbers), len(edges) + 1, np.searchsorted(edges, numbers, side="left"))


def _level_bins(values: pd.Series, place: Mapping[str, int]) -> npt.NDArray[Any]:
    rare, missing = len(place), len(place) + 1
    return values.map(place).fillna(rare).where(values.notna(), missing).to_numpy(np.intp)


def composition(real: pd.DataFrame, simulated: pd.DataFrame) -> pd.DataFrame:
    """PSI by column: over all rows and in each fifth of the order."""
    pairs = {"all": (real, simulated)}
    pairs |= {f"fifth {i + 1}": (fifth(real, i), fifth(simulated, i)) for i in range(5)}
    names = [column.name for column in schema.COLUMNS if column.kind != "id"]
    return pd.DataFrame({label: {n: psi(a[n], b[n]) for n in names} for label, (a, b) in pairs.items()})


def fifth(frame: pd.DataFrame, number: int) -> pd.DataFrame:
    return part(frame, number, 5)


def part(frame: pd.DataFrame, number: int, parts: int) -> pd.DataFrame:
    """One of equal parts of the order."""
    return frame.iloc[len(frame) * number // parts : len(frame) * (number + 1) // parts]


# --- dependence --------------------------------------------------------------------------------------------------


def rank_correlations(frame: pd.DataFrame) -> pd.DataFrame:
    """Spearman correlations of numbers, flags and credit classes; missing values at the median rank."""
    table = {}
    for column in schema.COLUMNS:
        values = frame[column.name]
        if column.levels and column.name not in ("PrizmCode", "Occupation"):
            numbers = values.map({level: i for i, level in enumerate(("Unknown", *column.levels))}).fillna(-1)
        elif column.name == "HandsetPrice":
            numbers = pd.to_numeric(values.replace("Unknown", "0"))
        elif column.kind == "number" or column.name == "CustomerID":
            numbers = values
        else:
            continue
        numbers = pd.Series(numbers.to_numpy(float, na_value=np.nan))
        table[column.name] = rankdata(numbers.fillna(numbers.median()))
    return pd.DataFrame(table).corr()


def dependence(real: pd.DataFrame, simulated: pd.DataFrame) -> dict[str, Any]:
    """How far the simulated rank correlations are from the real ones."""
    first, second = rank_correlations(real), rank_correlations(simulated)
    upper = np.triu_indices(len(first), 1)
    gap = np.abs(first.to_numpy() - second.to_numpy())[upper]
    names = first.columns
    worst = [
        (names[upper[0][i]], names[upper[1][i]], first.to_numpy()[upper][i], second.to_numpy()[upper][i])
        for i in np.argsort(-gap)[:12]
    ]
    return {"pairs": len(gap), "mean": gap.mean(), "p99": np.quantile(gap, 0.99), "max": gap.max(), "worst": worst}


def identities(frame: pd.DataFrame) -> dict[str, float]:
    """Share of rows in which each rule of the file holds."""
    number = {n: frame[n].to_numpy(float, na_value=np.nan) for n in _NUMERIC}
    dropped = number["DroppedBlockedCalls"] - number["DroppedCalls"] - number["BlockedCalls"]
    last = number["MonthlyMinutes"] + number["PercChangeMinutes"]
    usage = frame[["MonthlyRevenue", "MonthlyMinutes", "TotalRecurringCharge", "OverageMinutes", "RoamingCalls"]].isna()
    called = (frame["MadeCallToRetentionTeam"] == "Yes").to_numpy()
    change = frame[["PercChangeMinutes", "PercChangeRevenues"]].isna()
    return {
        "DroppedBlocked = Dropped + Blocked within .11": np.mean(np.abs(dropped) < 0.11),
        "last month's minutes >= 0 or missing": np.mean(~(last < 0)),
        "last month's minutes = 0": np.mean(last == 0),
        "HandsetModels <= Handsets": np.mean(~(number["HandsetModels"] > number["Handsets"])),
        "ActiveSubs <= UniqueSubs": np.mean(number["ActiveSubs"] <= number["UniqueSubs"]),
        "AgeHH2 = 0 where AgeHH1 = 0": np.mean(number["AgeHH2"][number["AgeHH1"] == 0] == 0),
        "handset not older than tenure (+ a month)": np.mean(
            ~(number["CurrentEquipmentDays"] > 30.4 * number["MonthsInService"] + 31)
        ),
        "offers accepted <= retention calls": np.mean(number["RetentionOffersAccepted"] <= number["RetentionCalls"]),
        "MadeCall is RetentionCalls > 0": np.mean((number["RetentionCalls"] > 0) == called),
        "new and not new exclude each other": np.mean(
            ~((frame["NewCellphoneUser"] == "Yes") & (frame["NotNewCellphoneUser"] == "Yes"))
        ),
        "bill columns missing together": np.mean(usage.all(axis=1) == usage.any(axis=1)),
        "bill columns missing": np.mean(usage.any(axis=1)),
        "change columns missing together": np.mean(change.all(axis=1) == change.any(axis=1)),
        "ages missing together": np.mean(frame["AgeHH1"].isna() == frame["AgeHH2"].isna()),
    }


_NUMERIC = [c.name for c in schema.COLUMNS if c.kind == "number" and c.name != "HandsetPrice"]


# --- what a model learns -----------------------------------------------------------------------------------------


def features(frame: pd.DataFrame, *, made: bool) -> pd.DataFrame:
    """What a model sees: the record, and with `made` last month's minutes and the handset's months over 12."""
    table = {}
    for column in schema.RECORD:
        values = frame[column.name]
        if column.name == "HandsetPrice":
            table[column.name] = pd.to_numeric(values.where(values != "Unknown"))
        elif column.kind == "number":
            table[column.name] = pd.Series(values.to_numpy(float, na_value=np.nan))
        else:
            table[column.name] = values
    table = {name: pd.Series(values.to_numpy()) for name, values in table.items()}
    if made:
        table["LastMinutes"] = table["MonthlyMinutes"] + table["PercChangeMinutes"]
        table["LastRevenue"] = table["MonthlyRevenue"] + table["PercChangeRevenues"]
        table["PastContract"] = table["CurrentEquipmentDays"] / 30 - 12
        table["MonthsBeforeHandset"] = table["MonthsInService"] - table["CurrentEquipmentDays"] / 30
    return pd.DataFrame(table)


def auc(train: pd.DataFrame, test: pd.DataFrame, *, made: bool = False) -> float:
    """AUC on `test` of the fixed model trained on `train`; levels not seen in training are missing."""
    return float(roc_auc_score(test["Churn"] == "Yes", score(train, test, made=made)))


def score(train: pd.DataFrame, test: pd.DataFrame, *, made: bool) -> Floats:
    first, second = features(train, made=made), features(test, made=made)
    for name in first.columns[[not pd.api.types.is_numeric_dtype(first[n]) for n in first.columns]]:
        levels = sorted(first[name].dropna().unique())
        first[name] = pd.Categorical(first[name], levels)
        second[name] = pd.Categorical(second[name].where(second[name].isin(levels)), levels)
    data = xgboost.DMatrix(first, (train["Churn"] == "Yes").to_numpy(), enable_categorical=True)
    model = xgboost.train(MODEL, data, TREES)
    return np.asarray(model.predict(xgboost.DMatrix(second, enable_categorical=True)))


def transfer(real: pd.DataFrame, statistics: Mapping[str, Any] | None, *, seed: int) -> dict[str, float]:
    """AUC on 30 % of the real rows: trained on the other 70 %, and on as many simulated rows.

    Without `statistics` they are fitted on the 70 %. The last pair is tested on simulated rows.
    """
    held = np.random.Generator(np.random.PCG64(seed)).random(len(real)) < 0.3
    train, test = real[~held].reset_index(drop=True), real[held].reset_index(drop=True)
    source = statistics or fit_simulator.fit(train)
    made = simulator.simulate(source, rows=len(train), seed=seed + 1)
    fresh = simulator.simulate(source, rows=len(test), seed=seed + 2)
    return {
        "real -> real": auc(train, test),
        "simulated -> real": auc(made, test),
        "real -> real, with made features": auc(train, test, made=True),
        "simulated -> real, with made features": auc(made, test, made=True),
        "simulated -> simulated": auc(made, fresh),
        "real -> simulated": auc(train, fresh),
    }


def timeline(frame: pd.DataFrame, *, made: bool = False) -> dict[str, list[float]]:
    """AUC in tenths 4 to 10 (batches after the first three tenths): never retrained, and on all before.

    *never* is trained on the first fifth of the order, *always* on all rows before the tenth.
    """
    first = frame.iloc[: len(frame) // 5]
    batches = [(frame.iloc[: len(frame) * i // 10], part(frame, i, 10)) for i in range(3, 10)]
    return {
        "never": [auc(first, batch, made=made) for _, batch in batches],
        "always": [auc(before, batch, made=made) for before, batch in batches],
    }


# --- report ------------------------------------------------------------------------------------------------------


def measure(
    real: pd.DataFrame, statistics: dict[str, Any], *, seed: int, in_sample: bool, models: bool
) -> dict[str, Any]:
    """Every figure of the report."""
    simulated = simulator.simulate(statistics, rows=len(real), seed=seed)
    shifts = composition(real, simulated)
    both = {"real": real, "simulated": simulated}
    result: dict[str, Any] = {
        "psi": shifts.round(4).to_dict("index"),
        "share_below_0.1": {label: float((shifts[label] < 0.1).mean()) for label in shifts},
        "dependence": dependence(real, simulated),
        "identities": {name: identities(frame) for name, frame in both.items()},
        "churn_by_tenth": {
            name: [float((part(frame, i, 10)["Churn"] == "Yes").mean()) for i in range(10)]
            for name, frame in both.items()
        },
    }
    if models:
        result["auc"] = transfer(real, statistics if in_sample else None, seed=seed)
        result["timeline"] = {name: timeline(frame) for name, frame in both.items()}
    return result


def show(result: Mapping[str, Any]) -> None:
    """The report as tables of 80 columns."""
    shifts = pd.DataFrame(result["psi"]).T
    order = shifts.max(axis=1).sort_values(ascending=False).index
    print("PSI, simulated against real (columns by their worst value)\n")
    print(shifts.loc[order].round(3).to_string())
    print("\nshare of columns below 0.1:", _row(result["share_below_0.1"].values()))
    found = result["dependence"]
    print(f"\nrank correlations, {found['pairs']} pairs: |simulated - real| mean {found['mean']:.4f}, ", end="")
    print(f"99 % {found['p99']:.3f}, max {found['max']:.3f}")
    for one, two, real, simulated in found["worst"]:
        print(f"  {one:26s}{two:26s} real {real:6.3f}  sim {simulated:6.3f}")
    print("\nrules, share of rows" + " " * 31 + "real    simulated")
    for name, value in result["identities"]["real"].items():
        print(f"  {name:46s}{value:9.5f}{result['identities']['simulated'][name]:11.5f}")
    print("\nchurn rate by tenth of the order")
    for name, values in result["churn_by_tenth"].items():
        print(f"  {name:12s}{_row(values)}")
    if "auc" not in result:
        return
    print("\nAUC, train -> test")
    for name, value in result["auc"].items():
        print(f"  {name:46s}{value:7.4f}")
    print("\nAUC in tenths 4 to 10")
    for name, lines in result["timeline"].items():
        for policy, values in lines.items():
            print(f"  {name:10s}{policy:8s}{_row(values)}  mean {np.mean(values):.4f}")


def _row(values: Any) -> str:
    return " ".join(f"{value:.3f}" for value in values)


def main() -> None:
    parser = Parser(description=__doc__.splitlines()[0])
    parser.add_argument("input", type=Path, help="Cell2Cell CSV with the label")
    parser.add_argument(
        "--statistics",
        type=Path,
        default=simulator.STATISTICS,
        metavar="FILE",
        help="of fit_simulator.py (default: ours)",
    )
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="of the simulator (default: %(default)s)")
    parser.add_argument("--in-sample", action="store_true", help="AUC with the given statistics, not refitted")
    parser.add_argument("--no-models", action="store_true", help="skip everything that trains a model")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args()
    result = measure(
        fit_simulator.read(options.input),
        simulator.load_statistics(options.statistics),
        seed=options.seed,
        in_sample=options.in_sample,
        models=not options.no_models,
    )
    if options.json:
        print(json.dumps(result, default=float, indent=1))
    else:
        show(result)


if __name__ == "__main__":
    main()
