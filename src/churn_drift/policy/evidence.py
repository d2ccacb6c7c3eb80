"""What the labels since the last promotion say about "would a fresh model do better?"."""

from dataclasses import dataclass, field, replace
from typing import Any

from churn_drift.model.compare import Difference, PairedSums, rows_needed
from churn_drift.model.ranks import rounded


@dataclass(frozen=True)
class BatchEvidence:
    """One labelled batch: the cross-fitted challenger against the champion, on the same rows.

    sums      paired differences in log loss, positive where the challenger is better
    auc_gain  the challenger's AUC less the champion's, with its interval (paired DeLong); None without evidence
    """

    batch: str
    sums: PairedSums
    auc_gain: Difference | None


@dataclass(frozen=True)
class Evidence:
    """All batches since the last promotion. Rows scored by different champions are never added up."""

    batches: tuple[BatchEvidence, ...] = field(default=())

    def add(self, batch: BatchEvidence) -> "Evidence":
        """The evidence with one more batch."""
        return replace(self, batches=(*self.batches, batch))

    @property
    def sums(self) -> PairedSums:
        """Differences in log loss, added up over the batches."""
        return sum((b.sums for b in self.batches), PairedSums(rows=0, total=0.0, variance=0.0))

    @property
    def z(self) -> float:
        """Standard normal under "no difference": total difference over its standard error; 0 without rows.

        The folds of a cross-fitted challenger share rows, which this variance ignores; on stationary streams the
        size at 2.33 was measured, not assumed (see the README, "How it decides").
        """
        return self.sums.z

    @property
    def auc_gain(self) -> float:
        """Sum over batches of the challenger's AUC less the champion's: what waiting has cost so far."""
        return sum(b.auc_gain.value for b in self.batches if b.auc_gain and b.auc_gain.value is not None)

    @property
    def newest(self) -> "Evidence":
        """The newest batch alone."""
        return Evidence(self.batches[-1:])

    def rows_needed(self, *, z: float) -> int | None:
        """Labels still missing for this z at the effect seen so far; None where the effect has the wrong sign."""
        return rows_needed(self.sums, z=z)

    def to_dict(self) -> dict[str, Any]:
        """For the decision record; + 0 leaves no "-0.0"."""
        return {
            "batches": [b.batch for b in self.batches],
            "rows": self.sums.rows,
            "z": round(self.z, 4) + 0,
            "log_loss_gain": rounded(self.sums.total / self.sums.rows) if self.sums.rows else None,
            "auc_gain_sum": rounded(self.auc_gain),
            "auc_gain_by_batch": {b.batch: b.auc_gain.to_dict() for b in self.batches if b.auc_gain},
        }
