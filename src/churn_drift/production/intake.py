"""Takes in what waits in an inbox: validate, land, settle; what cannot be taken in goes to the quarantine.

Batches land first, in order of name, then labels, so that a file of labels may come before its batch. A file leaves
the inbox only when what it holds is on the disk and pinned: whoever is killed before that lands it again, which
changes nothing.
"""

import csv
import os
import re
import shutil
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pandas as pd

from churn_drift import paths, schema
from churn_drift.data import files, io
from churn_drift.data.landing import Landed, batch_files, label_files, land_batch, land_labels
from churn_drift.data.preprocess import typed_cells
from churn_drift.errors import CellError, DataError
from churn_drift.ports import STATE, Inbox
from churn_drift.production import landed
from churn_drift.production.inbox import Taken, shown
from churn_drift.tracking import dvc

_SCRATCH = STATE / "inbox"

_FAULTS = re.compile(
    r"missing columns? [A-Za-z, …]+|unknown column|repeated column|cannot be read to its end|the file is empty"
    r"|is not UTF-8|holds a NUL byte|no rows below the header|\d+ cells, but the header has \d+"
    r"|a quoted cell never ends|not a CSV|has arrived before|stands twice|contradicts|is in no landed batch"
)
"""Of DataError's texts the parts that quote no cell: those after "missing column" are the schema's own names."""

_FOREIGN = (csv.Error, ValueError, OverflowError)
"""What the readers raise beside DataError on bytes that nobody foresaw."""


def take_in(inbox: Inbox) -> list[Taken]:
    """Land, or refuse, everything that waits; what became of each, in the order of landing.

    Raises DataError where what landed before is damaged, so that no new file is blamed for it.
    """
    names = inbox.waiting()
    if not names:
        return []
    _check_landed()
    if not paths.PROCESSED.exists():
        dvc.reproduce("preprocess")  # else nobody could tell which customers the history holds
    known = history()
    taken: list[Taken] = []
    labels: dict[str, Path] = {}
    with _scratch() as scratch:
        for name, copy in _fetched(inbox, names, scratch, taken):
            with _judging(inbox, name, copy, taken):
                raw = _read(copy, name)
                if is_labels(raw):
                    labels[name] = copy
                else:
                    taken.append(_told(name, land_batch(raw, source=shown(name), history=known), "customers"))
        arrived = landed_customers() if labels else set()
        for name, copy in labels.items():
            with _judging(inbox, name, copy, taken):
                taken.append(_land_labels(name, _read(copy, name), arrived=arrived, known=known))
    landed.pin()
    _to_disk()
    for one in taken:
        if one.outcome in ("landed", "again"):
            inbox.settle(one.name)
    return taken


def history() -> dict[str, Collection[int]]:
    """The customers that the history holds, by where they stand; none before the first run."""
    if not paths.PROCESSED.exists():
        return {}
    return {str(paths.PROCESSED): set(io.read_frame(paths.PROCESSED)[schema.ID])}


def landed_customers() -> set[int]:
    """The customers of every landed batch."""
    return {customer for path in batch_files() for customer in _customers(io.read_raw(path), path)}


def is_labels(raw: pd.DataFrame) -> bool:
    """Labels are told from records by their two columns."""
    return set(raw.columns) == {schema.ID, schema.LABEL}


def altered() -> Iterator[Path]:
    """Landed files that are not what their names say: a name holds the hash of the content."""
    for path in (*batch_files(), *label_files()):
        if not files.sha256(path).startswith(path.stem.rpartition("_")[2]):
            yield path


def _to_disk() -> None:
    """All that has landed survives a loss of power from now on."""
    for path in (*batch_files(), *label_files(), *landed.FOLDERS):
        if path.exists():
            descriptor = os.open(path, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)


def _check_landed() -> None:
    for path in altered():
        raise DataError(f"{path}: was altered since it landed; `dvc checkout --force {path.parent}` brings it back")


def _land_labels(name: str, raw: pd.DataFrame, *, arrived: Collection[int], known: dict[str, Collection[int]]) -> Taken:
    """Labels of customers who may still arrive wait for them; those of the history's customers never can land."""
    if raw.columns.is_unique and len(raw):
        named = set(_customers(raw, shown(name)))
        missing = named.difference(arrived)
        if missing and not any(missing.intersection(customers) for customers in known.values()):
            said = f"{len(missing):,} of its {len(named):,} customers are in no landed batch yet"
            return Taken(name, "waits", said)
    return _told(name, land_labels(raw, source=shown(name)), "labels")


def _told(name: str, done: Landed, what: str) -> Taken:
    return Taken(name, "landed" if done.new else "again", f"{done.rows:,} {what}")


def _read(copy: Path, name: str) -> pd.DataFrame:
    """Every cell as text. Raises DataError with the file's own name, not that of the copy."""
    try:
        return io.read_raw(copy)
    except DataError as error:
        raise DataError(str(error).replace(str(copy), shown(name))) from None


def _fetched(inbox: Inbox, names: Sequence[str], folder: Path, taken: list[Taken]) -> Iterator[tuple[str, Path]]:
    """Name and copy of each; one that has gone meanwhile is nothing, one that cannot be read waits."""
    for name in names:
        try:
            copy = inbox.fetch(name, folder)
        except FileNotFoundError:
            continue
        except PermissionError as error:
            taken.append(Taken(name, "waits", f"it cannot be read ({error.strerror})"))
        else:
            yield name, copy


@contextmanager
def _judging(inbox: Inbox, name: str, copy: Path, taken: list[Taken]) -> Iterator[None]:
    """What cannot be taken in is refused."""
    try:
        yield
    except (DataError, *_FOREIGN) as error:
        place = inbox.refuse(name, " ".join(str(error).split()))
        taken.append(Taken(name, "refused", _without_cells(error), place, digest=files.sha256(copy)))


def _without_cells(error: Exception) -> str:
    """Why, in words that hold nothing of a customer: what an error quotes is left out."""
    if isinstance(error, CellError):
        return f"row {error.row + 2}: a cell is not what its column holds"
    if not isinstance(error, DataError):
        return "no CSV"
    found = _FAULTS.search(str(error))
    return found[0] if found else "not what the schema says"


def _customers(raw: pd.DataFrame, source: Path | str) -> list[int]:
    cells, column = raw[schema.ID], schema.BY_NAME[schema.ID]
    return typed_cells(cells, column, source=str(source), zero_is_missing=False).tolist()


@contextmanager
def _scratch() -> Iterator[Path]:
    """An empty folder for copies; what a killed run has left in it goes."""
    shutil.rmtree(_SCRATCH, ignore_errors=True)
    _SCRATCH.mkdir(parents=True, mode=0o700)
    try:
        yield _SCRATCH
    finally:
        shutil.rmtree(_SCRATCH)
