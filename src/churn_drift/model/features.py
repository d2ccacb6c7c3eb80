"""The model's input matrix, from a batch of raw records. One code path for training and for serving.

Every engineered feature looks at its own row only, so nothing here is fitted but the category levels.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from churn_drift import schema
from churn_drift.columns import Codes, Columns, Numbers, length

Matrix = npt.NDArray[np.float32]
Levels = Mapping[str, tuple[str, ...]]
"""Category column to the levels of the training rows; a level's place is its code."""


@dataclass(frozen=True)
class Linear:
    """first + weight * second + constant, within [low, high]; missing where a part is missing."""

    name: str
    group: str
    first: str
    weight: float = 0.0
    second: str = ""
    constant: float = 0.0
    low: float = -np.inf
    high: float = np.inf


@dataclass(frozen=True)
class Ratio:
    """top / bottom; missing where a part is missing and where bottom is 0."""

    name: str
    group: str
    top: str
    bottom: str


DAYS_PER_MONTH = 30.4375

LINEARS: tuple[Linear, ...] = (
    Linear("LastMinutes", "last", "MonthlyMinutes", 1, "PercChangeMinutes"),
    Linear("LastRevenue", "last", "MonthlyRevenue", 1, "PercChangeRevenues"),
    Linear("EquipmentPastContract", "contract", "CurrentEquipmentDays", constant=-365.0, low=-183.0, high=183.0),
    Linear("EquipmentBeforeService", "equipment", "CurrentEquipmentDays", -DAYS_PER_MONTH, "MonthsInService"),
    Linear("Calls", "", "PeakCallsInOut", 1, "OffPeakCallsInOut"),
    Linear("RevenueOverCharge", "bill", "MonthlyRevenue", -1, "TotalRecurringCharge"),
    Linear("LastRevenueOverCharge", "lastbill", "LastRevenue", -1, "TotalRecurringCharge"),
    Linear("FormerSubs", "account", "UniqueSubs", -1, "ActiveSubs"),
    Linear("AgeGap", "household", "AgeHH1", -1, "AgeHH2"),
)

RATIOS: tuple[Ratio, ...] = (
    Ratio("MinutesChangeShare", "change", "PercChangeMinutes", "MonthlyMinutes"),
    Ratio("RevenueChangeShare", "change", "PercChangeRevenues", "MonthlyRevenue"),
    Ratio("LastRevenuePerLastMinute", "lastbill", "LastRevenue", "LastMinutes"),
    Ratio("LastRevenuePerCharge", "lastbill", "LastRevenue", "TotalRecurringCharge"),
    Ratio("RevenuePerMinute", "bill", "MonthlyRevenue", "MonthlyMinutes"),
    Ratio("RevenuePerCharge", "bill", "MonthlyRevenue", "TotalRecurringCharge"),
    Ratio("ChargePerMinute", "bill", "TotalRecurringCharge", "MonthlyMinutes"),
    Ratio("OverageShare", "bill", "OverageMinutes", "MonthlyMinutes"),
    Ratio("EquipmentShareOfService", "equipment", "CurrentEquipmentDays", "MonthsInService"),
    Ratio("MonthsPerHandset", "equipment", "MonthsInService", "Handsets"),
    Ratio("ModelsPerHandset", "equipment", "HandsetModels", "Handsets"),
    Ratio("DroppedShare", "calls", "DroppedCalls", "Calls"),
    Ratio("BlockedShare", "calls", "BlockedCalls", "Calls"),
    Ratio("UnansweredShare", "calls", "UnansweredCalls", "Calls"),
    Ratio("CareShare", "calls", "CustomerCareCalls", "Calls"),
    Ratio("PeakShare", "mix", "PeakCallsInOut", "Calls"),
    Ratio("OutboundShare", "mix", "OutboundCalls", "Calls"),
    Ratio("InboundPerOutbound", "mix", "InboundCalls", "OutboundCalls"),
    Ratio("ReceivedShare", "mix", "ReceivedCalls", "MonthlyMinutes"),
    Ratio("MinutesPerCall", "mix", "MonthlyMinutes", "Calls"),
    Ratio("WaitingShare", "mix", "CallWaitingCalls", "Calls"),
    Ratio("ThreewayShare", "mix", "ThreewayCalls", "Calls"),
    Ratio("RoamingShare", "mix", "RoamingCalls", "Calls"),
    Ratio("DirectoryShare", "mix", "DirectorAssistedCalls", "Calls"),
    Ratio("ActiveShare", "account", "ActiveSubs", "UniqueSubs"),
    Ratio("RevenuePerSub", "account", "MonthlyRevenue", "ActiveSubs"),
    Ratio("MinutesPerSub", "account", "MonthlyMinutes", "ActiveSubs"),
    Ratio("LastMinutesPerCall", "lastuse", "LastMinutes", "Calls"),
    Ratio("HandsetPricePerRevenue", "price", "HandsetPrice", "MonthlyRevenue"),
    Ratio("ChargePerLastMinute", "lastuse", "TotalRecurringCharge", "LastMinutes"),
)

SERVICE_AREA = "ServiceArea"
MARKET = "Market"
"""The first three letters of ServiceArea, such as NYC of NYCBRO917."""

CATEGORIES = (*schema.CATEGORIES, MARKET)
NUMBERS = (*schema.NUMBERS, *(f.name for f in LINEARS if f.group), *(f.name for f in RATIOS))
FEATURES = (*NUMBERS, *CATEGORIES)
"""The matrix' columns, in order."""


def levels_of(columns: Columns) -> dict[str, tuple[str, ...]]:
    """Category levels that occur in these rows, sorted by name: the same for any order of the rows."""
    return {name: _occurring(_category(columns, name)) for name in CATEGORIES}


def feature_types(levels: Levels) -> list[str]:
    """'q' or 'c' for each of FEATURES. Two levels or fewer are a number: 0 or 1."""
    return ["q"] * len(NUMBERS) + ["c" if len(levels[name]) > 2 else "q" for name in CATEGORIES]


def encode(columns: Columns, levels: Levels) -> Matrix:
    """The model's input, shape (n, len(FEATURES)), float32; NaN is missing.

    A category is its place in `levels`; a value that is not there is missing, like a missing one.
    What float32 cannot hold (only absurd records do that) is missing too. Does not change `columns`.
    """
    return Encoder(levels)(columns)


class Encoder:
    """`encode` for fixed levels, with the look-ups made once: what a server keeps."""

    def __init__(self, levels: Levels) -> None:
        self._codes = {name: {level: code for code, level in enumerate(levels[name])} for name in CATEGORIES}

    def __call__(self, columns: Columns) -> Matrix:
        rows = np.empty((len(FEATURES), length(columns)), dtype=np.float32)
        with np.errstate(all="ignore"):
            rows[: len(NUMBERS)] = _numbers(columns)
        rows[~np.isfinite(rows)] = np.nan
        for place, name in enumerate(CATEGORIES, start=len(NUMBERS)):
            values = _category(columns, name)
            codes = self._codes[name]
            table = np.array([*(codes.get(level, np.nan) for level in values.levels), np.nan], dtype=np.float32)
            rows[place] = table[values.codes]
        return np.ascontiguousarray(rows.T)

    def unseen(self, columns: Columns) -> dict[str, int]:
        """As the module's `unseen`."""
        counts = {}
        for name in schema.CATEGORIES:
            values = _codes(columns, name)
            strange = np.array([*(level not in self._codes[name] for level in values.levels), False])
            counts[name] = int(np.count_nonzero(strange[values.codes]))
        return counts


def unseen(columns: Columns, levels: Levels) -> dict[str, int]:
    """For each category column, how many rows hold a value that the training rows did not have."""
    return Encoder(levels).unseen(columns)


def _numbers(columns: Columns) -> Numbers:
    table = {name: _values(columns, name) for name in schema.NUMBERS}
    for f in LINEARS:
        value = table[f.first] + f.constant
        if f.second:
            value = value + f.weight * table[f.second]
        table[f.name] = value if f.low == -np.inf else np.clip(value, f.low, f.high)
    top = np.stack([table[f.top] for f in RATIOS])
    bottom = np.stack([table[f.bottom] for f in RATIOS])
    ratios = np.divide(top, bottom, out=np.full_like(top, np.nan), where=bottom != 0)
    return np.concatenate([np.stack([table[name] for name in NUMBERS[: -len(RATIOS)]]), ratios])


def _values(columns: Columns, name: str) -> Numbers:
    values = columns[name]
    if isinstance(values, Codes):
        raise TypeError(f"{name} is a number in the schema, but came as Codes")
    return values


def _codes(columns: Columns, name: str) -> Codes:
    values = columns[name]
    if not isinstance(values, Codes):
        raise TypeError(f"{name} is a category in the schema, but came as numbers")
    return values


def _category(columns: Columns, name: str) -> Codes:
    return _market(_codes(columns, SERVICE_AREA)) if name == MARKET else _codes(columns, name)


def _market(areas: Codes) -> Codes:
    place, markets = _markets(areas.levels)
    return Codes(place[areas.codes], markets)


@lru_cache(maxsize=64)
def _markets(areas: tuple[str, ...]) -> tuple[npt.NDArray[np.int32], tuple[str, ...]]:
    markets = tuple(sorted({area[:3] for area in areas}))
    return np.array([*(markets.index(area[:3]) for area in areas), -1], dtype=np.int32), markets


def _occurring(values: Codes) -> tuple[str, ...]:
    present: Sequence[int] = np.unique(values.codes[values.codes >= 0]).tolist()
    return tuple(sorted({values.levels[code] for code in present}))
