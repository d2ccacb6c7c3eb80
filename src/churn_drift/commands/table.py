"""The timeline and the verdict of a run, for a terminal of 80 columns and up."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from churn_drift.errors import PipelineError
from churn_drift.publishing.note import number

Row = Mapping[str, str]

WIDE = 130
"""Columns from which the reasons stand in the rows; below, they follow the table."""


def read(path: Path) -> list[Row]:
    """The timeline that `evaluate` wrote."""
    if not path.exists():
        raise PipelineError(f"{path}: not there; `dvc repro` makes it")
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def show(rows: Sequence[Row], summary: Mapping[str, Any], console: Console) -> None:
    """One row a batch, then what it amounts to."""
    wide = console.width >= WIDE
    console.print(_table(rows, reasons=wide))
    if not wide:
        console.print()
        for row in rows:
            console.print(_number_of(row), Text(row["decision"], style=_style(row)) + _reason(row), soft_wrap=True)
    console.print()
    console.print(_conclusion(summary), soft_wrap=True)


def _table(rows: Sequence[Row], *, reasons: bool) -> Table:
    table = Table(
        title="Each batch, scored by the champion as it stood before it",
        title_justify="left",
        title_style="bold",
        caption="drift: share of features; never: AUC had the first model been kept",
        caption_justify="left",
        box=None,
        pad_edge=False,
        padding=(0, 1, 0, 0),
    )
    for name in ("#", "rows", "churn", "drift"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("worst feature", overflow="ellipsis", no_wrap=True)
    for name in ("AUC", "95 %", "never"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("version", no_wrap=True)
    table.add_column("decision", no_wrap=not reasons)
    for row in rows:
        decision = Text(row["decision"], style=_style(row))
        table.add_row(*_cells(row), decision + _reason(row) if reasons else decision)
    return table


def _cells(row: Row) -> list[str]:
    return [
        _number_of(row),
        str(row["rows"]),
        number(row["churn_rate"], ".3f"),
        number(row["drifted_share"], ".0%"),
        row["worst_feature"],
        number(row["auc_policy"], ".3f"),
        f"{number(row['auc_policy_low'], '.3f')}-{number(row['auc_policy_high'], '.3f')}",
        number(row["auc_never"], ".3f"),
        row["version"][:7],
    ]


def _number_of(row: Row) -> str:
    return str(row["batch"]).removeprefix("batch_")


def _reason(row: Row) -> Text:
    return Text(f": {row['reason']}")


def _style(row: Row) -> str:
    return "bold green" if row["decision"] == "promote" else "dim"


def _conclusion(summary: Mapping[str, Any]) -> str:
    return (
        f"Policy {summary['policy']}: mean AUC {number(summary['auc_policy'], '.4f')} with "
        f"{summary['promotions']} promotions, never retraining {number(summary['auc_never'], '.4f')}.\n"
        f"Paired gain {number(summary['gain'], '+.4f')} "
        f"(95 % {number(summary['gain_low'], '+.4f')} to {number(summary['gain_high'], '+.4f')}): "
        f"{summary['verdict']}."
    )
