"""Reports of a run, as its stages write them, in any length and with any names."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from churn_drift import paths
from churn_drift.data.files import Table, write_json, write_table
from churn_drift.policy.tables import TIMELINE

SUMMARY = {
    "verdict": "better", "candidate": "abc", "policy": "evidence", "auc_never": 0.605, "auc_policy": 0.65,
    "gain": 0.0293, "gain_low": 0.0249, "gain_high": 0.0336, "promotions": 7, "lift_top_decile": 1.8889,
}  # fmt: skip


def write_run(
    root: Path,
    *,
    batches: int = 3,
    features: Sequence[str] = ("MonthsInService", "AgeHH1"),
    summary: dict[str, Any] | None = None,
    last: dict[str, Any] | None = None,
) -> None:
    """Reports of so many batches; `last` changes the newest row of the timeline."""
    names = [f"batch_{number:02d}" for number in range(2, 2 + batches)]
    rows = [row(name, promoted=bool(i % 2)) for i, name in enumerate(names)]
    rows[-1] |= last or {}
    write_table(Table(TIMELINE, rows), root / paths.TIMELINE)
    write_json({**SUMMARY, **(summary or {})}, root / paths.SUMMARY)
    write_table(Table(("batch", "feature", "psi", "psi_lower", "ks", "drifted"), [
        {"batch": name, "feature": feature, "psi": 0.3 * place + 0.01 * i, "psi_lower": 0.0, "ks": 0.1,
         "drifted": place > 0}
        for i, name in enumerate(names) for place, feature in enumerate(features)
    ]), root / paths.DRIFT_FEATURES)  # fmt: skip
    write_table(Table(("feature", "place", "cell", "reference", *names), [
        {"feature": feature, "place": place, "cell": cell, "reference": 0.75 if place else 0.25,
         **dict.fromkeys(names, 0.5)}
        for feature in features for place, cell in enumerate(("up to 12", f"more <b> of {feature}"))
    ]), root / paths.DRIFT_DISTRIBUTIONS)  # fmt: skip


def row(name: str, *, promoted: bool) -> dict[str, Any]:
    """A row of the timeline."""
    return {
        "batch": name, "rows": 5000, "churn_rate": 0.2936, "verdict": "drifted", "drifted_share": 0.188679,
        "worst_feature": "MonthsInService", "auc_never": 0.6, "auc_policy": 0.6454, "auc_policy_low": 0.6285,
        "auc_policy_high": 0.662, "gain": 0.04, "gain_low": 0.03, "gain_high": 0.05, "version": "32bd93a98762",
        "decision": "promote" if promoted else "hold", "reason": "z 2.46 > 1 under a drift alarm",
    }  # fmt: skip


UNLABELLED = {"churn_rate": None, "auc_never": None, "auc_policy": None, "auc_policy_low": None,
              "auc_policy_high": None, "gain": None, "gain_low": None, "gain_high": None}  # fmt: skip
"""What a batch has before its labels arrive."""
