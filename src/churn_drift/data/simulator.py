"""Customers who look and leave like those of the Cell2Cell file, drawn from published statistics only.

A chain of conditional distributions. Each column, in turn, is drawn given its place in the order and the
columns before it: a small regression tree picks the leaf, the leaf holds a histogram, and a Gaussian
latent variable that leans on the earlier columns picks the place inside it. `scripts/fit_simulator.py`
makes the statistics. The same seed gives the same bytes on every machine: no BLAS, no numpy function
with CPU-specific kernels, no sum whose order could vary decides a value.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import expit, ndtr

from churn_drift import schema
from churn_drift.errors import DataError

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.intp]
Draft = dict[str, Floats]
"""Columns drawn so far, as numbers: categories as the place of their level, NaN for missing."""

FORMAT = 1
STATISTICS = Path(__file__).with_name("cell2cell_statistics.json")
FIRST_ID = 3_000_002
CHUNK = 16_384
"""Rows drawn at a time: the working set stays in the cache. It is part of the stream of random numbers."""

DAYS_PER_MONTH = 30.4
"""Turns tenure into days when the age of the handset is measured against it."""
_KEYS = ("source", "smallest_cell", "levels", "inputs", "nodes", "gaps", "churn")


def load_statistics(path: str | Path = STATISTICS) -> dict[str, Any]:
    """What the simulator knows about the customers, as `scripts/fit_simulator.py` wrote it.

    Raises DataError if the file is absent, is not JSON, or is not statistics of this format.
    """
    remedy = "make it with: python scripts/fit_simulator.py cell2cell.csv OUTPUT.json"
    try:
        statistics: dict[str, Any] = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); {remedy}") from error
    except ValueError as error:
        raise DataError(f"{path}: not a JSON file; {remedy}") from error
    found = statistics.get("format") if isinstance(statistics, dict) else None
    if found != FORMAT:
        raise DataError(f"{path}: key 'format' is {found!r}, not {FORMAT}: not simulator statistics; {remedy}")
    for key in _KEYS:
        if key not in statistics:
            raise DataError(f"{path}: key {key!r} is missing; {remedy}")
    return statistics


def simulate(statistics: Mapping[str, Any], *, rows: int, seed: int) -> pd.DataFrame:
    """Customers in order of acquisition, as the raw file writes them: 58 columns, its codes and gaps.

    The composition moves along the order as it does in the file, however many rows are asked for: the
    first row is its first customer, the last its last. Missing numbers are NA, write them with
    `to_csv(index=False, na_rep="NA")`. Raises DataError if fewer than one row is asked for.
    """
    if rows < 1:
        raise DataError(f"rows is {rows}: ask the simulator for at least 1")
    random = np.random.Generator(np.random.PCG64(seed))
    parts: dict[str, list[Floats]] = {name: [] for name in schema.NAMES}
    for draft in drafts(statistics, rows=rows, random=random):
        size = len(draft["Position"])
        draft[schema.ID] = _gaps(statistics["gaps"], random.random(size))
        draft[schema.LABEL] = (random.random(size) < churn_probability(statistics, draft)).astype(np.float64)
        for name, values in parts.items():
            values.append(draft[name])
    columns = {name: np.concatenate(values) for name, values in parts.items()}
    columns[schema.ID] = FIRST_ID + np.cumsum(columns[schema.ID]) - columns[schema.ID][0]
    return _frame(columns, statistics["levels"])


def drafts(statistics: Mapping[str, Any], *, rows: int, random: np.random.Generator) -> Iterator[Draft]:
    """Customers without number and label, chunk by chunk in order of acquisition, helper columns included."""
    nodes = [Node.of(node) for node in statistics["nodes"]]
    for start in range(0, rows, CHUNK):
        position = (np.arange(start, min(start + CHUNK, rows)) + 0.5) / rows
        yield _draw(nodes, statistics["inputs"], position, random)


def churn_probability(statistics: Mapping[str, Any], draft: Mapping[str, Floats]) -> Floats:
    """How likely each customer is to leave, given all drawn columns and the place in the order.

    On the log-odds scale: an offset and a slope that vary along the order, times the sum of small trees.
    """
    model, inputs, position = statistics["churn"], statistics["inputs"], draft["Position"]
    score = np.zeros(len(position))
    for tree in model["trees"]:
        score += _floats(tree["value"])[find_leaves(tree["splits"], inputs, draft)]
    slope = np.interp(position, model["slope_at"], model["slope"])
    return np.asarray(expit(np.interp(position, model["offset_at"], model["offset"]) + slope * score))


@dataclass(frozen=True)
class Node:
    """One link of the chain: how a column is drawn from the columns before it.

    name         the column, or a helper that `COMPLETE` turns into one
    unit, decimals   a drawn whole number times `unit`, rounded, is the value
    missing      (indicator, least): missing where that earlier column is at least so much; or None
    splits       the tree; leaf i of it has `slope[i]`, `shift[i]`, `noise[i]` and its own segments
    weights      earlier columns' normal scores on which the latent variable leans
    ends         upper ends of all segments, at leaf number plus cumulated share; ascending
    score        (values, normal scores): what later columns lean on
    """

    name: str
    unit: float
    decimals: int
    missing: tuple[str, float] | None
    splits: list[list[float]]
    weights: dict[str, float]
    slope: Floats
    shift: Floats
    noise: Floats
    ends: Floats
    low: Floats
    width: Floats
    score: tuple[Floats, Floats]

    @classmethod
    def of(cls, node: Mapping[str, Any]) -> "Node":
        """A node from its JSON; each leaf's customers are `count` by segment."""
        ends = [leaf + np.cumsum(cell["count"]) / sum(cell["count"]) for leaf, cell in enumerate(node["leaves"])]
        for leaf, end in enumerate(ends):
            end[-1] = leaf + 1
        missing = tuple(node["missing"]) if node["missing"] else None
        return cls(
            node["name"],
            node["unit"],
            node["decimals"],
            missing,
            node["splits"],
            node["weights"],
            _floats(node["slope"]),
            _floats(node["shift"]),
            _floats(node["noise"]),
            np.concatenate(ends),
            _floats([value for leaf in node["leaves"] for value in leaf["low"]]),
            _floats([value for leaf in node["leaves"] for value in leaf["width"]]),
            (_floats(node["score"][0]), _floats(node["score"][1])),
        )

    def draw(self, leaf: Ints, lean: Floats, normal: Floats) -> Floats:
        """Whole numbers, one a row: `lean` is the weighted sum of earlier scores, `normal` fresh noise."""
        latent = lean * self.slope[leaf] + self.shift[leaf] + normal * self.noise[leaf]
        place = leaf + np.clip(ndtr(latent), 1e-9, 1 - 1e-9)
        segment = np.searchsorted(self.ends, place, side="right")
        start = np.where(segment > 0, self.ends[segment - 1], 0.0)
        within = (place - start) / (self.ends[segment] - start)
        width = self.width[segment]
        return np.asarray(self.low[segment] + np.minimum(np.floor(within * (width + 1)), width))

    def value(self, drawn: Floats) -> Floats:
        """The drawn whole number in the column's own unit."""
        return np.asarray(np.round(drawn * self.unit, self.decimals) + 0.0)  # + 0.0: no "-0.0" in the file


def find_leaves(splits: list[list[float]], inputs: list[str], draft: Mapping[str, Floats]) -> Ints:
    """The leaf of a tree in which each row ends.

    A split is [input, threshold, yes, no]: yes where the input is at most the threshold, no where it is
    more or missing; a child below zero is leaf -1 - child. No split: everyone is in leaf 0.
    """

    def below(node: int) -> Any:
        if node < 0:
            return np.int16(-1 - node)
        column, threshold, yes, no = splits[node]
        return np.where(draft[inputs[int(column)]] <= threshold, below(int(yes)), below(int(no)))

    return np.asarray(below(0), dtype=np.intp) if splits else np.zeros(len(draft["Position"]), dtype=np.intp)


def _draw(nodes: list[Node], inputs: list[str], position: Floats, random: np.random.Generator) -> Draft:
    draft: Draft = {"Position": position}
    scores: Draft = {}
    for node in nodes:
        leaf = find_leaves(node.splits, inputs, draft)
        lean = np.zeros(len(position))
        for name, weight in node.weights.items():
            lean += weight * scores[name]
        drawn = node.draw(leaf, lean, random.standard_normal(len(position)))
        gone = (
            np.zeros(len(position), dtype=bool) if node.missing is None else draft[node.missing[0]] >= node.missing[1]
        )
        scores[node.name] = np.where(gone, 0.0, np.interp(drawn, *node.score))
        draft[node.name] = np.where(gone, np.nan, node.value(drawn))
        if node.name in COMPLETE:
            draft.update(COMPLETE[node.name](draft))
    return draft


def _equipment(draft: Draft) -> Draft:
    gap, days = draft["EquipmentGap"], DAYS_PER_MONTH * draft["MonthsInService"]
    renewed = np.round(days * (1 + (gap + 100) / 1000))
    return with_ages(draft, np.where(gap >= -60, np.round(days + gap), np.minimum(renewed, np.round(days - 61))))


def with_ages(draft: Mapping[str, Floats], equipment_days: Floats) -> Draft:
    """The handset's age, and the same in months and beside tenure, which the churn model reads."""
    months = equipment_days / 30
    return {
        "CurrentEquipmentDays": equipment_days,
        "EquipmentMonths": months,
        "MonthsBeforeHandset": draft["MonthsInService"] - months,
    }


def _change_in_minutes(draft: Draft) -> Draft:
    minutes, share = draft["MonthlyMinutes"], draft["MinutesChangeShare"]
    change = np.maximum(np.round(share * np.where(minutes > 0, minutes, 1.0)), -minutes)
    return {"PercChangeMinutes": change, "LastMinutes": minutes + change}


COMPLETE: dict[str, Callable[[Draft], Draft]] = {
    "HandsetModels": lambda d: {"HandsetModels": np.minimum(d["HandsetModels"], d["Handsets"])},
    "EquipmentGap": _equipment,
    "AgeHH2": lambda d: {"AgeHH2": np.where(d["AgeHH1"] == 0, 0.0, d["AgeHH2"])},
    "ActiveSubs": lambda d: {"ActiveSubs": np.minimum(d["ActiveSubs"], d["UniqueSubs"])},
    "BillBeyondPlan": lambda d: {"MonthlyRevenue": np.round(d["TotalRecurringCharge"] + d["BillBeyondPlan"], 2)},
    "MinutesChangeShare": _change_in_minutes,
    "PercChangeRevenues": lambda d: {"LastRevenue": d["MonthlyRevenue"] + d["PercChangeRevenues"]},
    "DroppedBlockedExtra": lambda d: {
        "DroppedBlockedCalls": np.round(d["DroppedCalls"] + d["BlockedCalls"] + d["DroppedBlockedExtra"], 1)
    },
    "RetentionCalls": lambda d: {"MadeCallToRetentionTeam": np.minimum(d["RetentionCalls"], 1.0)},
    "RetentionOffersAccepted": lambda d: {
        "RetentionOffersAccepted": np.minimum(d["RetentionOffersAccepted"], d["RetentionCalls"])
    },
}
"""Columns that follow from others, by the node after which they are known: the file's identities."""


def _gaps(gaps: Mapping[str, list[int]], uniform: Floats) -> Floats:
    share = np.cumsum(gaps["count"]) / sum(gaps["count"])
    return _floats(gaps["gap"])[np.minimum(np.searchsorted(share, uniform, side="right"), len(share) - 1)]


def _frame(columns: Mapping[str, Floats], levels: Mapping[str, list[str]]) -> pd.DataFrame:
    return pd.DataFrame({name: _series(columns[name], name, levels.get(name)) for name in schema.NAMES})


def _series(values: Floats, name: str, levels: list[str] | None) -> pd.Series:
    if levels is not None:
        text = np.array([None if level in schema.MISSING else level for level in levels], dtype=object)
        return pd.Series(text[values.astype(np.intp)], dtype="str")
    if schema.BY_NAME[name].decimals:
        return pd.Series(values)
    if np.isnan(values).any():
        return pd.Series(values).astype("Int64")
    return pd.Series(values.astype(np.int64))


def _floats(values: Any) -> Floats:
    return np.asarray(values, dtype=np.float64)
