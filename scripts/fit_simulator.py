"""Make the simulator's statistics from a Cell2Cell CSV.

    python scripts/fit_simulator.py INPUT.csv OUTPUT.json

Nothing that describes fewer than 10 customers is written: leaves, histogram cells, level counts and the
leaves of the churn trees are counted, and the two ends of every histogram are means of ten customers.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import xgboost
from scipy.special import expit, logit, ndtr, ndtri
from sklearn.tree import DecisionTreeRegressor

from churn_drift import schema
from churn_drift.data import simulator
from churn_drift.data.simulator import Draft, Floats, Ints
from churn_drift.usage import Parser

SMALLEST = 10
"""Customers on which every written number rests, at least."""
COARSE = 20
"""A column of at most so many values keeps each of them apart in its histograms."""


@dataclass(frozen=True)
class Plan:
    """How one node is fitted: whole numbers of `unit`, a tree of at most `leaves` leaves."""

    name: str
    unit: float = 1
    decimals: int = 0
    leaves: int = 16
    smallest: int = 200
    parents: tuple[str, ...] = ()
    missing: tuple[str, float] | None = None
    lean: bool = True


THIRD = (1 / 3, 1)
NO_BILL, NO_CHANGE, NO_AGE = ("MissingUsage", 2), ("MissingUsage", 1), ("MissingAge", 1)

PLANS = (
    Plan("MissingUsage", leaves=4, smallest=100, parents=("Position",), lean=False),
    Plan("MissingAge", leaves=10, parents=("Position",), lean=False),
    Plan("MonthsInService", leaves=48, smallest=100, parents=("Position",), lean=False),
    Plan("Market", leaves=32, smallest=300, parents=("Position", "MonthsInService"), lean=False),
    Plan("ServiceArea", leaves=120, smallest=40, parents=("Market", "Position"), lean=False),
    Plan("Handsets", leaves=20),
    Plan("HandsetModels", leaves=14, parents=("Handsets", "MonthsInService", "Position")),
    Plan("EquipmentGap", leaves=32, smallest=150, parents=("MonthsInService", "Handsets", "HandsetModels", "Position")),
    Plan("CreditRating", leaves=24),
    Plan("AdjustmentsToCreditRating", leaves=10),
    Plan("HandsetRefurbished", leaves=16),
    Plan("HandsetWebCapable", leaves=20),
    Plan("HandsetPrice", leaves=28),
    Plan("AgeHH1", 2, missing=NO_AGE),
    Plan("AgeHH2", 2, leaves=20, missing=NO_AGE),
    *(
        Plan(name)
        for name in (
            "MaritalStatus",
            "IncomeGroup",
            "Homeownership",
            "HasCreditCard",
            "Occupation",
            "PrizmCode",
            "ChildrenInHH",
            "BuysViaMailOrder",
            "RespondsToMailOffers",
            "TruckOwner",
            "RVOwner",
            "OwnsMotorcycle",
            "OptOutMailings",
            "NonUSTravel",
            "OwnsComputer",
            "NewCellphoneUser",
            "NotNewCellphoneUser",
            "UniqueSubs",
            "ActiveSubs",
        )
    ),
    Plan("MonthlyMinutes", leaves=24, missing=NO_BILL),
    Plan("TotalRecurringCharge", leaves=24, missing=NO_BILL),
    Plan("OverageMinutes", leaves=20, missing=NO_BILL),
    Plan("RoamingCalls", 0.1, 1, leaves=12, missing=NO_BILL),
    Plan("DirectorAssistedCalls", 0.2475, 2, leaves=12, missing=NO_BILL),
    Plan("BillBeyondPlan", 0.01, 2, leaves=28, missing=NO_BILL),
    Plan("NoCalls", leaves=16),
    Plan("PeakCallsInOut", *THIRD, leaves=24),
    Plan("OffPeakCallsInOut", *THIRD, leaves=24),
    Plan("OutboundCalls", *THIRD, leaves=24),
    Plan("InboundCalls", *THIRD, leaves=24),
    Plan("ReceivedCalls", 0.1, 1, leaves=24),
    Plan("UnansweredCalls", *THIRD, leaves=20),
    Plan("DroppedCalls", *THIRD, leaves=20),
    Plan("BlockedCalls", *THIRD, leaves=20),
    Plan("DroppedBlockedExtra", 0.1, 1, leaves=6, lean=False),
    Plan("CustomerCareCalls", *THIRD),
    Plan("ThreewayCalls", *THIRD, leaves=12),
    Plan("CallForwardingCalls", *THIRD, leaves=3),
    Plan("CallWaitingCalls", *THIRD, leaves=20),
    Plan("MinutesChangeShare", 0.001, 3, leaves=28, missing=NO_CHANGE),
    Plan("PercChangeRevenues", 0.1, 1, leaves=28, missing=NO_CHANGE),
    Plan("ReferralsMadeBySubscriber", leaves=6),
    Plan("RetentionCalls", leaves=12),
    Plan("RetentionOffersAccepted", leaves=4),
)

CALLS = (
    *("UnansweredCalls", "OutboundCalls", "InboundCalls", "ReceivedCalls", "CustomerCareCalls", "ThreewayCalls"),
    *("CallWaitingCalls", "PeakCallsInOut", "OffPeakCallsInOut", "DroppedBlockedCalls"),
)
"""All zero for half of the customers between .65 and .75 of the order, though they have minutes: a flaw of the file."""

EDGE = 1e-6
"""Keeps latent values finite."""


def read(path: str | Path) -> pd.DataFrame:
    """The raw file, empty cells and NA missing, 'Unknown' a text."""
    frame = pd.read_csv(path, keep_default_na=False, na_values=list(schema.MISSING))
    return frame.sort_values("CustomerID", ignore_index=True)[list(schema.NAMES)]


# --- the file as numbers -----------------------------------------------------------------------------------------


def to_draft(frame: pd.DataFrame, levels: dict[str, list[str]]) -> Draft:
    """Every column as numbers (levels by place, NaN missing), with the simulator's helper columns."""
    draft: Draft = {"Position": (np.arange(len(frame)) + 0.5) / len(frame)}
    for name in schema.NAMES:
        if name in levels:
            draft[name] = _places(frame[name], levels[name])
        elif name == schema.LABEL:
            draft[name] = (frame[name] == "Yes").to_numpy().astype(np.float64)
        elif name != schema.ID:
            draft[name] = frame[name].to_numpy().astype(np.float64)
    draft["Market"] = _places(frame["ServiceArea"].str[:3], levels["Market"])
    return draft | _helpers(draft)


def _places(values: pd.Series, levels: Sequence[str]) -> Floats:
    place = {level: code for code, level in enumerate(levels)}
    other = {level[:3]: code for code, level in enumerate(levels) if level.endswith("RST000")}
    text = ["NA" if pd.isna(value) else str(value) for value in values]
    last = len(levels) - 1
    return np.array([place.get(value, other.get(value[:3], last)) for value in text], dtype=float)


def _helpers(draft: Draft) -> Draft:
    minutes, days = draft["MonthlyMinutes"], simulator.DAYS_PER_MONTH * draft["MonthsInService"]
    age = draft["CurrentEquipmentDays"]
    change = draft["PercChangeMinutes"]
    return {
        **simulator.with_ages(draft, age),
        "EquipmentGap": np.where(age - days >= -60, np.round(age - days), np.round(1000 * (age / days - 1)) - 100),
        "BillBeyondPlan": draft["MonthlyRevenue"] - draft["TotalRecurringCharge"],
        "MinutesChangeShare": np.maximum(change, -minutes) / np.where(minutes > 0, minutes, 1.0),
        "LastMinutes": np.maximum(minutes + change, 0),
        "LastRevenue": draft["MonthlyRevenue"] + draft["PercChangeRevenues"],
        "DroppedBlockedExtra": draft["DroppedBlockedCalls"] - draft["DroppedCalls"] - draft["BlockedCalls"],
        "NoCalls": np.all([draft[name] == 0 for name in CALLS], axis=0) * 1.0,
        "MissingUsage": np.isnan(minutes) * 1.0 + np.isnan(change) * 1.0,
        "MissingAge": np.isnan(draft["AgeHH1"]) * 1.0,
    }


def find_levels(frame: pd.DataFrame) -> dict[str, list[str]]:
    """Levels of every coded column; areas and markets ordered by churn, rare areas pooled by market."""
    levels = {column.name: list(column.levels) for column in schema.COLUMNS if column.levels}
    levels["MaritalStatus"] = ["Unknown", "No", "Yes"]
    levels["Homeownership"] = ["Unknown", "Known"]
    prices = frame["HandsetPrice"].astype(str).value_counts()
    known = sorted(int(price) for price in prices.index[prices >= SMALLEST] if price != "Unknown")
    levels["HandsetPrice"] = ["Unknown", *map(str, known)]
    churn = (frame["Churn"] == "Yes").to_numpy(float)
    area = frame["ServiceArea"].fillna("NA").astype(str)
    market = area.str[:3]
    markets = _by_churn(market, churn)
    counts = area.value_counts()
    area = area.where(area.map(counts) >= SMALLEST, market + "RST000")
    counts = area.value_counts()
    area = area.where(area.map(counts) >= SMALLEST, "RSTRST000")
    areas = _by_churn(area, churn)
    levels["Market"] = [m for m in markets if m not in ("NA", "RST")] + ["NA", "RST"]
    order = {market: place for place, market in enumerate(levels["Market"])}
    levels["ServiceArea"] = sorted(areas, key=lambda a: (order[a[:3]], areas.index(a)))
    return levels


def _by_churn(values: pd.Series, churn: npt.NDArray[Any]) -> list[str]:
    grouped = pd.Series(churn).groupby(values.to_numpy()).agg(["sum", "size"])
    grouped = grouped[grouped["size"] >= SMALLEST]
    rate = (grouped["sum"] + 100 * churn.mean()) / (grouped["size"] + 100)
    return list(rate.sort_values(kind="stable").index)


# --- one node ----------------------------------------------------------------------------------------------------


def fit_node(plan: Plan, draft: Draft, inputs: list[str], scores: Draft, random: np.random.Generator) -> dict[str, Any]:
    """One link of the chain as JSON; its normal score is added to `scores`."""
    values = np.round(draft[plan.name] / plan.unit)
    used = np.flatnonzero(~np.isnan(values) & _present(plan, draft))
    known = {name: draft[name][used] for name in inputs}
    drawn = values[used]
    splits = fit_tree(plan, known, inputs, drawn)
    leaf = simulator.find_leaves(splits, inputs, known)
    low, high = latent_bounds(drawn, leaf)
    names = list(scores) if plan.lean else []
    features = np.column_stack([scores[name][used] for name in names]) if names else np.zeros((len(used), 0))
    weights, slope, shift, noise = fit_lean(features, leaf, low, high, random)
    score = fit_score(drawn)
    full = np.zeros(len(values))
    full[used] = np.interp(drawn, *score)
    scores[plan.name] = full
    return {
        "name": plan.name,
        "unit": plan.unit,
        "decimals": plan.decimals,
        "missing": list(plan.missing) if plan.missing else None,
        "splits": splits,
        "weights": {name: _short(w) for name, w in zip(names, weights, strict=True) if w},
        "slope": _shorts(slope),
        "shift": _shorts(shift),
        "noise": _shorts(noise),
        "leaves": [segments(drawn[leaf == number]) for number in range(leaf.max() + 1)],
        "score": [_shorts(score[0]), _shorts(score[1])],
    }


def _present(plan: Plan, draft: Draft) -> npt.NDArray[np.bool_]:
    return draft[plan.missing[0]] < plan.missing[1] if plan.missing else np.ones(len(draft["Position"]), dtype=bool)


def fit_tree(plan: Plan, known: Draft, inputs: list[str], drawn: Floats) -> list[list[float]]:
    """Splits that make the leaves' histograms differ most; a missing input goes to `no`."""
    names = [name for name in inputs if not plan.parents or name in plan.parents]
    if not names:
        return []
    table = np.column_stack([np.nan_to_num(known[name], nan=1e9) for name in names])
    tree = DecisionTreeRegressor(max_leaf_nodes=plan.leaves, min_samples_leaf=plan.smallest, random_state=0)
    tree.fit(table.astype(np.float32), _targets(drawn))
    return to_splits(tree.tree_, [inputs.index(name) for name in names], [np.unique(column) for column in table.T])


def _targets(drawn: Floats) -> Floats:
    """What a split should separate: the rank, and the share of each frequent value."""
    values, counts = np.unique(drawn, return_counts=True)
    frequent = values[np.argsort(-counts, kind="stable")[:60]]
    frequent = frequent[[counts[values == v][0] >= max(SMALLEST, 0.01 * len(drawn)) for v in frequent]]
    rank = np.interp(drawn, values, (np.cumsum(counts) - counts / 2) / len(drawn))
    return np.column_stack([rank * (2 if len(values) > 3 else 0), *(drawn == value for value in frequent)])


def to_splits(tree: Any, place: list[int], known: list[Floats]) -> list[list[float]]:
    """A scikit-learn tree as rows [input, threshold, yes, no]; leaves numbered from -1 downwards."""
    inner = [node for node in range(tree.node_count) if tree.children_left[node] >= 0]
    outer = [node for node in range(tree.node_count) if tree.children_left[node] < 0]
    assert min(tree.n_node_samples[node] for node in outer) >= SMALLEST
    number = {node: i for i, node in enumerate(inner)} | {node: -1 - i for i, node in enumerate(outer)}
    return [
        [
            place[tree.feature[node]],
            _between(known[tree.feature[node]], tree.threshold[node]),
            number[tree.children_left[node]],
            number[tree.children_right[node]],
        ]
        for node in inner
    ]


def latent_bounds(drawn: Floats, leaf: Ints) -> tuple[Floats, Floats]:
    """The interval of the latent normal variable that each customer's value stands for, in its leaf."""
    low, high = np.zeros(len(drawn)), np.zeros(len(drawn))
    for number in range(leaf.max() + 1):
        rows = np.flatnonzero(leaf == number)
        _, place, counts = np.unique(drawn[rows], return_inverse=True, return_counts=True)
        top = np.cumsum(counts) / len(rows)
        high[rows], low[rows] = top[place], (top - counts / len(rows))[place]
    return np.maximum(low, EDGE), np.minimum(high, 1 - EDGE)


def fit_lean(
    features: Floats, leaf: Ints, low: Floats, high: Floats, random: np.random.Generator, *, rounds: int = 8
) -> tuple[Floats, Floats, Floats, Floats]:
    """How the latent variable leans on earlier scores: weights, and slope, shift, noise by leaf.

    An ordered-probit regression by stochastic EM: the latent values are redrawn inside their intervals,
    so that few or coarse values do not weaken the dependence.
    """
    leaves = leaf.max() + 1
    size = np.bincount(leaf, minlength=leaves)

    def centred(values: Floats) -> Floats:
        return values - (np.bincount(leaf, values, leaves) / size)[leaf]

    slope, shift, noise = np.zeros(leaves), np.zeros(leaves), np.ones(leaves)
    weights = np.zeros(features.shape[1])
    if not features.shape[1]:
        return weights, slope, shift, noise
    inside = np.column_stack([centred(column) for column in features.T])
    gram = inside.T @ inside
    lean = np.zeros(len(leaf))
    for _ in range(rounds):
        mean, spread = lean * slope[leaf] + shift[leaf], noise[leaf]
        bottom, top = ndtr((ndtri(low) - mean) / spread), ndtr((ndtri(high) - mean) / spread)
        uniform = np.clip(bottom + (top - bottom) * random.random(len(leaf)), EDGE, 1 - EDGE)
        latent = mean + spread * ndtri(uniform)
        target = inside.T @ centred(latent)
        weights = _sparse_solve(gram, target, len(leaf))
        lean = features @ weights
        spread_of_lean = np.sqrt(np.bincount(leaf, centred(lean) ** 2, leaves) / size)
        spread_of_latent = np.sqrt(np.bincount(leaf, centred(latent) ** 2, leaves) / size)
        together = np.bincount(leaf, centred(lean) * centred(latent), leaves) / size
        tie = np.clip(together / np.maximum(spread_of_lean * spread_of_latent, 1e-9), 0, 0.98)
        tie[spread_of_lean < 1e-3] = 0
        slope = tie / np.maximum(spread_of_lean, 1e-3)
        shift = -slope * np.bincount(leaf, lean, leaves) / size
        noise = np.sqrt(1 - tie**2)
    return weights, slope, shift, noise


def _sparse_solve(gram: Floats, target: Floats, rows: int) -> Floats:
    kept = np.flatnonzero(np.diag(gram) > 1e-6 * rows)
    for _ in range(2):
        weights = np.zeros(len(gram))
        weights[kept] = np.linalg.solve(gram[np.ix_(kept, kept)] + 0.002 * rows * np.eye(len(kept)), target[kept])
        weights = np.round(weights, 3)
        kept = kept[np.abs(weights[kept]) > 0.02]
    weights[[i for i in range(len(gram)) if i not in set(kept)]] = 0
    return weights


def fit_score(drawn: Floats) -> tuple[Floats, Floats]:
    """Values and their normal scores: the middle rank of each histogram cell over all customers."""
    cells = segments(drawn)
    counts = np.array(cells["count"])
    share = (np.cumsum(counts) - counts / 2) / counts.sum()
    middle = np.array(cells["low"]) + np.array(cells["width"]) / 2
    middle, first = np.unique(middle, return_index=True)
    return middle, ndtri(share[first])


def segments(drawn: Floats) -> dict[str, list[int]]:
    """A histogram: frequent values alone, the rest in runs; `count` customers from `low` to `low + width`.

    Every cell holds at least 10 customers, and an end of the histogram is the mean of ten.
    """
    values, counts = np.unique(drawn, return_counts=True)
    total = counts.sum()
    alone = counts >= max(SMALLEST, 0.008 * total if len(values) > COARSE else 0)
    cells: list[list[float]] = []  # count, low, high, alone
    before = 0
    for value, count, single in zip(values, counts, alone, strict=True):
        share = min(before, total - before) / total
        full = max(SMALLEST, total / (16 if share > 0.05 else 60))
        if single or not cells or cells[-1][3] or cells[-1][0] >= full:
            cells.append([count, value, value, single])
        else:
            cells[-1][0] += count
            cells[-1][2] = value
        before += count
    cells = _merged(cells)
    ordered = np.sort(drawn)
    if cells[0][1] < cells[0][2]:
        cells[0][1] = min(np.round(ordered[:SMALLEST].mean()), cells[0][2])
    if cells[-1][1] < cells[-1][2]:
        cells[-1][2] = max(np.round(ordered[-SMALLEST:].mean()), cells[-1][1])
    assert all(cell[0] >= SMALLEST for cell in cells)
    assert sum(cell[0] for cell in cells) == total
    return {
        "count": [int(c[0]) for c in cells],
        "low": [int(c[1]) for c in cells],
        "width": [int(c[2] - c[1]) for c in cells],
    }


def _merged(cells: list[list[float]]) -> list[list[float]]:
    """Cells of fewer than ten customers are counted at their nearest neighbour."""
    while len(cells) > 1 and min(cell[0] for cell in cells) < SMALLEST:
        place = min(range(len(cells)), key=lambda i: cells[i][0])
        small = cells.pop(place)
        near = [i for i in (place - 1, place) if 0 <= i < len(cells)]
        near.sort(key=lambda i: abs(cells[i][1 if i == place else 2] - small[2 if i == place else 1]))
        target = cells[near[0]]
        target[0] += small[0]
        if not target[3]:
            target[1], target[2] = min(target[1], small[1]), max(target[2], small[2])
    return cells


# --- churn -------------------------------------------------------------------------------------------------------

CHURN = {
    "objective": "binary:logistic",
    "tree_method": "hist",
    "eta": 0.06,
    "max_depth": 3,
    "min_child_weight": 20,
    "subsample": 0.8,
    "colsample_bytree": 0.5,
    "lambda": 3,
    "max_bin": 128,
    "nthread": 1,
    "seed": 0,
}
ROUNDS, OWN_ROUNDS = 100, 70
STRETCHES = (0.0, 0.25, 0.65, 1.0)
"""Where the order is cut for the trees of each part: early customers leave for other reasons than late ones."""
SHARPNESS = 1.22
"""How far the log-odds are stretched: an estimate with calibrated odds is flatter than the truth. At 1.22
the same model reaches the same AUC on simulated as on real rows (scripts/simulator_fidelity.py)."""


def fit_churn(draft: Draft, inputs: list[str]) -> dict[str, Any]:
    """Trees for the log-odds of leaving, with slopes that make out-of-sample odds right in each fifth."""
    table = np.column_stack([np.nan_to_num(draft[name], nan=1e9) for name in inputs]).astype(np.float32)
    known = [np.unique(column) for column in table.T]
    label = draft["Churn"]
    fold = np.random.Generator(np.random.PCG64(1)).integers(0, 3, len(label))
    score = np.zeros(len(label))
    for held in range(3):
        score[fold == held] = _boost(table[fold != held], label[fold != held]).margin(table[fold == held])
    slope = [SHARPNESS * _logistic_slope(*parts) for parts in zip(_parts(score, 5), _parts(label, 5), strict=True)]
    trees = [_churn_tree(json.loads(tree), known, stretch) for tree, stretch in _boost(table, label).dump()]
    churn: dict[str, Any] = {
        "trees": trees,
        "slope_at": [0.1, 0.3, 0.5, 0.7, 0.9],
        "slope": _shorts(slope),
        "offset_at": [0.0, 1.0],
        "offset": [_short(logit(label.mean()))] * 2,
    }
    for tree in trees:
        leaf = simulator.find_leaves(tree["splits"], inputs, draft)
        tree["fewest"] = int(np.bincount(leaf, minlength=len(tree["value"])).min())
        assert tree["fewest"] >= SMALLEST
    return churn


@dataclass(frozen=True)
class Boosted:
    """Trees for all customers, and more trees for each stretch of the order: what drives churn changes along it."""

    shared: xgboost.Booster
    own: tuple[xgboost.Booster, ...]

    def margin(self, table: npt.NDArray[Any]) -> Floats:
        """Log-odds of leaving."""
        margin = np.asarray(self.shared.predict(xgboost.DMatrix(table), output_margin=True), dtype=np.float64)
        for booster, rows in zip(self.own, _stretches(table), strict=True):
            data = xgboost.DMatrix(table[rows], base_margin=margin[rows])
            margin[rows] = booster.predict(data, output_margin=True)
        return margin

    def dump(self) -> list[tuple[str, tuple[float, float] | None]]:
        """Every tree as JSON, and the stretch where it counts; None for everywhere."""
        trees: list[tuple[str, tuple[float, float] | None]] = []
        trees += [(tree, None) for tree in self.shared.get_dump(dump_format="json")]
        for booster, stretch in zip(self.own, pairwise(STRETCHES), strict=True):
            trees += [(tree, stretch) for tree in booster.get_dump(dump_format="json")]
        return trees


def _boost(table: npt.NDArray[Any], label: Floats) -> Boosted:
    base = {**CHURN, "base_score": float(label.mean())}
    shared = xgboost.train(base, xgboost.DMatrix(table, label), ROUNDS)
    margin = shared.predict(xgboost.DMatrix(table), output_margin=True)
    parts = [xgboost.DMatrix(table[rows], label[rows], base_margin=margin[rows]) for rows in _stretches(table)]
    return Boosted(shared, tuple(xgboost.train(base, part, OWN_ROUNDS) for part in parts))


def _stretches(table: npt.NDArray[Any]) -> list[npt.NDArray[np.bool_]]:
    """Rows in each stretch; the place in the order is the first input."""
    return [(table[:, 0] > start) & (table[:, 0] <= end) for start, end in pairwise(STRETCHES)]


def _parts(values: Floats, parts: int) -> list[Floats]:
    return [np.asarray(part) for part in np.array_split(values, parts)]


def _logistic_slope(score: Floats, label: Floats) -> float:
    centre, slope, level = score.mean(), 1.0, 0.0
    for _ in range(20):
        p = expit(level + centre + slope * (score - centre))
        x = score - centre
        w = p * (1 - p)
        hessian = np.array([[w.sum(), (w * x).sum()], [(w * x).sum(), (w * x * x).sum()]])
        step = np.linalg.solve(hessian, [(label - p).sum(), ((label - p) * x).sum()])
        level, slope = level + step[0], slope + step[1]
    return slope


def _churn_tree(
    root: dict[str, Any], known: list[npt.NDArray[np.float32]], stretch: tuple[float, float] | None
) -> dict[str, Any]:
    """An XGBoost tree as splits: its `x < t` is our `x <= middle between t and the value below it`."""
    splits: list[list[float]] = []
    value: list[float] = []

    def add(node: dict[str, Any]) -> int:
        if "leaf" in node:
            value.append(round(node["leaf"], 3))
            return -len(value)
        place = len(splits)
        splits.append([])
        children = {child["nodeid"]: child for child in node["children"]}
        column = int(node["split"].removeprefix("f"))
        yes, no = add(children[node["yes"]]), add(children[node["no"]])
        just_below = np.nextafter(np.float32(node["split_condition"]), np.float32(-np.inf))
        splits[place] = [column, _between(known[column], float(just_below)), yes, no]
        return place

    if stretch is None:
        add(root)
        return {"splits": splits, "value": value}
    value.append(0)
    splits += [[0, stretch[0], -1, 1], [0, stretch[1], 2, -1]]
    add(root)
    return {"splits": splits, "value": value}


def fit_offset(statistics: dict[str, Any], churn: Floats, *, rows: int, seed: int, bins: int = 20) -> None:
    """Correct the log-odds along the order until simulated churn is the file's in every twentieth."""
    model = statistics["churn"]
    at = (np.arange(bins) + 0.5) / bins
    goal = np.array([part.mean() for part in _parts(churn, bins)])
    goal = np.interp(at, at, np.convolve(np.pad(goal, 1, mode="edge"), [0.2, 0.6, 0.2], mode="valid"))
    offset = np.full(bins, model["offset"][0])
    random = np.random.Generator(np.random.PCG64(seed))
    drafts = list(simulator.drafts(statistics, rows=rows, random=random))
    for _ in range(4):
        model["offset_at"], model["offset"] = _shorts(at), _shorts(offset)
        chance = np.concatenate([simulator.churn_probability(statistics, draft) for draft in drafts])
        now = np.array([part.mean() for part in _parts(chance, bins)])
        offset = offset + logit(goal) - logit(now)
    model["offset"] = _shorts(offset)


# --- all together ------------------------------------------------------------------------------------------------


def fit(frame: pd.DataFrame, *, seed: int = 0) -> dict[str, Any]:
    """All statistics of a raw frame in acquisition order; the same frame gives the same statistics."""
    random = np.random.Generator(np.random.PCG64(seed))
    levels = find_levels(frame)
    draft = to_draft(frame, levels)
    inputs = ["Position"]
    scores: Draft = {}
    nodes = []
    for plan in PLANS:
        nodes.append(fit_node(plan, draft, inputs, scores, random))
        made = list(simulator.COMPLETE[plan.name](draft)) if plan.name in simulator.COMPLETE else []
        inputs += [name for name in (plan.name, *made) if name not in inputs]
    statistics: dict[str, Any] = {
        "format": simulator.FORMAT,
        "source": {
            "rows": len(frame),
            "note": "Statistics of Cell2Cell customers (Teradata Center for CRM, Duke University), in order of "
            "acquisition. No number describes fewer than 10 customers; areas named RST000 pool rare ones.",
        },
        "smallest_cell": SMALLEST,
        "levels": {name: values for name, values in levels.items() if name != "Market"} | {"Churn": ["No", "Yes"]},
        "inputs": inputs,
        "nodes": nodes,
        "gaps": fit_gaps(frame["CustomerID"].to_numpy(float)),
        "churn": fit_churn(draft, inputs),
    }
    statistics["levels"]["MadeCallToRetentionTeam"] = ["No", "Yes"]
    fit_offset(statistics, draft["Churn"], rows=4 * len(frame), seed=seed + 1)
    return statistics


def fit_gaps(ids: Floats) -> dict[str, list[int]]:
    """How far apart neighbouring customer numbers are: frequent gaps and their counts."""
    gap, count = np.unique(np.diff(ids), return_counts=True)
    kept = count >= SMALLEST
    return {"gap": [int(g) for g in gap[kept]], "count": [int(c) for c in count[kept]]}


def _between(known: npt.NDArray[Any], threshold: float) -> float:
    """The shortest number that splits the known values as `threshold` does."""
    upper = int(np.searchsorted(known, threshold, side="right"))
    below, above = float(known[max(upper - 1, 0)]), float(known[min(upper, len(known) - 1)])
    for decimals in range(-2, 7):
        short = round((below + above) / 2, decimals)
        if below <= short < above:
            return int(short) if short == int(short) else short
    return threshold


def _short(value: float) -> float:
    rounded = round(float(value), 3)
    return int(rounded) if rounded == int(rounded) else rounded


def _shorts(values: Iterable[float]) -> list[float]:
    return [_short(value) for value in values]


def main() -> None:
    parser = Parser(description=__doc__.splitlines()[0])
    parser.add_argument("input", type=Path, help="Cell2Cell CSV with the label")
    parser.add_argument("output", type=Path, help="JSON to write")
    options = parser.parse_args()
    text = json.dumps(fit(read(options.input)), separators=(",", ":"))
    options.output.write_text(text + "\n", encoding="utf-8")
    print(f"{options.output}: {len(text) / 1000:.0f} kB")


if __name__ == "__main__":
    main()
