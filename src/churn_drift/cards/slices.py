"""How customers are sliced: by tenure, credit class, market and age. Bands are fixed, levels come from the reference.

Nothing here looks at a tested row before it is placed: which markets get a slice of their own was settled by the
reference window. Every row lies in exactly one slice of each dimension.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from churn_drift import schema
from churn_drift.columns import Codes, Columns

Places = npt.NDArray[np.intp]

OTHERS, UNKNOWN = "others", "unknown"

MARKET_LETTERS = 3
"""ServiceArea begins with its market: NYCBRO917 is NYC."""


@dataclass(frozen=True)
class Bands:
    """A number in bands.

    starts  where each band after the first begins
    unit    what the names say after the numbers
    """

    title: str
    column: str
    starts: tuple[int, ...]
    unit: str

    @property
    def names(self) -> tuple[str, ...]:
        """The bands, lowest first, then the rows without a value.

        >>> Bands("age", "AgeHH1", (30, 40), "years").names
        ('under 30 years', '30 to 39 years', '40 years or more', 'unknown')
        """
        first, last = self.starts[0], self.starts[-1]
        between = [f"{a} to {b - 1} {self.unit}" if b - a > 1 else f"{a} {self.unit}" for a, b in pairwise(self.starts)]
        return (f"under {first} {self.unit}", *between, f"{last} {self.unit} or more", UNKNOWN)

    def places(self, columns: Columns) -> Places:
        """For each row the place of its band in `names`. A 0 that codes "unknown" is unknown, however it was typed."""
        values = columns[self.column]
        if isinstance(values, Codes):
            raise TypeError(f"{self.column} is a number in the schema, but came as Codes")
        unknown = np.isnan(values) | (schema.BY_NAME[self.column].zero_is_missing & (values == 0))
        return np.where(unknown, len(self.starts) + 1, np.digitize(values, self.starts)).astype(np.intp)


@dataclass(frozen=True)
class Levels:
    """A category by the levels that got a slice of their own.

    letters  how many first letters of a value are the level; None: all
    known    those levels, in the order of the slices
    """

    title: str
    column: str
    letters: int | None
    known: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The known levels, then all others, then the rows without a value."""
        return (*self.known, OTHERS, UNKNOWN)

    def places(self, columns: Columns) -> Places:
        """For each row the place of its level in `names`."""
        place = {level: number for number, level in enumerate(self.names)}
        values = _codes(columns, self.column)
        by_code = [place.get(level[: self.letters], len(self.known)) for level in values.levels]
        return np.array([*by_code, len(self.known) + 1], dtype=np.intp)[values.codes]


Dimension = Bands | Levels

TENURE = Bands("tenure", "MonthsInService", (11, 13, 19, 25, 37), "months")
"""Contracts end after a year: churn jumps from month 11 on (DESIGN, 5), so the second year begins with its own band."""
AGE = Bands("age", "AgeHH1", (30, 40, 50, 60), "years")


def dimensions(reference: Columns) -> tuple[Dimension, ...]:
    """The four ways to slice, levels by the rows of the reference window: at most 12 credit classes, 10 markets."""
    return (
        TENURE,
        _levels("credit class", "CreditRating", reference, most=12, letters=None, by_name=True),
        _levels("market", "ServiceArea", reference, most=10, letters=MARKET_LETTERS, by_name=False),
        AGE,
    )


def _levels(title: str, column: str, reference: Columns, *, most: int, letters: int | None, by_name: bool) -> Levels:
    """The largest levels. One that is called like the slices of the rest is part of them."""
    values = _codes(reference, column)
    counts: dict[str, int] = {}
    for level, rows in zip(values.levels, _rows(values), strict=True):
        counts[level[:letters]] = counts.get(level[:letters], 0) + rows
    largest = sorted((-rows, level) for level, rows in counts.items() if rows and level not in (OTHERS, UNKNOWN))[:most]
    known = [level for _, level in largest]
    return Levels(title, column, letters, tuple(sorted(known) if by_name else known))


def _rows(values: Codes) -> Sequence[int]:
    counted: Sequence[int] = np.bincount(values.codes[values.codes >= 0], minlength=len(values.levels)).tolist()
    return counted


def _codes(columns: Columns, name: str) -> Codes:
    values = columns[name]
    if not isinstance(values, Codes):
        raise TypeError(f"{name} is a category in the schema, but came as numbers")
    return values
