"""Logged customers as the raw records of the next batch: the very values that were scored, as a CSV writes them."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow
from pyarrow import compute

from churn_drift import schema
from churn_drift.capture.store import united
from churn_drift.columns import Numbers
from churn_drift.data import arrow
from churn_drift.errors import DataError

_MISSING = "NA"
_WHOLE = "whole"
_INPUTS = tuple(column.name for column in schema.RECORD)
_NO_CELL = "[\x00\r]"
"""What a CSV does not give back as it was."""


@dataclass(frozen=True)
class NextBatch:
    """Raw records, one a customer, and how many rows of the log are none of them.

    cells      every column of the schema but the label, as text; those that no model reads are missing
    scored     rows of the log
    anonymous  rows without CustomerID
    repeated   rows of customers who were scored again later
    known      customers who have arrived before
    odd        customers with a text (of no known category) that holds NUL or carriage return: no CSV can carry it
    """

    cells: pd.DataFrame
    scored: int
    anonymous: int
    repeated: int
    known: int
    odd: int


def next_batch(parts: Sequence[pyarrow.Table], *, known: Collection[int], source: str) -> NextBatch:
    """The customers of a log (`store.parts`) who are new, each as scored last.

    known   customers who have arrived before
    source  of the log, for errors

    Raises DataError where the log was not allowed to store what a model reads of them.
    """
    rows = united([_marked(part) for part in parts])
    if rows.num_rows and schema.ID not in rows.column_names:
        raise _unstored([schema.ID], source)
    named = rows.filter(compute.is_valid(rows[schema.ID]))
    latest = named.take(pyarrow.array(_last_of_each(arrow.integers(named[schema.ID]))))
    new = latest.filter(compute.invert(compute.is_in(latest[schema.ID], pyarrow.array(list(known), pyarrow.int64()))))
    if new.num_rows and not compute.all(new[_WHOLE]).as_py():
        raise _unstored([n for n in _INPUTS if any(n not in part.column_names for part in parts)], source)
    cells = _cells(new)
    odd = cells[list(schema.CATEGORIES)].apply(lambda texts: texts.str.contains(_NO_CELL)).any(axis="columns")
    return NextBatch(
        cells=cells[~odd].reset_index(drop=True),
        scored=rows.num_rows,
        anonymous=rows.num_rows - named.num_rows,
        repeated=named.num_rows - latest.num_rows,
        known=latest.num_rows - new.num_rows,
        odd=int(odd.sum()),
    )


def _marked(part: pyarrow.Table) -> pyarrow.Table:
    """With a column that tells whether its file may store all that a model reads: null means missing only there."""
    whole = set(_INPUTS) <= set(part.column_names)
    return part.append_column(_WHOLE, pyarrow.array([whole] * part.num_rows, pyarrow.bool_()))


def _last_of_each(customers: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """The place of the last row of each customer, in the order of the rows."""
    _, from_end = np.unique(customers[::-1], return_index=True)
    return np.sort(len(customers) - 1 - from_end)


def _cells(rows: pyarrow.Table) -> pd.DataFrame:
    cells = {name: [_MISSING] * rows.num_rows for name in schema.NAMES if name != schema.LABEL}
    cells[schema.ID] = list(map(str, rows[schema.ID].to_pylist()))
    if rows.num_rows:
        for name in schema.NUMBERS:
            cells[name] = _texts(arrow.numbers(rows[name]))
        for name in schema.CATEGORIES:
            cells[name] = compute.fill_null(rows[name], _MISSING).to_pylist()
    return pd.DataFrame(cells, dtype="str")


def _texts(numbers: Numbers) -> list[str]:
    """The shortest texts that are these numbers again, whole ones without a point; missing where NaN.

    >>> _texts(np.array([12.0, 0.1, -0.0, np.nan]))
    ['12', '0.1', '-0.0', 'NA']
    """
    return [_MISSING if n != n else _text(n) for n in numbers.tolist()]  # noqa: PLR0124  NaN


def _text(number: float) -> str:
    text = repr(number)
    return text.removesuffix(".0") if number else text


def _unstored(columns: Sequence[str], source: str) -> DataError:
    return DataError(
        f"{source}: the log may not store {', '.join(columns[:5])}{', …' * (len(columns) > 5)} of these customers, "
        "and a batch without them would look like drift; set SERVE_LOG_FIELDS=all for the customers to come, and give "
        "--since to leave out those before"
    )
