"""Curves of the newest labelled batch and the pictures of a run, from decision records and scores."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from churn_drift.data.files import Table
from churn_drift.data.scores import Scored
from churn_drift.model import curves as points
from churn_drift.plotting.gains import gains
from churn_drift.plotting.heatmap import psi_heatmap
from churn_drift.plotting.house import save
from churn_drift.plotting.quality import calibration_gain
from churn_drift.plotting.timeline import timeline
from churn_drift.policy.comparison import Comparison

Curves = Mapping[str, Table]


def curves(never: Sequence[Scored], policy: Sequence[Scored], *, confidence: float) -> dict[str, Table]:
    """ROC, precision-recall, calibration and gain of both models on the newest batch with labels of both classes.

    One batch, because rows scored by different models are never pooled. Empty curves where no batch has them.
    """
    place = max((place for place, scored in enumerate(policy) if len(set(scored.labelled()[0])) == 2), default=-1)
    found: dict[str, Table] = {}
    for name, scored in (("never", never[place]), ("policy", policy[place])):
        labels, probabilities = scored.labelled()
        found[f"roc_{name}"] = _table(points.roc(labels, probabilities), "fpr", "tpr")
        found[f"precision_recall_{name}"] = _table(
            points.precision_recall(labels, probabilities), "recall", "precision"
        )
        found[f"calibration_{name}"] = _table(
            points.calibration(labels, probabilities, confidence=confidence),
            "predicted",
            "observed",
            "low",
            "high",
            "rows",
        )
        found[f"gain_{name}"] = _table(points.gain(labels, probabilities), "share", "caught", "lift")
    return found


def draw(
    comparison: Comparison,
    records: Sequence[Mapping[str, Any]],
    curves: Curves,
    folder: Path,
    *,
    policy: str,
    confidence: float,
) -> None:
    """timeline.png, gains.png, drift.png and models.png, the same bytes for the same run."""
    folder.mkdir(parents=True, exist_ok=True)
    batches = [b.batch.removeprefix("batch_") for b in comparison.batches]
    save(
        timeline(
            batches=batches,
            never=[b.never for b in comparison.batches],
            policy=[b.policy for b in comparison.batches],
            drifted=[r["drift"]["share_drifted"] for r in records],
            promoted=[bool(r["promoted"]) for r in records],
            policy_name=policy,
            confidence=confidence,
        ),
        folder / "timeline.png",
    )
    save(
        gains(
            batches=batches,
            gain=[b.difference for b in comparison.batches],
            mean=comparison.gain,
            confidence=confidence,
        ),
        folder / "gains.png",
    )
    features = [f["name"] for f in records[0]["drift"]["features"]]
    save(
        psi_heatmap(
            features=features,
            batches=batches,
            psi=_by_feature(records, "psi"),
            drifted=_by_feature(records, "drifted"),
        ),
        folder / "drift.png",
    )
    save(
        calibration_gain(
            never_calibration=curves["calibration_never"].rows,
            policy_calibration=curves["calibration_policy"].rows,
            never_gain=curves["gain_never"].rows,
            policy_gain=curves["gain_policy"].rows,
            policy_name=policy,
            confidence=confidence,
        ),
        folder / "models.png",
    )


def _by_feature(records: Sequence[Mapping[str, Any]], key: str) -> list[list[Any]]:
    return [list(values) for values in zip(*([f[key] for f in r["drift"]["features"]] for r in records), strict=True)]


def _table(rows: list[dict[str, Any]], *names: str) -> Table:
    return Table(names, rows)
