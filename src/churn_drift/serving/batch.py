"""Many customers as CSV or Parquet: read in parts, typed as the training rows were, answered in kind and order."""

import codecs
import csv
import io
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import IO

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow
from pyarrow import compute, parquet, types
from pyarrow import csv as csv_format

from churn_drift import schema
from churn_drift.columns import Numbers
from churn_drift.data import arrow
from churn_drift.data.preprocess import typed_cells
from churn_drift.errors import CellError
from churn_drift.serving.contract import LONGEST, Fault
from churn_drift.serving.model import ServedModel
from churn_drift.serving.problems import Problem, invalid, problem

CSV, PARQUET = "text/csv", "application/vnd.apache.parquet"
MEDIA_TYPES = {CSV: CSV, PARQUET: PARQUET, "application/x-parquet": PARQUET}
"""What a request may call its body, to what an answer is called."""

_READ = (schema.ID, *(column.name for column in schema.RECORD))
"""What is read of a batch; its other columns are passed over, as those of a record are."""

_BLOCK = 2**21
_PART = 10_000
_LONGEST_CELL = 4 * LONGEST
"""Bytes; of a text no longer than a category's may be UTF-8 has no more."""
_LONGEST_HEADER = 10_000
_END_OF_ROW = re.compile(rb"\r\n|\n|\r")
_REMEDY = "send columns of the schema in /openapi.json, each once"


@dataclass(frozen=True)
class Answers:
    """A batch, scored. Arrays of shape (rows,), in the order of the request.

    customers  CustomerID; None where the batch has no such column
    unseen     category column to rows whose value the model never saw
    records    the typed customers, a column each of schema.RECORD
    """

    customers: npt.NDArray[np.int64] | None
    probability: Numbers
    decision: npt.NDArray[np.bool_]
    unseen: Counter[str]
    records: pyarrow.Table


def score(stream: IO[bytes], *, kind: str, model: ServedModel, most: int) -> Answers:
    """The answers to a CSV (with a header) or a Parquet file of raw customers.

    kind  CSV or PARQUET
    most  customers that are taken

    Raises Problem: malformed where it cannot be read to its end, too large, or invalid, naming the first wrong row of
    every wrong column.
    """
    parts = _csv_parts(stream) if kind == CSV else _parquet_parts(stream, most=most)
    scored, tables, faults, rows = [], [], dict[str, Fault](), 0
    for cells in parts:
        typed = _typed(cells, faults, first=rows, zero_is_missing=model.zero_is_missing)
        rows += len(cells)
        if rows > most:
            raise _too_many(most)
        if not faults:
            tables.append(_whole(typed, len(cells)))
            scored.append((typed.get(schema.ID), model.score_columns(arrow.columns_of(tables[-1]))))
    if faults:
        raise invalid([faults[name] for name in schema.NAMES if name in faults])
    if not rows:
        raise problem("malformed", "the batch holds no customers; send at least one row below the header")
    customers = [numbers.to_numpy() for numbers, _ in scored if numbers is not None]
    return Answers(
        customers=np.concatenate(customers) if customers else None,
        probability=np.concatenate([scores.probability for _, scores in scored]),
        decision=np.concatenate([scores.decision for _, scores in scored]),
        unseen=sum((Counter(scores.unseen) for _, scores in scored), Counter[str]()),
        records=pyarrow.concat_tables(tables),
    )


def to_bytes(answers: Answers, *, kind: str) -> bytes:
    """The answers as CSV or Parquet: CustomerID where it was given, probability, decision."""
    return _to_csv(answers) if kind == CSV else _to_parquet(answers)


def _to_csv(answers: Answers) -> bytes:
    decided = np.where(answers.decision, "true", "false").tolist()
    rows = [f"{p:.6f},{d}\n" for p, d in zip(answers.probability.tolist(), decided, strict=True)]
    if answers.customers is None:
        return "".join(["probability,decision\n", *rows]).encode()
    given = [f"{c},{row}" for c, row in zip(answers.customers.tolist(), rows, strict=True)]
    return "".join([f"{schema.ID},probability,decision\n", *given]).encode()


def _to_parquet(answers: Answers) -> bytes:
    given = {} if answers.customers is None else {schema.ID: arrow.of_numpy(answers.customers)}
    decided = compute.cast(arrow.of_numpy(answers.decision.astype(np.uint8)), pyarrow.bool_())
    table = pyarrow.table({**given, "probability": arrow.of_numpy(answers.probability), "decision": decided})
    sink = pyarrow.BufferOutputStream()
    parquet.write_table(table, sink, compression="zstd")
    return bytes(sink.getvalue())


def _typed(
    cells: pd.DataFrame, faults: dict[str, Fault], *, first: int, zero_is_missing: bool
) -> dict[str, pyarrow.Array]:
    """The columns that hold no fault, texts in dictionaries; the first fault of each other one is added to `faults`.

    first  customers before these
    """
    typed = {}
    for name in cells.columns:
        column = schema.BY_NAME[name]
        row: int | None
        try:
            typed[name] = _array(typed_cells(cells[name], column, source="body", zero_is_missing=zero_is_missing))
        except CellError as error:
            row, fault = error.row, error.fault
        else:
            row = _first_long(typed[name]) if column.kind == "category" else None
            fault = f"a text is longer than {LONGEST} characters; shorten it or leave it empty"
        if row is not None:
            faults.setdefault(name, Fault(f"/{first + row}/{name}", f"row {first + row + 2}: {fault}"))
    return typed


def _array(typed: pd.Series) -> pyarrow.Array:
    cells = pyarrow.array(typed, from_pandas=True)
    return cells if types.is_primitive(cells.type) else compute.cast(cells, pyarrow.string()).dictionary_encode()


def _first_long(texts: pyarrow.DictionaryArray) -> int | None:
    """The first row whose text is longer than a category's may be."""
    long = compute.greater(compute.utf8_length(texts.dictionary), LONGEST)
    found = compute.index(compute.take(long, texts.indices), True).as_py() if compute.any(long).as_py() else -1
    return None if found < 0 else int(found)


def _whole(typed: dict[str, pyarrow.Array], rows: int) -> pyarrow.Table:
    """The record's columns; one that the batch does not have is missing in every row."""
    kinds = {"category": pyarrow.dictionary(pyarrow.int32(), pyarrow.string()), "number": pyarrow.float64()}
    return pyarrow.table(
        {
            column.name: typed[column.name] if column.name in typed else pyarrow.nulls(rows, kinds[column.kind])
            for column in schema.RECORD
        }
    )


def _csv_parts(stream: IO[bytes]) -> Iterator[pd.DataFrame]:
    """The rows as text cells, a few mebibytes at a time; by the same reader and rules as `data.io.read_raw`."""
    _check_text(stream)
    names = _header(stream)
    _check_names(names)
    if not stream.read(1):
        return
    stream.seek(-1, io.SEEK_CUR)
    faulty: list[csv_format.InvalidRow] = []

    def refuse(row: csv_format.InvalidRow) -> str:
        faulty.append(row)
        return "error"

    try:
        yield from (
            part.to_pandas()
            for part in csv_format.open_csv(
                stream,
                csv_format.ReadOptions(column_names=names, use_threads=False, block_size=_BLOCK),
                csv_format.ParseOptions(newlines_in_values=True, ignore_empty_lines=False, invalid_row_handler=refuse),
                csv_format.ConvertOptions(
                    column_types=dict.fromkeys(names, pyarrow.string()),
                    strings_can_be_null=False,
                    include_columns=[name for name in names if name in _READ],
                ),
            )
        )
    except pyarrow.ArrowInvalid as error:
        raise problem("malformed", _told(error, faulty)) from None


def _told(error: pyarrow.ArrowInvalid, faulty: list[csv_format.InvalidRow]) -> str:
    if not faulty:
        return f"the body is no CSV: {' '.join(str(error).split())}"
    row = faulty[0]
    return (
        f"row {row.number + 1}: {row.actual_columns} cells, but the header has {row.expected_columns}; is the file cut?"
    )


def _check_text(stream: IO[bytes]) -> None:
    """What Arrow passes without a word: NUL bytes, a quoted cell that never ends. Empty last lines are cut off."""
    quotes = size = 0
    while piece := stream.read(_BLOCK):
        if b"\0" in piece:
            raise problem("malformed", "the body holds a NUL byte, so it is damaged or no text")
        quotes += piece.count(b'"')
        kept = piece.rstrip(b"\r\n")
        size = stream.tell() - len(piece) + len(kept) if kept else size
    if quotes % 2:
        raise problem("malformed", "a quoted cell never ends; is the file cut?")
    stream.truncate(size)
    stream.seek(0)


def _header(stream: IO[bytes]) -> list[str]:
    """The names in the first row; the stream stands below it."""
    start = stream.read(_LONGEST_HEADER)
    end = _END_OF_ROW.search(start)
    stream.seek(end.end() if end else len(start))
    try:
        return next(csv.reader([start[: end.start() if end else None].removeprefix(codecs.BOM_UTF8).decode()]), [])
    except (UnicodeDecodeError, csv.Error):
        raise problem("malformed", "the header is no UTF-8 text; send a CSV in UTF-8") from None


def _check_names(names: Sequence[str]) -> None:
    """Every name a column of the schema, once; which of them a batch has is free, as for a record."""
    unknown = [name for name in names if name not in schema.BY_NAME]
    if unknown:
        raise invalid([Fault("", f"{name[:60]!r} is no column of a customer; {_REMEDY}") for name in unknown])
    repeated = sorted(name for name, times in Counter(names).items() if times > 1)
    if repeated:
        raise invalid([Fault("", f"{name!r} stands twice in the header; {_REMEDY}") for name in repeated])
    if not any(column.name in names for column in schema.RECORD):
        raise problem("malformed", f"the batch has none of a customer's columns; {_REMEDY}")


def _parquet_parts(stream: IO[bytes], *, most: int) -> Iterator[pd.DataFrame]:
    """The rows as text cells, in parts; texts stay in their dictionaries, so that a small file cannot swell."""
    try:
        with parquet.ParquetFile(stream) as file:
            form = file.schema_arrow
        _check_names(form.names)
        _check_types(form)
        stream.seek(0)
        with parquet.ParquetFile(stream, read_dictionary=[f.name for f in form if _is_text(f.type)]) as file:
            if file.metadata.num_rows > most:
                raise _too_many(most)
            names = [name for name in form.names if name in _READ]
            for part in file.iter_batches(batch_size=_PART, columns=names, use_threads=False):
                part.validate(full=True)  # Arrow reads bytes that are no UTF-8 as text
                yield pd.DataFrame({name: _text(part.column(name)) for name in names})
    except UnicodeDecodeError:
        raise problem("malformed", "a column's name is no UTF-8 text; the body is no whole Parquet file") from None
    except (pyarrow.ArrowException, OSError, EOFError) as error:
        raise problem("malformed", f"the body is no whole Parquet file: {' '.join(str(error).split())}") from None


def _check_types(form: pyarrow.Schema) -> None:
    faults = [
        Fault(f"/{found.name}", f"is of type {found.type}; send {'texts' if wants_text else 'numbers, or texts'}")
        for found in form
        if found.name in _READ
        and not _is_text(found.type)
        and ((wants_text := found.name in schema.CATEGORIES) or not _is_number(found.type))
    ]
    if faults:
        raise invalid(faults)


def _is_text(kind: pyarrow.DataType) -> bool:
    inner = kind.value_type if types.is_dictionary(kind) else kind
    return bool(types.is_string(inner) or types.is_large_string(inner) or types.is_null(inner))


def _is_number(kind: pyarrow.DataType) -> bool:
    return bool(types.is_integer(kind) or types.is_floating(kind))


def _text(cells: pyarrow.Array) -> pd.Series:
    """Cells as a CSV would hold them; null and NaN are empty."""
    if types.is_dictionary(cells.type):
        longest = compute.max(compute.binary_length(compute.cast(cells.dictionary, pyarrow.string()))).as_py() or 0
        if longest > _LONGEST_CELL:
            raise problem(
                "malformed", f"a cell of {longest:,} bytes; none of a customer's is longer than {_LONGEST_CELL}"
            )
    elif types.is_floating(cells.type):
        cells = compute.if_else(compute.is_nan(cells), None, cells)
    text: pd.Series = compute.fill_null(compute.cast(cells, pyarrow.string()), "").to_pandas()
    return text


def _too_many(most: int) -> Problem:
    return problem("too-large", f"the batch holds more than {most:,} customers, the most that are taken at once")
