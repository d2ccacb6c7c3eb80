"""One typed record as the row of the model's input, in plain Python: `features.Encoder` for one, to the bit.

Made from the declarations that `Encoder` is made from. numpy pays for each of 55 columns by the call, which is right
for a batch and ten times too much for a row.
"""

from array import array
from collections.abc import Mapping
from math import nan
from operator import itemgetter

from churn_drift import schema
from churn_drift.model.features import CATEGORIES, NUMBERS, RATIOS, SUMS, Levels

_NOTHING = dict.fromkeys(column.name for column in schema.RECORD)


class RowEncoder:
    """A record's features, in the order of features.FEATURES. Immutable, safe to share between threads."""

    def __init__(self, levels: Levels) -> None:
        made = (*(total.name for total in SUMS), *(ratio.name for ratio in RATIOS))
        place = {name: index for index, name in enumerate((*schema.NUMBERS, *made))}
        self._raw = itemgetter(*schema.NUMBERS)
        self._sums = [(place[total.first], total.sign, place[total.second]) for total in SUMS]
        self._ratios = [(place[ratio.top], place[ratio.bottom]) for ratio in RATIOS]
        self._numbers = itemgetter(*(place[name] for name in NUMBERS))
        self._categories = itemgetter(*CATEGORIES)
        self._codes = [{level: float(code) for code, level in enumerate(levels[name])} for name in CATEGORIES]

    def __call__(self, record: Mapping[str, float | str | None]) -> tuple[list[float], tuple[str, ...]]:
        """The features as float32 holds them, NaN missing; and the category columns whose value the levels lack.

        What float32 cannot hold is infinite here and missing in `Encoder`'s matrix; `Forest` takes both for missing.
        """
        try:
            values = [nan if value is None else value for value in self._raw(record)]
            levels = self._categories(record)
        except KeyError:
            return self(_NOTHING | dict(record))
        for first, sign, second in self._sums:
            values.append(values[first] + sign * values[second])
        for top, bottom in self._ratios:
            values.append(values[top] / values[bottom] if values[bottom] else nan)
        codes = [known.get(level, nan) for known, level in zip(self._codes, levels, strict=True)]
        return array("f", [*self._numbers(values), *codes]).tolist(), self._unseen(levels, codes)

    @staticmethod
    def _unseen(levels: tuple[str | None, ...], codes: list[float]) -> tuple[str, ...]:
        pairs = zip(CATEGORIES, levels, codes, strict=True)
        return tuple([name for name, level, code in pairs if code != code and level is not None])  # noqa: PLR0124  NaN
