"""Parquet as `Columns`, without pandas: what the stages after split_batches read and write.

Arrow imports pandas by itself where it converts from or to numpy or Python values, which takes longer than most stages
run; so values cross as buffers.
"""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
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
    with parquet.ParquetFile(path) as file:  # parquet.read_table would import pandas
        return file.read(use_threads=False)


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
    found, present = _numpy(compute.cast(values, pyarrow.float64()).combine_chunks(), np.float64)
    return np.where(present, found, np.nan)


def integers(values: pyarrow.ChunkedArray) -> npt.NDArray[np.int64]:
    """int64, of a column without missing values."""
    return _numpy(compute.cast(values, pyarrow.int64()).combine_chunks(), np.int64)[0]


def codes(values: pyarrow.ChunkedArray) -> Codes:
    """Codes by the levels that occur, sorted."""
    encoded = compute.cast(values, pyarrow.string()).combine_chunks().dictionary_encode()
    levels = tuple(encoded.dictionary.to_pylist())
    places, present = _numpy(encoded.indices, np.int32)
    ordered = tuple(sorted(levels))
    return Codes(Codes(np.where(present, places, np.int32(-1)), levels).recode(ordered), ordered)


def of_numpy(values: npt.NDArray[Any]) -> pyarrow.Array:
    """The values as they are, NaN included."""
    content = np.ascontiguousarray(values)
    kind = pyarrow.from_numpy_dtype(content.dtype)
    return pyarrow.Array.from_buffers(kind, len(content), [None, pyarrow.py_buffer(content)])


def repeated(text: str, rows: int) -> pyarrow.Array:
    """The same text in every row."""
    content = text.encode()
    ends = np.arange(rows + 1, dtype=np.int32) * len(content)
    return pyarrow.StringArray.from_buffers(rows, pyarrow.py_buffer(ends), pyarrow.py_buffer(content * rows))


def _numpy(array: pyarrow.Array, kind: type[Any]) -> tuple[npt.NDArray[Any], npt.NDArray[np.bool_]]:
    """The values, and which of them are present: Arrow's own two buffers (its `to_numpy` would import pandas)."""
    validity, data = array.buffers()
    rows = slice(array.offset, array.offset + len(array))
    if not len(array):
        return np.empty(0, kind), np.empty(0, np.bool_)
    values = np.frombuffer(data, kind)[rows]
    if validity is None:
        return values, np.ones(len(array), np.bool_)
    return values, np.unpackbits(np.frombuffer(validity, np.uint8), bitorder="little")[rows].astype(np.bool_)
