"""A clean frame as `Columns`, the arrays that drift and model compute on."""

import pandas as pd
import pyarrow

from churn_drift.columns import Codes, Numbers
from churn_drift.data import arrow


def columns_of(frame: pd.DataFrame) -> dict[str, Numbers | Codes]:
    """The record's columns (no id, no label, nothing after the risk), in the schema's order."""
    return arrow.columns_of(pyarrow.Table.from_pandas(frame, preserve_index=False))


def labels_of(frame: pd.DataFrame) -> Numbers:
    """1.0 churned, 0.0 stayed, NaN where the label has not arrived."""
    return arrow.labels_of(pyarrow.Table.from_pandas(frame, preserve_index=False))
