"""What one answered request leaves in the log, and the rows that it becomes.

A row: request_id, place (in its request), time (UTC), model_version, probability, decision; shadow_version and
shadow_probability, what a challenger that scored beside said, null where none did; then CustomerID and the typed
record in the order of schema.RECORD (numbers float64, categories text, null for missing), of which a deployment
chooses what may be stored.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC
from itertools import chain, repeat
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow
from pyarrow import compute

from churn_drift import schema
from churn_drift.capture.fields import FIELDS
from churn_drift.columns import Numbers

Record = Mapping[str, float | str | None]
"""Every column of schema.RECORD to its typed value; None or an absent column is missing."""

Second = tuple[str, Sequence[float] | Numbers]
"""What a challenger said of an exchange: its version, and a probability for each customer."""

_LARGEST_ID = 2**53 - 1


@dataclass(frozen=True, slots=True)
class Exchange:
    """One answered request; whoever made it changes none of it afterwards.

    at           unix seconds
    version      of the model that answered
    customers    CustomerID of each, None where the record had none; None where none of them had
    records      typed records, or a table that has the columns of schema.RECORD (null or NaN is missing)
    probability, decision   of each customer
    first        place in the request of the first customer: exchanges can be cut
    """

    request_id: str
    at: float
    version: str
    customers: Sequence[int | None] | npt.NDArray[np.int64] | None
    records: Sequence[Record] | pyarrow.Table
    probability: Sequence[float] | Numbers
    decision: Sequence[bool] | npt.NDArray[np.bool_]
    first: int = 0

    def __len__(self) -> int:
        """Customers."""
        return len(self.records)


def _kind(column: schema.Column) -> pyarrow.DataType:
    return pyarrow.float64() if column.kind == "number" else pyarrow.string()


_INPUTS = pyarrow.schema([(column.name, _kind(column)) for column in schema.RECORD])
_RECORD = pyarrow.struct(list(_INPUTS))
_HEAD = pyarrow.schema(
    [
        ("request_id", pyarrow.string()),
        ("place", pyarrow.int32()),
        ("time", pyarrow.timestamp("us", tz=str(UTC))),
        ("model_version", pyarrow.string()),
        ("probability", pyarrow.float64()),
        ("decision", pyarrow.bool_()),
        ("shadow_version", pyarrow.string()),
        ("shadow_probability", pyarrow.float64()),
    ]
)
_ID = pyarrow.field(schema.ID, pyarrow.int64())

FORM = pyarrow.schema([*_HEAD, _ID, *_INPUTS])
"""A row whose every field may be stored."""
_OUTER = pyarrow.struct([*_HEAD, _ID])


def stored_columns(fields: frozenset[str]) -> list[str]:
    """The columns of a log that may store these fields, in order."""
    return [name for name in FORM.names if name in fields or name not in FIELDS]


def customer_of(value: object) -> int | None:
    """The customer number that a JSON value means; None where it means none (it is no part of what is scored).

    >>> [customer_of(value) for value in (3000010, 3000010.0, "3000010", "x1", -1, True, None)]
    [3000010, 3000010, 3000010, None, None, None, None]
    """
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 20:
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= _LARGEST_ID:
        return None
    return int(value) if value == int(value) else None


def table_of(pairs: Sequence[tuple[Exchange, Second | None]]) -> pyarrow.Table:
    """The rows of some exchanges, with every field, and what a challenger said of each.

    Raises ValueError, TypeError, KeyError or OverflowError (pyarrow's are such) on what is no typed record.
    """
    loose = [pair for pair in pairs if not isinstance(pair[0].records, pyarrow.Table)]
    parts = [_rows(loose, _inputs_of_records([exchange.records for exchange, _ in loose]))] if loose else []
    whole = [pair for pair in pairs if isinstance(pair[0].records, pyarrow.Table)]
    parts += [_rows([pair], _inputs_of_table(pair[0].records)) for pair in whole]
    return pyarrow.concat_tables(parts) if parts else FORM.empty_table()


def cut(exchanges: Sequence[Exchange], *, rows: int) -> Iterator[list[Exchange]]:
    """The same customers in the same order, in parts: single ones together, those of a table some `rows` at a time."""
    loose = [exchange for exchange in exchanges if not isinstance(exchange.records, pyarrow.Table)]
    if loose:
        yield loose
    for exchange in exchanges:
        if isinstance(exchange.records, pyarrow.Table):
            yield from ([_slice(exchange, start, rows)] for start in range(0, len(exchange), rows))


def _slice(exchange: Exchange, start: int, rows: int) -> Exchange:
    these = slice(start, start + rows)
    return replace(
        exchange,
        customers=None if exchange.customers is None else exchange.customers[these],
        records=exchange.records[these],
        probability=exchange.probability[these],
        decision=exchange.decision[these],
        first=exchange.first + start,
    )


def _rows(pairs: Sequence[tuple[Exchange, Second | None]], inputs: Sequence[Any]) -> pyarrow.Table:
    sizes = [len(exchange) for exchange, _ in pairs]

    def each(values: Sequence[Any]) -> list[Any]:
        return list(chain.from_iterable(map(repeat, values, sizes)))

    def joined(values: Sequence[Any]) -> list[Any]:
        return list(chain.from_iterable(value.tolist() if isinstance(value, np.ndarray) else value for value in values))

    head = {
        "request_id": each([exchange.request_id for exchange, _ in pairs]),
        "place": [place for e, _ in pairs for place in range(e.first, e.first + len(e))],
        "time": each([round(exchange.at * 1_000_000) for exchange, _ in pairs]),
        "model_version": each([exchange.version for exchange, _ in pairs]),
        "probability": joined([exchange.probability for exchange, _ in pairs]),
        "decision": joined([exchange.decision for exchange, _ in pairs]),
        "shadow_version": each([second and second[0] for _, second in pairs]),
        "shadow_probability": joined([second[1] if second else [None] * len(e) for e, second in pairs]),
        schema.ID: joined([[None] * len(e) if e.customers is None else e.customers for e, _ in pairs]),
    }
    # One array of structs, flattened, takes a third of the time of an array for each column.
    arrays = pyarrow.array(list(zip(*head.values(), strict=True)), _OUTER).flatten()
    return pyarrow.Table.from_arrays([*arrays, *inputs], schema=FORM)


def _inputs_of_records(groups: Sequence[Sequence[Record]]) -> list[pyarrow.Array]:
    return list(pyarrow.array(list(chain.from_iterable(groups)), _RECORD).flatten())


def _inputs_of_table(table: pyarrow.Table) -> list[pyarrow.ChunkedArray]:
    cast = table.select(_INPUTS.names).cast(_INPUTS)
    return [
        _without_nan(cast[field.name]) if field.type == pyarrow.float64() else cast[field.name] for field in _INPUTS
    ]


def _without_nan(values: pyarrow.ChunkedArray) -> pyarrow.ChunkedArray:
    odd = compute.is_nan(values)
    return compute.if_else(odd, None, values) if compute.any(odd).as_py() else values
