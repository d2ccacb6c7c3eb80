"""A batch of customers as plain arrays: what drift, model and serving compute on.

Frames stay in `data`; everything above it takes `Columns`, so that a Lambda or a server needs numpy only.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Codes:
    """A categorical column: `levels[codes[i]]` is row i's value, -1 is missing.

    codes   shape (n,), int32
    levels  distinct values, in any order
    """

    codes: npt.NDArray[np.int32]
    levels: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.codes)

    @classmethod
    def of(cls, values: Sequence[str | None]) -> "Codes":
        """Encode values, levels sorted; None is missing.

        >>> Codes.of(["b", None, "a"]).codes.tolist()
        [1, -1, 0]
        """
        levels = tuple(sorted({value for value in values if value is not None}))
        place = {level: code for code, level in enumerate(levels)}
        return cls(np.array([-1 if v is None else place[v] for v in values], dtype=np.int32), levels)

    def recode(self, levels: Sequence[str], *, unseen: int = -1) -> npt.NDArray[np.int32]:
        """Codes by other levels; a value that is not among them becomes `unseen`, a missing one stays -1.

        >>> Codes.of(["b", None, "a"]).recode(["a", "c"], unseen=-2).tolist()
        [-2, -1, 0]
        """
        place = {level: code for code, level in enumerate(levels)}
        table = np.array([*(place.get(level, unseen) for level in self.levels), -1], dtype=np.int32)
        return table[self.codes]

    def take(self, rows: npt.NDArray[np.intp] | npt.NDArray[np.bool_]) -> "Codes":
        """The same column for some rows."""
        return Codes(self.codes[rows], self.levels)


Columns = Mapping[str, Numbers | Codes]
"""Column name to values: float64 with NaN for missing, or `Codes`. All of one length."""


def length(columns: Columns) -> int:
    """Number of rows."""
    return len(next(iter(columns.values()), ()))


def take(columns: Columns, rows: npt.NDArray[np.intp] | npt.NDArray[np.bool_]) -> dict[str, Numbers | Codes]:
    """Some rows of every column."""
    return {name: v.take(rows) if isinstance(v, Codes) else v[rows] for name, v in columns.items()}


def concatenate(parts: Sequence[Columns]) -> dict[str, Numbers | Codes]:
    """Rows of several batches, one after another; levels are united in order of first appearance."""
    return {name: _join([part[name] for part in parts]) for name in parts[0]}


def _join(values: list[Numbers | Codes]) -> Numbers | Codes:
    if isinstance(values[0], Codes):
        codes = [v for v in values if isinstance(v, Codes)]
        levels = tuple(dict.fromkeys(level for v in codes for level in v.levels))
        return Codes(np.concatenate([v.recode(levels) for v in codes]), levels)
    return np.concatenate([v for v in values if not isinstance(v, Codes)])
