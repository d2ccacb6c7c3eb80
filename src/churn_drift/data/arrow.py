"""Parquet as `Columns`, without pandas: what the stages after split_batches read and write."""

from pathlib import Path

import numpy as np
import pyarrow
from pyarrow import compute, parquet

from churn_drift import schema
from churn_drift.columns import Codes, Numbers
from churn_drift.data import files
from churn_drift.errors import PipelineError


def read(path: Path) -> pyarrow.Table:
    """A Parquet file that a stage wrote. Raises PipelineError naming the command that makes it."""
    if not path.exists():
        raise PipelineError(f"{path}: not there; `dvc repro` makes it")
    return parquet.read_table(path, use_threads=False)


def write(table: pyarrow.Table, path: Path) -> None:
    """Parquet, the same bytes for the same table."""
    files.replace(path, lambda stream: parquet.write_table(table, stream, compression="zstd"))


def columns_of(table: pyarrow.Table) -> dict[str, Numbers | Codes]:
    """The record's columns (no id, no label, nothing after the risk), in the schema's order."""
    return {c.name: codes(table[c.name]) if c.kind == "category" else numbers(table[c.name]) for c in schema.RECORD}


def labels_of(table: pyarrow.Table) -> Numbers:
    """1.0 churned, 0.0 stayed, NaN where the label has not arrived."""
    return numbers(table[schema.LABEL])


def numbers(values: pyarrow.ChunkedArray) -> Numbers:
    """float64, NaN for missing."""
    found: Numbers = compute.cast(values, pyarrow.float64()).to_numpy()
    return found


def codes(values: pyarrow.ChunkedArray) -> Codes:
    """Codes by the levels that occur, sorted."""
    encoded = compute.cast(values, pyarrow.string()).combine_chunks().dictionary_encode()
    levels = tuple(encoded.dictionary.to_pylist())
    places = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int32)
    ordered = tuple(sorted(levels))
    return Codes(Codes(places, levels).recode(ordered), ordered)
