"""A run in words, as Markdown: what its page in MLflow shows first."""

from collections.abc import Mapping
from typing import TypeGuard

from churn_drift.publishing.record import Record

LONGEST = 7500
"""Characters; MLflow cuts a note at 8,000."""

GAP = "&ensp;"
"""After every cell: MLflow's page sets columns without space between them."""

NAMES = ("batch", "customers", "churn", "drifted", "AUC", "never", "decision")
HEAD = f"| {f'{GAP}| '.join(NAMES)} |\n|{'---|' * len(NAMES)}"


def markdown(record: Record) -> str:
    """The verdict, then a row a batch; the oldest rows give way where there are too many."""
    summary = record.summary
    verdict = (
        f"Policy **{summary['policy']}**: mean AUC **{number(summary['auc_policy'], '.4f')}** with "
        f"{summary['promotions']} promotions, never retraining {number(summary['auc_never'], '.4f')}; paired gain "
        f"{number(summary['gain'], '+.4f')} [{number(summary['gain_low'], '+.4f')}, "
        f"{number(summary['gain_high'], '+.4f')}]: **{summary['verdict']}**. Candidate `{record.version}`."
    )
    rows = [_row(row) for row in record.timeline]
    left = LONGEST - len(verdict) - len(HEAD)
    kept: list[str] = []
    for row in reversed(rows):
        left -= len(row) + 1
        if left < 0:
            break
        kept.insert(0, row)
    missing = len(rows) - len(kept)
    more = f"The first {missing} batches: `decisions/timeline.csv`.\n\n" if missing else ""
    return "\n\n".join([verdict, more + "\n".join([HEAD, *kept])])


def _row(row: Mapping[str, str]) -> str:
    cells = (
        row["batch"].removeprefix("batch_"),
        f"{int(row['rows']):,}",
        number(row["churn_rate"], ".3f"),
        number(row["drifted_share"], ".0%"),
        f"{number(row['auc_policy'], '.3f')} "
        f"[{number(row['auc_policy_low'], '.3f')}, {number(row['auc_policy_high'], '.3f')}]",
        number(row["auc_never"], ".3f"),
        f"{row['decision']}: {row['reason']}".replace("|", "/"),
    )
    return f"| {f'{GAP}| '.join(cells)} |"


def number(value: float | str | None, form: str) -> str:
    """A number of a report for people, where it is known.

    >>> number("0.64884", ".4f"), number("NA", ".4f")
    ('0.6488', 'n/a')
    """
    return format(float(value), form) if is_known(value) else "n/a"


def is_known(value: float | str | None) -> TypeGuard[float | str]:
    """Whether a report has that number.

    >>> is_known(0.0), is_known("NA")
    (True, False)
    """
    return value not in (None, "NA", "")
