"""A batch of customers as `Columns`, part by part, from the bytes of a CSV: what pandas and pyarrow do elsewhere.

The Lambda has neither. Files that `data.io` and `data.preprocess` take, and how they type each cell, are the same (a
test compares); errors name row and column and never a cell's content, since they leave the bucket.
"""

import codecs
import csv
import hashlib
import io
import math
import zlib
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from churn_drift import schema
from churn_drift.columns import Codes, Numbers, take
from churn_drift.errors import CellError, DataError
from churn_drift.schema import Column

ROWS = 10_000
"""Of a part."""
LONGEST_LINE = 1 << 20
"""Characters; a record takes about 250."""

_GZIP = b"\x1f\x8b"
_PIECE = 1 << 20
_LARGEST_ID = 2**53 - 1
_LABELS = sorted([schema.ID, schema.LABEL])
_NUMBERS = tuple(column for column in schema.COLUMNS if column.kind in ("id", "label", "number"))
_TEXTS = tuple(column for column in schema.COLUMNS if column.kind == "category")


class BatchReader:
    """The customers in a stream of bytes, plain or gz.

    blocks           the bytes, in order
    source           the file's name, for errors
    zero_is_missing  read the columns that code "unknown" as 0 as missing there (see `preprocess`)
    limit            bytes of text, unpacked, that are read at most

    Only a part, and a hash of each customer, is held in memory. Everything raises DataError where the file is not
    the schema; what was read before then counts for nothing.
    """

    def __init__(self, blocks: Iterable[bytes], *, source: str, zero_is_missing: bool, limit: int) -> None:
        self._source = source
        self._zero_is_missing = zero_is_missing
        self._digest = hashlib.sha256()
        self._records = csv.reader(_lines(_unpacked(blocks, self._digest, source, limit), source))
        self._header = self._first()
        self._seen: dict[int, bytes] = {}
        self.rows = 0
        self.duplicates = 0

    @property
    def is_labels(self) -> bool:
        """Whether these are labels that arrive later (CustomerID,Churn), and no customers."""
        return sorted(self._header) == _LABELS

    @property
    def sha256(self) -> str:
        """Of the text that has been read, unpacked."""
        return self._digest.hexdigest()

    def parts(self, *, rows: int = ROWS) -> Iterator[dict[str, Numbers | Codes]]:
        """The record's columns, `rows` at a time at most, identical rows once."""
        self._check_header()
        first = 0
        for records in self._chunks(rows):
            part, new = self._typed(records, first)
            first += len(records)
            self.rows += int(new.sum())
            self.duplicates += len(records) - int(new.sum())
            yield take(part, new)
        if not first:
            raise DataError(f"{self._source}: no rows below the header; give a file with customers in it")

    def _first(self) -> list[str]:
        for record in self._read():
            return record
        raise DataError(f"{self._source}: the file is empty; give a CSV with the columns of schema.py")

    def _read(self) -> Iterator[list[str]]:
        try:
            yield from self._records
        except csv.Error as error:
            raise DataError(f"{self._source}: line {self._records.line_num}: not a CSV ({error})") from None

    def _check_header(self) -> None:
        """A header that is none may hold a customer's cells: only the schema's own names are told."""
        unknown = [place for place, name in enumerate(self._header, start=1) if name not in schema.BY_NAME]
        missing = [name for name in schema.NAMES if name not in self._header and name != schema.LABEL]
        repeated = sorted({name for name in self._header if self._header.count(name) > 1 and name in schema.BY_NAME})
        places = [f"number {place}" for place in unknown]
        for fault, told in (("missing", missing), ("unknown", places), ("repeated", repeated)):
            if told:
                raise DataError(
                    f"{self._source}: row 1: {fault} column{'s' * (len(told) > 1)} {', '.join(told[:5])}"
                    f"{', …' * (len(told) > 5)}; the file needs the {len(schema.NAMES)} columns of schema.py"
                )

    def _chunks(self, rows: int) -> Iterator[list[list[str]]]:
        chunk: list[list[str]] = []
        blank, number, width = 0, 1, len(self._header)
        for record in self._read():
            if not record:  # legal at the end only
                blank += 1
                continue
            number += 1
            if blank or len(record) != width:
                cells = 1 if blank else len(record)
                raise DataError(
                    f"{self._source}: row {number}: {cells} cells, but the header has {width}; is the file cut?"
                )
            chunk.append(record)
            if len(chunk) == rows:
                yield chunk
                chunk = []
        if chunk:
            yield chunk

    def _typed(
        self, records: Sequence[Sequence[str]], first: int
    ) -> tuple[dict[str, Numbers | Codes], npt.NDArray[np.bool_]]:
        """The part's columns, and which of its rows have not been there before."""
        cells = dict(zip(self._header, zip(*records, strict=True), strict=True))
        cells.setdefault(schema.LABEL, ("",) * len(records))
        told = _Cells(self._source, first, zero_is_missing=self._zero_is_missing)
        numbers = {column.name: told.numbers(cells[column.name], column) for column in _NUMBERS}
        texts = {column.name: told.texts(cells[column.name], column) for column in _TEXTS}
        new = self._new(np.column_stack(list(numbers.values())), list(zip(*texts.values(), strict=True)), first)
        columns: dict[str, Numbers | Codes] = {
            c.name: Codes.of(texts[c.name]) if c.kind == "category" else numbers[c.name] for c in schema.RECORD
        }
        return columns, new

    def _new(self, numbers: Numbers, texts: Sequence[tuple[str | None, ...]], first: int) -> npt.NDArray[np.bool_]:
        """False for a row that repeats an earlier one."""
        new = np.ones(len(texts), dtype=np.bool_)
        customers = numbers[:, 0].astype(np.int64).tolist()
        for place, (customer, text) in enumerate(zip(customers, texts, strict=True)):
            # No cell holds a NUL, and none that is present is empty: equal bytes are equal rows.
            content = numbers[place].tobytes() + "\0".join(cell or "" for cell in text).encode()
            digest = hashlib.blake2b(content, digest_size=16).digest()
            before = self._seen.setdefault(customer, digest)
            if before is not digest:
                new[place] = False
                if before != digest:
                    raise DataError(
                        f"{self._source}: row {first + place + 2}: its {schema.ID} stands in an earlier row, too, with "
                        "other values; keep the right one"
                    )
        return new


class _Cells:
    """The text of one part, typed as `preprocess.typed_cells` does."""

    def __init__(self, source: str, first: int, *, zero_is_missing: bool) -> None:
        self._source, self._first, self._zero_is_missing = source, first, zero_is_missing

    def texts(self, cells: Sequence[str], column: Column) -> list[str | None]:
        return [None if cell in column.missing else cell for cell in cells]

    def numbers(self, cells: Sequence[str], column: Column) -> Numbers:
        present = np.array([cell not in column.missing for cell in cells], dtype=np.bool_)
        if column.kind == "label":
            self._refuse(present & ~np.isin(cells, column.levels), column, "is neither Yes nor No")
            return np.where(present, np.array(cells) == "Yes", np.nan)
        values = np.array([_number(cell) for cell in cells], dtype=np.float64)
        values[~present] = np.nan
        self._refuse(present & ~np.isfinite(values), column, "is not a number")
        low = -np.inf if column.minimum is None else column.minimum
        high = np.inf if column.maximum is None else column.maximum
        self._refuse((values < low) | (values > high), column, f"is outside {low:g} to {high:g}")
        if column.kind == "id":
            whole = present & (values % 1 == 0) & (values <= _LARGEST_ID)
            self._refuse(~whole, column, "is not a customer number")
        if column.zero_is_missing and self._zero_is_missing:
            values[values == 0] = np.nan
        return values + 0.0  # -0 and 0 are one value

    def _refuse(self, bad: npt.NDArray[np.bool_], column: Column, fault: str) -> None:
        if bad.any():
            row = self._first + int(np.flatnonzero(bad)[0])
            raise CellError(self._source, row=row, column=column.name, fault=f"the cell {fault}; mend it")


@lru_cache(maxsize=1 << 16)
def _number(cell: str) -> float:
    """NaN where it is none. Python also takes 1_000 and other scripts' digits for numbers, pandas does not.

    >>> _number("1e3"), _number("1_000")
    (1000.0, nan)
    """
    try:
        return float(cell) if cell.isascii() and "_" not in cell else math.nan
    except ValueError:
        return math.nan


def _unpacked(blocks: Iterable[bytes], digest: "hashlib._Hash", source: str, limit: int) -> Iterator[bytes]:
    """The text's bytes, not more than the limit of them."""
    pending = iter(blocks)
    start = b""
    while len(start) < len(_GZIP) and (block := next(pending, None)) is not None:
        start += block
    size = 0
    whole = _chain(start, pending)
    for block in _gunzipped(whole, source) if start.startswith(_GZIP) else whole:
        size += len(block)
        if size > limit:
            raise DataError(f"{source}: larger than {limit / 1e6:g} MB of text; cut it into smaller batches")
        digest.update(block)
        yield block


def _chain(start: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield start
    yield from rest


def _gunzipped(blocks: Iterable[bytes], source: str) -> Iterator[bytes]:
    """Never more than a megabyte at a time, whatever the archive promises."""
    unpacker = zlib.decompressobj(wbits=31)
    try:
        for block in blocks:
            data = block
            while data:
                if unpacker.eof:  # archives may follow one another, and zeros the last
                    data = data.lstrip(b"\0")
                    unpacker = zlib.decompressobj(wbits=31) if data else unpacker
                    continue
                yield unpacker.decompress(data, _PIECE)
                data = unpacker.unconsumed_tail or unpacker.unused_data
        yield unpacker.flush()
    except zlib.error as error:
        raise DataError(f"{source}: cannot be read to its end ({error}); is it cut? send it again") from None
    if not unpacker.eof:
        raise DataError(f"{source}: cannot be read to its end; is it cut? send it again")


def _lines(blocks: Iterable[bytes], source: str) -> Iterator[str]:
    """The text line by line, each with its end: UTF-8 without byte order mark, NUL or a quoted cell without end."""
    newlines = io.IncrementalNewlineDecoder(None, translate=True)
    quotes, lines, rest = 0, 0, ""
    for text in _decoded(blocks, source):
        *whole, rest = (rest + newlines.decode(text)).split("\n")
        for line in whole:
            lines += 1
            quotes += line.count('"')
            yield _checked(line, lines, source) + "\n"
        _checked(rest, lines + 1, source)
    rest += newlines.decode("", final=True)
    quotes += rest.count('"')
    if rest:
        yield _checked(rest, lines + 1, source)
    if quotes % 2:
        raise DataError(f"{source}: a quoted cell never ends; is the file cut? send it again")


def _checked(line: str, number: int, source: str) -> str:
    if "\0" in line:
        raise DataError(f"{source}: row {number}: holds a NUL byte, so it is damaged or no text; send it again")
    if len(line) > LONGEST_LINE:
        raise DataError(f"{source}: row {number}: longer than {LONGEST_LINE} characters; is it a CSV?")
    return line


def _decoded(blocks: Iterable[bytes], source: str) -> Iterator[str]:
    decoder = codecs.getincrementaldecoder("utf-8-sig")()
    lines = 1
    try:
        for block in blocks:
            yield decoder.decode(block)
            lines += block.count(b"\n")
        yield decoder.decode(b"", final=True)
    except UnicodeDecodeError as error:
        row = lines + error.object.count(b"\n", 0, error.start)
        raise DataError(f"{source}: row {row}: a byte is not UTF-8; save it as UTF-8") from None
