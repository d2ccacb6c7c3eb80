"""Why a customer's risk is what it is: exact TreeSHAP contributions, in the terms of the raw columns."""

import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

import xgboost

from churn_drift import schema
from churn_drift.model.features import ENGINEERED, FEATURES, RATIOS, SUMS, Levels, encode, feature_types
from churn_drift.model.inference import DECIMALS, columns_of_records
from churn_drift.schema import Column

Record = Mapping[str, float | str | None]

_PARTS = {total.name: (total.first, total.second) for total in SUMS} | {
    ratio.name: (ratio.top, ratio.bottom) for ratio in RATIOS
}
_SHOWN = 60
"""Characters of a level that a text quotes."""


@dataclass(frozen=True)
class Contribution:
    """What one feature adds to a customer's risk.

    feature       a column of the record; or a group of made features (features.ENGINEERED), taken together
    value         the column's own; None where it is missing, and for a group
    contribution  log odds of the trees, before calibration, 6 decimals; above 0 it raises the risk
    text          the same in words
    """

    feature: str
    value: float | str | None
    contribution: float
    text: str


class Explainer:
    """The contributions of a booster's features. Immutable, safe to share between threads.

    bias   log odds before anything is known of a customer: with all contributions it sums up to the margin
    """

    def __init__(self, model: xgboost.Booster, levels: Levels) -> None:
        self._model = model
        self._levels = levels
        self.bias = self._shares({})[-1]

    def __call__(self, record: Record, *, top: int) -> list[Contribution]:
        """The `top` largest contributions, largest first. A made feature counts for its group."""
        sums: dict[str, float] = defaultdict(float)
        for feature, share in zip(FEATURES, self._shares(record), strict=False):  # the last share is the bias
            sums[ENGINEERED.get(feature, feature)] += share
        largest = sorted(sums, key=lambda name: -abs(sums[name]))[:top]
        return [self._contribution(name, record, round(sums[name], DECIMALS)) for name in largest]

    def _shares(self, record: Record) -> list[float]:
        data = xgboost.DMatrix(
            encode(columns_of_records([record]), self._levels),
            feature_names=FEATURES,
            feature_types=feature_types(self._levels),
            enable_categorical=True,
            nthread=1,
        )
        shares: list[float] = self._model.predict(data, pred_contribs=True)[0].tolist()
        return shares

    def _contribution(self, name: str, record: Record, contribution: float) -> Contribution:
        column = schema.BY_NAME.get(name)
        if column is None:
            told = f"{name} ({'; '.join(self._told(schema.BY_NAME[raw], record) for raw in sources(name))})"
        else:
            told = self._told(column, record)
        effect = "raises" if contribution > 0 else "lowers" if contribution < 0 else "does not change"
        return Contribution(name, record.get(name), contribution, f"{told} {effect} the churn risk")

    def _told(self, column: Column, record: Record) -> str:
        value = record.get(column.name)
        about = re.split(r"; | \(", column.description)[0]  # without its notes on the file
        if value is None:
            return f"{about}: missing"
        if not isinstance(value, str):
            unit = column.unit.removesuffix("s") if value == 1 else column.unit
            return f"{about}: {value:.15g} {unit}".rstrip()
        shown = value if len(value) <= _SHOWN else f"{value[:_SHOWN]}…"
        return f"{about}: {shown}{'' if value in self._levels[column.name] else ' (new to the model)'}"


def sources(group: str) -> tuple[str, ...]:
    """The raw columns that a group of made features comes from.

    >>> sources("last bill")[:3]
    ('MonthlyRevenue', 'PercChangeRevenues', 'TotalRecurringCharge')
    """
    made = [name for name, own in ENGINEERED.items() if own == group]
    return tuple(dict.fromkeys(raw for name in made for raw in _raw(name)))


def _raw(name: str) -> list[str]:
    return [raw for part in _PARTS[name] for raw in _raw(part)] if name in _PARTS else [name]
