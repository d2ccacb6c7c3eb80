"""Bytes, JSON and small tables: written beside, then renamed. No pandas, whose import costs more than most stages."""

import csv
import hashlib
import io
import json
import os
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from churn_drift.errors import PipelineError


def read_json(path: Path) -> Any:
    """A JSON document. Raises PipelineError when it is not there or damaged."""
    if not path.exists():
        raise PipelineError(f"{path}: not there; `dvc repro` makes it")
    try:
        return json.loads(path.read_bytes())
    except ValueError as error:
        raise PipelineError(f"{path}: not JSON ({error}); `dvc repro` makes it anew") from None


def write_json(document: Mapping[str, Any] | list[Any], path: Path) -> None:
    """JSON for people and diffs: indented, keys as given, no NaN."""
    write_bytes((json.dumps(document, indent=1, allow_nan=False, ensure_ascii=False) + "\n").encode(), path)


@dataclass(frozen=True)
class Table:
    """A small table for `dvc plots`: its columns in order, and one mapping a row."""

    columns: tuple[str, ...]
    rows: Sequence[Mapping[str, Any]]


def write_table(table: Table, path: Path) -> None:
    """CSV with `NA` for None and whole numbers without a point, the same bytes for the same table."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(table.columns)
    writer.writerows([_cell(row[name]) for name in table.columns] for row in table.rows)
    write_bytes(text.getvalue().encode(), path)


def read_table(path: Path, *, columns: Collection[str] = ()) -> list[dict[str, str]]:
    """The rows of a CSV that `write_table` wrote, cells as text, `NA` for None.

    columns  that it must have

    Raises PipelineError when it is not there, is cut off or lacks a column.
    """
    if not path.exists():
        raise PipelineError(f"{path}: not there; `dvc repro` makes it")
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            reader = csv.DictReader(stream, strict=True)
            rows, names = list(reader), reader.fieldnames or ()
    except (csv.Error, UnicodeDecodeError) as error:
        raise PipelineError(f"{path}: no table ({error}); `dvc repro` makes it anew") from None
    lacking = [name for name in columns if name not in names]
    if lacking:
        raise PipelineError(f"{path}: has no column {lacking[0]}; `dvc repro` makes it anew")
    cut = next((place for place, row in enumerate(rows, start=2) if None in row or None in row.values()), None)
    if cut:
        raise PipelineError(f"{path}: row {cut}: not {len(names)} cells; `dvc repro` makes it anew")
    return rows


def _cell(value: Any) -> str:
    if value is None:
        return "NA"
    return f"{value:.10g}" if isinstance(value, float) else str(value)


def write_bytes(content: bytes, path: Path) -> None:
    """Write beside, then rename: a reader sees the old file or the new one, never half of it."""
    replace(path, lambda stream: stream.write(content))


def sha256(path: Path) -> str:
    """Hex digest of a file's bytes."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def replace(path: Path, write: Callable[[IO[bytes]], Any]) -> None:
    """Write beside, then rename; what fails half-way leaves nothing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with beside.open("wb") as stream:
            write(stream)
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
