"""The timeline and the verdict of a run, for a terminal."""

from collections.abc import Mapping
from typing import Any

import pandas as pd
from rich.console import Console
from rich.table import Table


def show(timeline: pd.DataFrame, summary: Mapping[str, Any], console: Console) -> None:
    """One row a batch, then what it amounts to."""
    table = Table(
        title="Timeline: each batch scored by the champion as it stood before it", title_justify="left", box=None
    )
    for name in ("batch", "rows", "churn", "drifted", "worst feature", "AUC [95 %]", "never", "version", "decision"):
        table.add_column(name, justify="left" if name in ("batch", "worst feature", "version", "decision") else "right")
    for row in timeline.to_dict("records"):
        table.add_row(
            row["batch"].removeprefix("batch_"),
            f"{row['rows']:,}",
            _number(row["churn_rate"], ".3f"),
            f"{row['drifted_share']:.0%}",
            row["worst_feature"],
            f"{_number(row['auc_policy'], '.3f')} [{_number(row['auc_policy_low'], '.3f')}, {_number(row['auc_policy_high'], '.3f')}]",
            _number(row["auc_never"], ".3f"),
            row["version"][:7],
            f"{row['decision']}: {row['reason']}",
        )
    console.print(table)
    console.print(
        f"\nPolicy {summary['policy']}: mean AUC {_number(summary['auc_policy'], '.4f')}, never retraining "
        f"{_number(summary['auc_never'], '.4f')}; gain {_number(summary['gain'], '+.4f')} "
        f"[{_number(summary['gain_low'], '+.4f')}, {_number(summary['gain_high'], '+.4f')}], "
        f"{summary['promotions']} promotions. Verdict: {summary['verdict']}."
    )


def _number(value: float | None, form: str) -> str:
    return "n/a" if value is None or pd.isna(value) else format(value, form)
