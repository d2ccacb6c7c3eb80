from typing import Any

import numpy as np
import pytest

from churn_drift.data.scores import Scored
from churn_drift.policy import tables
from churn_drift.policy.comparison import compare

LABELS = np.array([0.0, 1.0, 0.0, 1.0, 0.0, 1.0])
USELESS, GOOD = np.array([0.5] * 6), np.array([0.1, 0.9, 0.2, 0.15, 0.3, 0.7])


def feature(name: str, psi: float | None, *, drifted: bool = False) -> dict[str, Any]:
    return {"name": name, "psi": psi, "psi_lower": psi, "ks": 0.1, "drifted": drifted}


def record(batch: str, *, verdict: str = "stable", share: float = 0.0, promoted: str | None = None) -> dict[str, Any]:
    features = [feature("Handsets", 0.2, drifted=True), feature("ServiceArea", None)]
    return {
        "batch": batch,
        "champion": "baseline",
        "drift": {
            "verdict": verdict,
            "share_drifted": share,
            "worst": "Handsets",
            "features": features,
            "score": {"psi": 0.05},
        },
        "decision": "promote" if promoted else "hold",
        "reason": "z 2.40 > 2.33 without an alarm" if promoted else "z 0.10 <= 2.33 without an alarm",
        "promoted": promoted,
    }


CALM, DRIFTED = record("batch_02"), record("batch_03", verdict="drifted", share=0.5, promoted="0dc74beaa0fe")


def test_drift_metrics_count_alarms_and_name_the_first() -> None:
    assert tables.drift_metrics([CALM, DRIFTED]) == {
        "batches": 2,
        "alarms": 1,
        "first_alarm": "batch_03",
        "mean_drifted_share": 0.25,
    }


def test_drift_metrics_without_an_alarm_name_none() -> None:
    assert tables.drift_metrics([CALM])["first_alarm"] is None


def test_retrain_summary_tell_promotions_and_the_last_champion() -> None:
    assert tables.retrain_summary([CALM, DRIFTED], policy="evidence") == {
        "policy": "evidence",
        "promotions": 1,
        "promoted_at": ["batch_03"],
        "champion": "0dc74beaa0fe",
    }


def test_without_a_promotion_the_champion_is_the_baseline() -> None:
    assert tables.retrain_summary([CALM], policy="never")["champion"] == "baseline"


def test_drift_by_batch_shows_the_worst_feature_with_its_psi() -> None:
    (row,) = tables.drift_by_batch([DRIFTED]).rows
    assert row == {
        "batch": "batch_03",
        "verdict": "drifted",
        "drifted_share": 0.5,
        "worst_feature": "Handsets",
        "worst_psi": 0.2,
        "score_psi": 0.05,
    }


def test_drift_by_feature_has_a_row_a_batch_and_feature() -> None:
    frame = tables.drift_by_feature([CALM, DRIFTED])
    assert list(frame.columns) == ["batch", "feature", "psi", "psi_lower", "ks", "drifted"]
    assert [row["batch"] for row in frame.rows] == ["batch_02", "batch_02", "batch_03", "batch_03"]
    assert [row["feature"] for row in frame.rows] == ["Handsets", "ServiceArea", "Handsets", "ServiceArea"]


def test_the_tables_of_an_empty_history_have_their_columns() -> None:
    assert list(tables.drift_by_batch([]).columns)[:2] == ["batch", "verdict"]
    assert list(tables.drift_by_feature([]).columns)[:2] == ["batch", "feature"]
    assert tables.drift_metrics([])["mean_drifted_share"] is None


def scored(batch: str, version: str, probabilities: Any, labels: Any = LABELS) -> Scored:
    return Scored(batch, version, probabilities, labels)


def test_the_timeline_has_a_row_a_batch_with_both_models_and_the_decision() -> None:
    never = [scored("batch_02", "a1", USELESS), scored("batch_03", "a1", USELESS)]
    policy = [scored("batch_02", "a1", USELESS), scored("batch_03", "b2", GOOD)]
    frame = tables.timeline(compare(never, policy, confidence=0.95), [CALM, DRIFTED])
    assert list(frame.columns) == [
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
    ]
    assert [row["rows"] for row in frame.rows] == [6, 6]
    assert [row["auc_never"] for row in frame.rows] == [0.5, 0.5]
    assert [row["auc_policy"] for row in frame.rows] == [0.5, 0.777778]
    assert [row["gain"] for row in frame.rows] == [0.0, 0.277778]
    assert [row["version"] for row in frame.rows] == ["a1", "b2"]
    assert [row["decision"] for row in frame.rows] == ["hold", "promote"]


def test_a_batch_without_labels_has_a_row_without_scores() -> None:
    nothing = np.full(6, np.nan)
    both = [scored("batch_02", "a1", GOOD, nothing)]
    (row,) = tables.timeline(compare(both, both, confidence=0.95), [CALM]).rows
    assert (row["rows"], row["churn_rate"], row["auc_policy"], row["gain"]) == (6, None, None, None)


def test_records_of_another_number_of_batches_are_refused() -> None:
    both = [scored("batch_02", "a1", GOOD)]
    with pytest.raises(ValueError, match="zip"):
        tables.timeline(compare(both, both, confidence=0.95), [CALM, DRIFTED])
