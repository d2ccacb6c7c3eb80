"""What the champions scored, as a Parquet file: one row a customer of every batch after the reference."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow

from churn_drift import schema
from churn_drift.columns import Numbers
from churn_drift.data import arrow


@dataclass(frozen=True)
class Scored:
    """One batch as one model scored it. `labels` are NaN where they have not arrived."""

    batch: str
    version: str
    probabilities: Numbers
    labels: Numbers

    def labelled(self) -> tuple[Numbers, Numbers]:
        """Labels and probabilities of the rows whose label has arrived."""
        known = ~np.isnan(self.labels)
        return self.labels[known], self.probabilities[known]


def write_scores(parts: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Margins rounded to 6 decimals beside the probabilities that were served."""
    columns = ("batch", "version", schema.ID, "margin", "probability", schema.LABEL)
    tables = [
        pyarrow.Table.from_arrays(
            [
                arrow.repeated(part["batch"], len(part["customers"])),
                arrow.repeated(part["version"], len(part["customers"])),
                arrow.of_numpy(part["customers"]),
                arrow.of_numpy(np.round(part["margin"], 6)),
                arrow.of_numpy(part["probability"]),
                arrow.of_numpy(part["label"]),
            ],
            names=columns,
        )
        for part in parts
    ]
    arrow.write(pyarrow.concat_tables(tables), path)


def read_scores(path: Path) -> list[Scored]:
    """The batches in order."""
    table = arrow.read(path)
    names = arrow.codes(table["batch"]).codes
    starts = [0, *(np.flatnonzero(names[1:] != names[:-1]) + 1).tolist(), len(names)] if len(names) else []
    parts = [table.slice(first, after - first) for first, after in pairwise(starts)]
    return [
        Scored(
            batch=part["batch"][0].as_py(),
            version=part["version"][0].as_py(),
            probabilities=arrow.numbers(part["probability"]),
            labels=arrow.numbers(part[schema.LABEL]),
        )
        for part in parts
    ]
