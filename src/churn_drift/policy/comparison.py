"""The policy against never retraining: the same batches, the same rows, paired.

Rows scored by different models are never pooled: an AUC is computed within a batch, and batches are averaged with
equal weight. Each batch's labels are used once they exist, also those that came too late for any decision.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from churn_drift.data.scores import Scored
from churn_drift.model.compare import Difference, mean_difference, paired_auc
from churn_drift.model.metrics import Estimate, auc, brier, mean_auc, pr_auc, top_lift

_T = TypeVar("_T")


@dataclass(frozen=True)
class BatchComparison:
    """One batch: AUC of both, and their paired difference (policy less never)."""

    batch: str
    version: str
    rows: int
    labelled: int
    churn_rate: float | None
    never: Estimate
    policy: Estimate
    difference: Difference


@dataclass(frozen=True)
class Comparison:
    """Every batch after the reference, and the means over the headline batches that can be judged.

    A batch whose difference has no standard error (one class, or a handful of labels) is told, but left out of every
    mean: it would leave the gain without an interval, and the pipeline without a verdict, from then on.

    gain      unweighted mean of the paired differences in AUC
    verdict   "better" or "worse" where the gain's interval excludes 0, else "equal"
    """

    batches: tuple[BatchComparison, ...]
    never: Estimate
    policy: Estimate
    gain: Difference
    verdict: Literal["better", "worse", "equal"]


def compare(never: Sequence[Scored], policy: Sequence[Scored], *, confidence: float) -> Comparison:
    """Both timelines, batch by batch and on the mean."""
    batches = tuple(_batch(a, b, confidence=confidence) for a, b in zip(never, policy, strict=True))
    gain = mean_difference([b.difference for b in _judged(batches, batches)], confidence=confidence)
    return Comparison(
        batches=batches,
        never=mean_auc([s.labelled() for s in _judged(batches, never)], confidence=confidence),
        policy=mean_auc([s.labelled() for s in _judged(batches, policy)], confidence=confidence),
        gain=gain,
        verdict=_verdict(gain),
    )


def headline(batches: Sequence[_T]) -> Sequence[_T]:
    """All but the first batch after the reference, which no decision can have changed."""
    return batches[1:]


def metrics(comparison: Comparison, policy: Sequence[Scored], *, promotions: int) -> dict[str, Any]:
    """What `dvc metrics diff` compares: short names, 4 decimals. Means are unweighted over the headline batches."""
    scored = [s.labelled() for s in _judged(comparison.batches, policy)]
    return {
        "auc_never": _short(comparison.never.value),
        "auc_policy": _short(comparison.policy.value),
        "gain": _short(comparison.gain.value),
        "gain_low": _short(comparison.gain.low),
        "gain_high": _short(comparison.gain.high),
        "promotions": promotions,
        "pr_auc": _short(_mean([pr_auc(*s, confidence=0.95).value for s in scored])),
        "brier": _short(_mean([brier(*s, confidence=0.95).value for s in scored])),
        "lift_top_decile": _short(_mean([top_lift(*s, confidence=0.95).value for s in scored])),
    }


def _judged(batches: Sequence[BatchComparison], values: Sequence[_T]) -> list[_T]:
    """Of one value a batch, those of the headline batches that can be judged."""
    pairs = zip(headline(batches), headline(values), strict=True)
    return [value for batch, value in pairs if batch.difference.standard_error is not None]


def _batch(never: Scored, policy: Scored, *, confidence: float) -> BatchComparison:
    labels, first = never.labelled()
    _, second = policy.labelled()
    return BatchComparison(
        batch=policy.batch,
        version=policy.version,
        rows=len(policy.labels),
        labelled=len(labels),
        churn_rate=float(labels.mean()) if len(labels) else None,
        never=auc(labels, first, confidence=confidence),
        policy=auc(labels, second, confidence=confidence),
        difference=paired_auc(labels, first, second, confidence=confidence),
    )


def _verdict(gain: Difference) -> Literal["better", "worse", "equal"]:
    if gain.low is not None and gain.low > 0:
        return "better"
    return "worse" if gain.high is not None and gain.high < 0 else "equal"


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def _short(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
