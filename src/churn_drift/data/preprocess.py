"""From raw text cells to a typed, clean frame. Driven by `schema`; fits nothing."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from churn_drift import schema
from churn_drift.errors import CellError, DataError
from churn_drift.schema import Column

_LARGEST_ID = 2**53 - 1
"""Beyond it two customer numbers could become one float."""


@dataclass(frozen=True)
class Preprocessed:
    """A clean frame, and what was mended to get it.

    frame       one row a customer, by CustomerID; numbers float64, categories str, label 1.0 / 0.0, all NaN for missing
    duplicates  identical rows dropped
    reordered   True when the rows did not come in the order of CustomerID
    unlabelled  rows whose label has not arrived
    sentinels   column to its cells that said "unknown" in the file's own code (Unknown, 0) and are missing now
    """

    frame: pd.DataFrame
    duplicates: int
    reordered: bool
    unlabelled: int
    sentinels: dict[str, int]


def preprocess(raw: pd.DataFrame, *, source: str, zero_is_missing: bool) -> Preprocessed:
    """The raw text frame, typed by the schema, without duplicates, in order of acquisition.

    raw              every cell a str, as read from the file, rows in its order
    source           the file's name, for errors
    zero_is_missing  read the columns that code "unknown" as 0 (ages, income band) as missing there

    Raises DataError naming file, row (as an editor counts, the header is row 1), column and value.
    """
    check_columns(raw.columns, source=source)
    if raw.empty:
        raise DataError(f"{source}: no rows below the header; give a file with customers in it")
    cells = raw.reset_index(drop=True)
    typed = pd.DataFrame(
        {c.name: typed_cells(cells[c.name], c, source=source, zero_is_missing=zero_is_missing) for c in schema.COLUMNS}
    )
    unique = typed.drop_duplicates(ignore_index=False)
    _refuse_conflicts(unique, cells, source=source)
    ordered = unique.sort_values(schema.ID, kind="stable", ignore_index=True)
    return Preprocessed(
        frame=ordered,
        duplicates=len(typed) - len(unique),
        reordered=not unique[schema.ID].is_monotonic_increasing,
        unlabelled=int(ordered[schema.LABEL].isna().sum()),
        sentinels=_sentinels(unique, cells.loc[unique.index]),
    )


def check_columns(names: Sequence[str] | pd.Index, *, source: str) -> None:
    """Raises DataError when the header is not the schema's columns; their order is free."""
    found = list(names)
    missing = [name for name in schema.NAMES if name not in found]
    extra = [name for name in found if name not in schema.BY_NAME]
    repeated = sorted({name for name in found if found.count(name) > 1})
    for fault, columns in (("missing", missing), ("unknown", extra), ("repeated", repeated)):
        if columns:
            raise DataError(
                f"{source}: row 1: {fault} column{'s' * (len(columns) > 1)} {', '.join(columns[:5])}"
                f"{', …' * (len(columns) > 5)}; "
                f"the file needs the {len(schema.NAMES)} columns of src/churn_drift/schema.py"
            )


def typed_cells(cells: pd.Series, column: Column, *, source: str, zero_is_missing: bool) -> pd.Series:
    """One column's text, typed; the index is the rows' own. Raises CellError naming row, column and value."""
    present = ~cells.isin(column.missing)
    if column.kind == "category":
        return cells.where(present)
    if column.kind == "label":
        return _label(cells, present, column, source=source)
    numbers = pd.to_numeric(cells.where(present), errors="coerce").astype("float64")
    _refuse(cells, present & ~np.isfinite(numbers), column, "is not a number", source=source)
    below = numbers < (-np.inf if column.minimum is None else column.minimum)
    above = numbers > (np.inf if column.maximum is None else column.maximum)
    _refuse(cells, below | above, column, f"is outside {_range(column)}", source=source)
    if column.kind == "id":
        whole = present & (numbers % 1 == 0) & (numbers <= _LARGEST_ID)
        _refuse(cells, ~whole, column, "is not a customer number", source=source)
        return numbers.astype("int64")
    return numbers.mask(numbers == 0) if column.zero_is_missing and zero_is_missing else numbers


def _label(cells: pd.Series, present: pd.Series, column: Column, *, source: str) -> pd.Series:
    _refuse(cells, present & ~cells.isin(column.levels), column, "is neither Yes nor No", source=source)
    return cells.eq("Yes").astype("float64").where(present)


def _sentinels(typed: pd.DataFrame, cells: pd.DataFrame) -> dict[str, int]:
    said = typed.isna() & ~cells[typed.columns].isin(schema.MISSING)
    return {str(name): int(count) for name, count in said.sum().items() if count}


def _range(column: Column) -> str:
    low = "-inf" if column.minimum is None else f"{column.minimum:g}"
    high = "inf" if column.maximum is None else f"{column.maximum:g}"
    return f"{low} to {high}"


def _refuse(cells: pd.Series, bad: pd.Series, column: Column, fault: str, *, source: str) -> None:
    if bad.any():
        place = int(np.flatnonzero(bad.to_numpy())[0])
        others = f" ({int(bad.sum())} such rows)" if bad.sum() > 1 else ""
        remedy = "mend the cell" if column.kind == "id" else "mend the cell or leave it empty"
        told = f"{cells.iloc[place]!r} {fault}{others}; {remedy}"
        raise CellError(source, row=place, column=column.name, fault=told)


def _refuse_conflicts(unique: pd.DataFrame, cells: pd.DataFrame, *, source: str) -> None:
    twice = unique.duplicated(schema.ID, keep=False)
    if not twice.any():
        return
    customer = unique.loc[twice, schema.ID].iloc[0]
    rows = unique[unique[schema.ID] == customer]
    first, second = rows.iloc[0], rows.iloc[1]
    column = next(
        name
        for name in schema.NAMES
        if not (first[name] == second[name] or (pd.isna(first[name]) and pd.isna(second[name])))
    )
    here, there = rows.index[0], rows.index[1]
    raise DataError(
        f"{source}: rows {here + 2} and {there + 2}: {schema.ID} {customer} stands twice with different {column}: "
        f"{cells.loc[here, column]!r} and {cells.loc[there, column]!r}; keep the right one"
    )
