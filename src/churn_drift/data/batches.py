"""A folder of batches and its index: rows by name, in order of arrival."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from churn_drift import schema
from churn_drift.columns import Codes, Numbers, concatenate, take
from churn_drift.data import arrow, files
from churn_drift.errors import DataError

INDEX = "index.json"


@dataclass(frozen=True)
class Rows:
    """Customers as arrays, all of one length.

    customers  CustomerID, int64
    columns    the record
    labels     1.0, 0.0, NaN where the label has not arrived
    """

    customers: npt.NDArray[np.int64]
    columns: dict[str, Numbers | Codes]
    labels: Numbers

    def nothing(self) -> "Rows":
        """The same columns without rows."""
        none = np.zeros(len(self.labels), dtype=bool)
        return Rows(self.customers[none], take(self.columns, none), self.labels[none])

    def labelled(self) -> "Rows":
        """The rows whose label has arrived."""
        known = ~np.isnan(self.labels)
        return self if known.all() else Rows(self.customers[known], take(self.columns, known), self.labels[known])


class BatchFolder:
    """Read-only view of data/batches."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._index: dict[str, Any] = files.read_json(folder / INDEX)
        self._entries = {entry["name"]: entry for entry in self._index["batches"]}
        self.rows = lru_cache(maxsize=None)(self._rows)

    @property
    def names(self) -> tuple[str, ...]:
        """Every batch, oldest first."""
        return tuple(self._entries)

    @property
    def reference(self) -> tuple[str, ...]:
        """The batches the first model is fitted on."""
        return self.names[: self._index["reference_batches"]]

    @property
    def later(self) -> tuple[str, ...]:
        """The batches after the reference."""
        return self.names[self._index["reference_batches"] :]

    @property
    def landed(self) -> tuple[str, ...]:
        """The batches that came after the history, by `churn-drift land`."""
        return tuple(name for name, entry in self._entries.items() if entry["origin"] == "landed")

    @property
    def zero_is_missing(self) -> bool:
        """How the rows were typed (see `preprocess`)."""
        return bool(self._index["zero_is_missing"])

    def sha256(self, name: str) -> str:
        """Digest of a batch's file."""
        return str(self._entries[name]["sha256"])

    def labelled(self, names: Sequence[str]) -> Rows:
        """Labelled rows of several batches, one after another; no rows where none is named."""
        parts = [self.rows(name).labelled() for name in names] or [self.rows(self.names[0]).nothing()]
        return Rows(
            np.concatenate([p.customers for p in parts]),
            concatenate([p.columns for p in parts]),
            np.concatenate([p.labels for p in parts]),
        )

    def require_labels(self, names: Sequence[str]) -> None:
        """Raises DataError naming the first batch and customer whose label is missing."""
        for name in names:
            rows = self.rows(name)
            missing = np.flatnonzero(np.isnan(rows.labels))
            if len(missing):
                raise DataError(
                    f"{self._folder / name}.parquet: row {missing[0] + 1}: Churn: the label of customer "
                    f"{rows.customers[missing[0]]} is missing ({len(missing)} such rows) in a reference batch; "
                    "label the rows or lower split_batches.reference_share"
                )

    def _rows(self, name: str) -> Rows:
        table = arrow.read(self._folder / f"{name}.parquet")
        return Rows(arrow.integers(table[schema.ID]), arrow.columns_of(table), arrow.labels_of(table))
