"""Landed batches: what arrived after the history. Immutable, keyed by content, twice is once.

data/landed/batches/NNNN_<hash>.csv   raw records in a canonical form, NNNN = order of landing
data/landed/labels/<hash>.csv         CustomerID,Churn, as they come
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from churn_drift import schema
from churn_drift.data import io
from churn_drift.data.preprocess import Preprocessed, check_columns, preprocess
from churn_drift.errors import DataError

LANDED = Path("data/landed")
RECORD_NAMES = [name for name in schema.NAMES if name != schema.LABEL]


@dataclass(frozen=True)
class Landed:
    """What became of a file.

    path  where it lies now
    rows  customers (or labels) in it
    new   False when the same content had landed before
    """

    path: Path
    rows: int
    new: bool


def land_batch(raw: pd.DataFrame, *, source: str, folder: Path = LANDED) -> Landed:
    """Validate raw records (label column optional) and land them; labels that came with them land too.

    Raises DataError when the file is not the schema, or a customer has landed before in another batch.
    """
    labelled = schema.LABEL in raw
    raw = raw if labelled else raw.assign(**{schema.LABEL: ""})
    records = validated(raw, source=source)
    content = records[RECORD_NAMES].to_csv(index=False, lineterminator="\n").encode()
    key = hashlib.sha256(content).hexdigest()[:12]
    earlier = batch_files(folder)
    for path in earlier:
        if path.stem.endswith(key):
            return Landed(path, rows=len(records), new=False)
        _refuse_known(records, path, source=source)
    path = folder / "batches" / f"{len(earlier) + 1:04d}_{key}.csv"
    io.write_bytes(content, path)
    present = ~records[schema.LABEL].isin(schema.MISSING)
    if labelled and present.any():
        _write_labels(records.loc[present, [schema.ID, schema.LABEL]], folder)
    return Landed(path, rows=len(records), new=True)


def land_labels(raw: pd.DataFrame, *, source: str, folder: Path = LANDED) -> Landed:
    """Validate CustomerID,Churn rows of landed customers and land them. Raises DataError on anything else."""
    if list(raw.columns) != [schema.ID, schema.LABEL]:
        raise DataError(
            f"{source}: row 1: labels need the columns {schema.ID},{schema.LABEL}; found {','.join(raw.columns[:5])}"
        )
    bad = raw.index[~raw[schema.LABEL].isin(schema.BY_NAME[schema.LABEL].levels)]
    if len(bad):
        raise DataError(
            f"{source}: row {bad[0] + 2}: Churn: {raw.loc[bad[0], schema.LABEL]!r} is neither Yes nor No; mend the cell"
        )
    known = pd.concat([_ids(path) for path in batch_files(folder)] or [pd.Series(dtype=str)])
    stray = raw.index[~raw[schema.ID].isin(known)]
    if len(stray):
        raise DataError(
            f"{source}: row {stray[0] + 2}: CustomerID: {raw.loc[stray[0], schema.ID]!r} is in no landed batch "
            f"({len(stray)} such rows); land its batch first: churn-drift land FILE"
        )
    labels = raw.drop_duplicates()
    _refuse_contradictions(pd.concat([*map(io.read_raw, label_files(folder)), labels]), source=source)
    return _write_labels(labels, folder)


def landed_frames(*, zero_is_missing: bool, folder: Path = LANDED) -> list[Preprocessed]:
    """Every landed batch in order of landing, clean and typed, with the labels that have arrived."""
    labels = pd.concat([pd.DataFrame(columns=[schema.ID, schema.LABEL]), *map(io.read_raw, label_files(folder))])
    arrived = labels.drop_duplicates().set_index(schema.ID)[schema.LABEL]
    clean = []
    for path in batch_files(folder):
        raw = io.read_raw(path)
        raw[schema.LABEL] = raw[schema.ID].map(arrived).fillna("")
        clean.append(preprocess(raw, source=str(path), zero_is_missing=zero_is_missing))
    return clean


def batch_files(folder: Path = LANDED) -> list[Path]:
    """Landed batches in order of landing."""
    return sorted((folder / "batches").glob("*.csv"))


def label_files(folder: Path = LANDED) -> list[Path]:
    """Landed label files, sorted by name: their order does not matter."""
    return sorted((folder / "labels").glob("*.csv"))


def validated(raw: pd.DataFrame, *, source: str) -> pd.DataFrame:
    """The raw rows that a clean frame keeps, sorted by customer, in the schema's column order."""
    check_columns(raw.columns, source=source)
    preprocess(raw, source=source, zero_is_missing=False)
    unique = raw[list(schema.NAMES)].drop_duplicates()
    order = unique[schema.ID].astype("int64")
    return unique.loc[order.sort_values(kind="stable").index].reset_index(drop=True)


def _write_labels(labels: pd.DataFrame, folder: Path) -> Landed:
    content = labels.sort_values(schema.ID, kind="stable").to_csv(index=False, lineterminator="\n").encode()
    path = folder / "labels" / f"{hashlib.sha256(content).hexdigest()[:12]}.csv"
    new = not path.exists()
    if new:
        io.write_bytes(content, path)
    return Landed(path, rows=len(labels), new=new)


def _ids(path: Path) -> pd.Series:
    return io.read_raw(path)[schema.ID]


def _refuse_known(records: pd.DataFrame, path: Path, *, source: str) -> None:
    both = records[schema.ID].isin(_ids(path))
    if both.any():
        raise DataError(
            f"{source}: CustomerID {records.loc[both, schema.ID].iloc[0]} has landed before, in {path} "
            f"({int(both.sum())} such customers); a customer arrives once: leave these rows out"
        )


def _refuse_contradictions(labels: pd.DataFrame, *, source: str) -> None:
    twice = labels.drop_duplicates().duplicated(schema.ID, keep=False)
    if twice.any():
        customer = labels.drop_duplicates().loc[twice, schema.ID].iloc[0]
        raise DataError(
            f"{source}: CustomerID {customer}: its label landed before with the other value; keep the right one"
        )
