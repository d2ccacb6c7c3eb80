"""What drifted and what was decided, batch by batch."""

from collections.abc import Mapping
from typing import Any

from churn_drift.cards.markdown import escaped, history, number
from churn_drift.cards.subject import Subject, reason, short_name
from churn_drift.config import Retrain


def decisions(s: Subject) -> str:
    """The section of drift and decisions."""
    promoted = sum(bool(record["promoted"]) for record in s.records)
    alarmed = sum(bool(record["alarms"]) for record in s.records)
    rows = history(
        ("batch", "alarm", "decision after it", "furthest", "its PSI", "drifted", "PSI of the score"),
        s.records,
        _decision_row,
        numbers=4,
        rest="[retrain/events.json](retrain/events.json)",
    )
    return f"""\
## Drift and decisions

Policy `{s.policy.policy}`: {_RULES[s.policy.policy].format(**s.policy.model_dump())}.{_window(s.policy)}
Of {len(s.records)} batches {alarmed} raised a drift alarm and {promoted} led to a promotion. Drift is measured against
the training window of the champion of the day. Furthest: the feature that has moved most for certain; drifted: the
share of the features that have.

{rows}"""


def _decision_row(record: Mapping[str, Any]) -> tuple[str, ...]:
    drift = record["drift"]
    worst = next((f for f in drift["features"] if f["name"] == drift["worst"]), None)
    score = (drift["score"] or {}).get("psi")
    return (
        short_name(record["batch"]),
        "; ".join(_ALARMS.get(alarm, escaped(alarm)) for alarm in record["alarms"]) or "none",
        f"{record['decision']}: {reason(record['reason'])}",
        escaped(worst["name"]) if worst else "none",
        number(worst["psi"] if worst else None, ".2f"),
        "too few rows" if drift["verdict"] == "insufficient" else f"{drift['share_drifted']:.0%}",
        number(score, ".3f"),
    )


def _window(policy: Retrain) -> str:
    if policy.policy == "never":
        return ""
    if policy.window == "all":
        return " A successor is fitted on all labelled batches."
    newest = f"{policy.window_batches} batches" if policy.window_batches > 1 else "batch"
    return f" A successor is fitted on the newest labelled {newest}."


_ALARMS = {"batch": "features or score"}
"""What the records call otherwise than people do."""

_RULES = {
    "never": "never retrains",
    "always": "promotes whenever labels arrive",
    "periodic": "promotes every {period} batches",
    "triggered": "promotes on a drift alarm where a cross-fitted challenger is better on the newest labels, "
    "z > {z_triggered:g}",
    "evidence": "promotes where a cross-fitted challenger is better, z > {z_promote:g} on the paired log loss since "
    "the last promotion, or z > {z_alarmed:g} under a drift alarm",
    "price": "promotes where the AUC gain since the last promotion exceeds {price:g}",
}
