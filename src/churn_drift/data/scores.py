"""What the champions scored, as a Parquet file: one row a customer of every batch after the reference."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from churn_drift import schema
from churn_drift.columns import Numbers
from churn_drift.data import io


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
    frames = [
        pd.DataFrame(
            {
                "batch": part["batch"],
                "version": part["version"],
                schema.ID: part["customers"],
                "margin": np.round(part["margin"], 6),
                "probability": part["probability"],
                schema.LABEL: part["label"],
            }
        )
        for part in parts
    ]
    io.write_frame(pd.concat(frames, ignore_index=True), path)


def read_scores(path: Path) -> list[Scored]:
    """The batches in order."""
    frame = io.read_frame(path)
    return [
        Scored(str(batch), str(version), rows["probability"].to_numpy(), rows[schema.LABEL].to_numpy())
        for (batch, version), rows in frame.groupby(["batch", "version"], sort=False)
    ]
