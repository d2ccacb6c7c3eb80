"""A clean frame as `Columns`, the arrays that drift and model compute on."""

import numpy as np
import pandas as pd

from churn_drift import schema
from churn_drift.columns import Codes, Numbers


def columns_of(frame: pd.DataFrame) -> dict[str, Numbers | Codes]:
    """The record's columns (no id, no label, nothing after the risk), in the schema's order."""
    return {c.name: _codes(frame[c.name]) if c.kind == "category" else _numbers(frame[c.name]) for c in schema.RECORD}


def labels_of(frame: pd.DataFrame) -> Numbers:
    """1.0 churned, 0.0 stayed, NaN where the label has not arrived."""
    return _numbers(frame[schema.LABEL])


def _numbers(values: pd.Series) -> Numbers:
    return values.to_numpy(dtype=np.float64, na_value=np.nan)


def _codes(values: pd.Series) -> Codes:
    codes, levels = pd.factorize(values, sort=True, use_na_sentinel=True)
    return Codes(codes.astype(np.int32), tuple(str(level) for level in levels))
