"""Decision records as metrics and as tables for `dvc plots`."""

from collections.abc import Mapping, Sequence
from typing import Any

from churn_drift.data.files import Table
from churn_drift.policy.comparison import Comparison

Records = Sequence[Mapping[str, Any]]

TIMELINE = (
    "batch",
    "rows",
    "churn_rate",
    "verdict",
    "drifted_share",
    "worst_feature",
    "auc_never",
    "auc_policy",
    "auc_policy_low",
    "auc_policy_high",
    "gain",
    "gain_low",
    "gain_high",
    "version",
    "decision",
    "reason",
)
"""Columns of the timeline table."""


def drift_metrics(records: Records) -> dict[str, Any]:
    """What `dvc metrics diff` compares of the never-retrain timeline."""
    alarms = [r["batch"] for r in records if r["drift"]["verdict"] == "drifted"]
    shares = [r["drift"]["share_drifted"] for r in records]
    return {
        "batches": len(records),
        "alarms": len(alarms),
        "first_alarm": alarms[0] if alarms else None,
        "mean_drifted_share": round(sum(shares) / len(shares), 4) if shares else None,
    }


def retrain_summary(records: Records, *, policy: str) -> dict[str, Any]:
    """What `dvc metrics diff` compares of the policy's timeline."""
    promoted = [r for r in records if r["promoted"]]
    return {
        "policy": policy,
        "promotions": len(promoted),
        "promoted_at": [r["batch"] for r in promoted],
        "champion": promoted[-1]["promoted"] if promoted else "baseline",
    }


def drift_by_batch(records: Records) -> Table:
    """One row a batch: verdict, share of drifted features, worst feature, drift of the score."""
    columns = ("batch", "verdict", "drifted_share", "worst_feature", "worst_psi", "score_psi")
    return Table(
        columns,
        [
            {
                "batch": r["batch"],
                "verdict": r["drift"]["verdict"],
                "drifted_share": r["drift"]["share_drifted"],
                "worst_feature": r["drift"]["worst"],
                "worst_psi": max(
                    (f["psi"] or 0.0 for f in r["drift"]["features"] if f["name"] == r["drift"]["worst"]), default=0.0
                ),
                "score_psi": (r["drift"]["score"] or {}).get("psi"),
            }
            for r in records
        ],
    )


def drift_by_feature(records: Records) -> Table:
    """One row a batch and feature: PSI, its lower bound, KS, verdict."""
    names = ("psi", "psi_lower", "ks", "drifted")
    return Table(
        ("batch", "feature", *names),
        [
            {"batch": r["batch"], "feature": f["name"], **{name: f[name] for name in names}}
            for r in records
            for f in r["drift"]["features"]
        ],
    )


def timeline(comparison: Comparison, records: Records) -> Table:
    """One row a batch: what arrived, how far it had drifted, how both timelines scored, what was decided."""
    return Table(
        TIMELINE,
        [
            {
                "batch": b.batch,
                "rows": b.rows,
                "churn_rate": _round(b.churn_rate),
                "verdict": r["drift"]["verdict"],
                "drifted_share": r["drift"]["share_drifted"],
                "worst_feature": r["drift"]["worst"],
                "auc_never": _round(b.never.value),
                "auc_policy": _round(b.policy.value),
                "auc_policy_low": _round(b.policy.low),
                "auc_policy_high": _round(b.policy.high),
                "gain": _round(b.difference.value),
                "gain_low": _round(b.difference.low),
                "gain_high": _round(b.difference.high),
                "version": b.version,
                "decision": r["decision"],
                "reason": r["reason"],
            }
            for b, r in zip(comparison.batches, records, strict=True)
        ],
    )


def _round(value: float | None) -> float | None:
    return None if value is None else round(value, 6)
