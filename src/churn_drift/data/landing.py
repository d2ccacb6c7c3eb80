"""Landed batches: what arrived after the history. Immutable, keyed by content, twice is once.

data/landed/batches/NNNN_<hash>.csv   raw records in a canonical form, NNNN = order of landing
data/landed/labels/<hash>.csv         CustomerID,Churn, as they come
"""

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from churn_drift import schema
from churn_drift.data import files, io
from churn_drift.data.preprocess import Preprocessed, check_columns, preprocess, typed_cells
from churn_drift.errors import DataError
from churn_drift.paths import LANDED

RECORD_NAMES = [name for name in schema.NAMES if name != schema.LABEL]


@dataclass(frozen=True)
class Landed:
    """What became of a file.

    path  where it lies now
    rows  customers in the batch, or labels that are new (all, where none is)
    new   False when all of it had landed before
    """

    path: Path
    rows: int
    new: bool


def land_batch(
    raw: pd.DataFrame, *, source: str, history: Mapping[str, Collection[int]] | None = None, folder: Path = LANDED
) -> Landed:
    """Validate raw records (label column optional) and land them; labels that came with them land too.

    A batch that landed before may come again with its labels: those are new then.

    history  customer numbers that have arrived otherwise, by where they stand

    Raises DataError when the file is not the schema, when a customer has arrived before in another batch, or when
    a label contradicts one that landed before.
    """
    records = validated(raw if schema.LABEL in raw else raw.assign(**{schema.LABEL: ""}), source=source)
    labels = records.loc[~records[schema.LABEL].isin(schema.MISSING), [schema.ID, schema.LABEL]]
    content = records[RECORD_NAMES].to_csv(index=False, lineterminator="\n").encode()
    key = hashlib.sha256(content).hexdigest()[:12]
    earlier = batch_files(folder)
    again = next((path for path in earlier if path.stem.endswith(key)), None)
    if again is None:
        for place, known in {**(history or {}), **{str(path): set(_ids(path)) for path in earlier}}.items():
            _refuse_known(records, place, known, source=source)
    path = again or folder / "batches" / f"{len(earlier) + 1:04d}_{key}.csv"
    # Labels first: whoever is interrupted between the two lands the file again and loses nothing.
    told = _write_labels(labels, folder, source=source).new if len(labels) else False
    if again is None:
        files.write_bytes(content, path)
    return Landed(path, rows=len(records), new=told or again is None)


def land_labels(raw: pd.DataFrame, *, source: str, folder: Path = LANDED) -> Landed:
    """Validate CustomerID,Churn rows of landed customers and land them. Raises DataError on anything else."""
    if sorted(raw.columns) != sorted([schema.ID, schema.LABEL]):
        raise DataError(
            f"{source}: row 1: labels need the columns {schema.ID},{schema.LABEL}; found {','.join(raw.columns[:5])}"
        )
    if raw.empty:
        raise DataError(f"{source}: no rows below the header; give a file with labels in it")
    raw = raw.reset_index(drop=True).assign(**{schema.ID: _customers(raw, source=source)})
    bad = raw.index[~raw[schema.LABEL].isin(schema.BY_NAME[schema.LABEL].levels)]
    if len(bad):
        raise DataError(
            f"{source}: row {bad[0] + 2}: Churn: {raw.loc[bad[0], schema.LABEL]!r} is neither Yes nor No; mend the cell"
        )
    known = {customer for path in batch_files(folder) for customer in _ids(path)}
    stray = raw.index[~raw[schema.ID].isin(known)]
    if len(stray):
        raise DataError(
            f"{source}: row {stray[0] + 2}: CustomerID: {raw.loc[stray[0], schema.ID]} is in no landed batch "
            f"({len(stray)} such rows); land its batch first: churn-drift land FILE"
        )
    return _write_labels(raw[[schema.ID, schema.LABEL]], folder, source=source)


def landed_frames(*, zero_is_missing: bool, folder: Path = LANDED) -> list[Preprocessed]:
    """Every landed batch in order of landing, clean and typed, with the labels that have arrived."""
    arrived = _arrived(folder)
    clean = []
    for path in batch_files(folder):
        raw = io.read_raw(path)
        raw[schema.LABEL] = [arrived.get(customer, "") for customer in _customers(raw, source=str(path))]
        clean.append(preprocess(raw, source=str(path), zero_is_missing=zero_is_missing))
    return clean


def batch_files(folder: Path = LANDED) -> list[Path]:
    """Landed batches in order of landing."""
    return sorted((folder / "batches").glob("*.csv"))


def label_files(folder: Path = LANDED) -> list[Path]:
    """Landed label files, sorted by name: their order does not matter."""
    return sorted((folder / "labels").glob("*.csv"))


def validated(raw: pd.DataFrame, *, source: str) -> pd.DataFrame:
    """The raw rows that a clean frame keeps, one a customer, by number, in the schema's column order."""
    check_columns(raw.columns, source=source)
    preprocess(raw, source=source, zero_is_missing=False)
    rows = raw.reset_index(drop=True)[list(schema.NAMES)].assign(**{schema.ID: _customers(raw, source=source)})
    # By every column: where one customer's rows differ in spelling only (1 and 1.0), their order does not matter.
    return rows.drop_duplicates().sort_values(list(schema.NAMES)).drop_duplicates(schema.ID).reset_index(drop=True)


def _customers(raw: pd.DataFrame, *, source: str) -> pd.Series:
    """Customer numbers, int64: 12, 12.0 and 012 are one customer."""
    cells = raw[schema.ID].reset_index(drop=True)
    return typed_cells(cells, schema.BY_NAME[schema.ID], source=source, zero_is_missing=False)


def _write_labels(labels: pd.DataFrame, folder: Path, *, source: str) -> Landed:
    """Only labels that have not landed before make a file."""
    arrived = _arrived(folder)
    _refuse_contradictions(labels, arrived, source=source)
    unique = labels.drop_duplicates().sort_values(schema.ID)
    fresh = unique[~unique[schema.ID].isin(arrived)]
    if fresh.empty:
        return Landed(folder / "labels", rows=len(unique), new=False)
    content = fresh.to_csv(index=False, lineterminator="\n").encode()
    path = folder / "labels" / f"{hashlib.sha256(content).hexdigest()[:12]}.csv"
    files.write_bytes(content, path)
    return Landed(path, rows=len(fresh), new=True)


def _ids(path: Path) -> pd.Series:
    return _customers(io.read_raw(path), source=str(path))


def _arrived(folder: Path) -> dict[int, str]:
    arrived: dict[int, str] = {}
    for path in label_files(folder):
        raw = io.read_raw(path)
        arrived.update(zip(_customers(raw, source=str(path)), raw[schema.LABEL], strict=True))
    return arrived


def _refuse_known(records: pd.DataFrame, place: str, known: Collection[int], *, source: str) -> None:
    both = records[schema.ID].astype("int64").isin(known)
    if both.any():
        raise DataError(
            f"{source}: CustomerID {records.loc[both, schema.ID].iloc[0]} has arrived before, in {place} "
            f"({int(both.sum())} such customers); a customer arrives once: leave these rows out"
        )


def _refuse_contradictions(labels: pd.DataFrame, arrived: Mapping[int, str], *, source: str) -> None:
    told: dict[int, str] = {}
    for customer, label in zip(labels[schema.ID], labels[schema.LABEL], strict=True):
        if arrived.get(customer, label) != label:
            raise DataError(
                f"{source}: CustomerID {customer}: Churn {label} contradicts {arrived[customer]}, which landed before; "
                "a landed label stays: leave this row out"
            )
        if told.setdefault(customer, label) != label:
            raise DataError(f"{source}: CustomerID {customer} stands twice with different Churn; keep the right one")
