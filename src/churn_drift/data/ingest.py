"""Raw customers: simulated from statistics, or the user's own Cell2Cell file."""

from dataclasses import dataclass

import pandas as pd

from churn_drift import schema
from churn_drift.config import Ingest
from churn_drift.data import io
from churn_drift.data.preprocess import check_columns, preprocess
from churn_drift.data.simulator import load_statistics, simulate
from churn_drift.errors import DataError


@dataclass(frozen=True)
class Ingested:
    """Raw text cells in the schema's column order, and where they came from."""

    frame: pd.DataFrame
    simulated: bool


def ingest(settings: Ingest) -> Ingested:
    """The customers that params.yaml names. Raises DataError when a file is not the schema."""
    if settings.source.endswith(".json"):
        return Ingested(
            simulate(load_statistics(settings.source), rows=settings.rows, seed=settings.seed), simulated=True
        )
    return Ingested(read_customers(settings.source), simulated=False)


def read_customers(source: str) -> pd.DataFrame:
    """A whole raw file, validated cell by cell. Raises DataError with row, column, value and remedy."""
    if source.endswith(".json"):
        raise DataError(f"{source}: not a CSV of customers")
    raw = io.read_raw(source)
    check_columns(raw.columns, source=source)
    preprocess(raw, source=source, zero_is_missing=False)
    return raw[list(schema.NAMES)]
