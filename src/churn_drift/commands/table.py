"""The timeline and the verdict of a run, for a terminal of 80 columns and up."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.table import Table
from rich.text import Text

from churn_drift import terminal
from churn_drift.data import files
from churn_drift.publishing.note import is_known, number
from churn_drift.terminal import Colour, say

Row = Mapping[str, str]

WIDE = 130
"""Columns from which the reasons stand in the rows; below, they follow the table."""

TITLE = "Each batch, scored by the champion as it stood before it"
LEGEND = "drift: share of features; never: AUC had the first model been kept"

HEADS = ("#", "rows", "churn", "drift", "worst feature", "AUC", "95 %", "never", "version", "decision")
WORST = HEADS.index("worst feature")
LEAST = 13
"""Columns that a feature's name gets however narrow the terminal is."""


def read(path: Path) -> Sequence[Row]:
    """The timeline that `evaluate` wrote."""
    return files.read_table(path)


def show(rows: Sequence[Row], summary: Mapping[str, Any]) -> None:
    """One row a batch, what its columns mean, why it was decided so, and what it amounts to."""
    columns = terminal.width()
    wide = columns >= WIDE
    say(f"\n{TITLE}", paint=(TITLE, "bold"))
    terminal.show(_table(rows, columns=columns, reasons=wide), whole=not wide)
    say(f"{LEGEND}\n")
    if not wide:
        for row in rows:
            say(f"{_number_of(row)} {row['decision']}: {row['reason']}", hang=3, paint=(row["decision"], _colour(row)))
        print()
    say(_conclusion(summary))


def _table(rows: Sequence[Row], *, columns: int, reasons: bool) -> Table:
    """At its natural width: of all cells only the feature's name is cut, to what the others leave it."""
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
    cells = [[*_cells(row), row["decision"]] for row in rows]
    others = sum(max(len(line[place]) for line in [HEADS, *cells]) + 1 for place in range(len(HEADS)) if place != WORST)
    room = max(LEAST, columns - others - 1) if not reasons else columns
    for place, name in enumerate(HEADS):
        left = place == WORST or name in ("version", "decision")
        table.add_column(name, justify="left" if left else "right", no_wrap=name != "decision" or not reasons)
    for row, line in zip(rows, cells, strict=True):
        decision = Text(row["decision"], style=_colour(row))
        line[WORST] = _cut(line[WORST], room)
        table.add_row(*line[:-1], decision + Text(f": {row['reason']}") if reasons else decision)
    return table


def _cut(name: str, room: int) -> str:
    """
    >>> _cut("TotalRecurringCharge", 12), _cut("MonthsInService", 15)
    ('TotalRecurr…', 'MonthsInService')
    """
    return name if len(name) <= room else f"{name[: room - 1]}…"


def _cells(row: Row) -> list[str]:
    return [
        _number_of(row),
        str(row["rows"]),
        number(row["churn_rate"], ".3f"),
        number(row["drifted_share"], ".0%"),
        row["worst_feature"],
        number(row["auc_policy"], ".3f"),
        _interval(row["auc_policy_low"], row["auc_policy_high"]),
        number(row["auc_never"], ".3f"),
        row["version"][:7],
    ]


def _interval(low: str, high: str) -> str:
    return f"{number(low, '.3f')}-{number(high, '.3f')}" if is_known(low) else number(low, "")


def _number_of(row: Row) -> str:
    return str(row["batch"]).removeprefix("batch_")


def _colour(row: Row) -> Colour:
    return "green" if row["decision"] == "promote" else "dim"


def _conclusion(summary: Mapping[str, Any]) -> str:
    return (
        f"Policy {summary['policy']}: mean AUC {number(summary['auc_policy'], '.4f')} with "
        f"{summary['promotions']} promotions, never retraining {number(summary['auc_never'], '.4f')}.\n"
        f"Paired gain {number(summary['gain'], '+.4f')} "
        f"(95 % {number(summary['gain_low'], '+.4f')} to {number(summary['gain_high'], '+.4f')}): "
        f"{summary['verdict']}."
    )
