"""The whole history under one policy: what drift_check, retrain and the studies fold."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from churn_drift.config import DriftCheck, Retrain
from churn_drift.data.batches import BatchFolder
from churn_drift.drift import Limits
from churn_drift.model.bundle import Bundle
from churn_drift.policy.timeline import Event, Observation, State, begin, step
from churn_drift.policy.workshop import Fitting, Observed, Workshop

OBSERVE = Retrain(
    policy="never", window="all", window_batches=1, folds=2, z_promote=0, z_alarmed=0, z_triggered=0, price=0, period=1
)
"""The never-retrain baseline; only its policy is ever looked at."""


@dataclass(frozen=True)
class History:
    """Every event in order, where the timeline stands after them, and what the champions scored.

    scores  one entry a batch: name, version, CustomerID, margin, probability, label (NaN: not arrived)
    """

    events: tuple[Event, ...]
    state: State
    scores: tuple[dict[str, Any], ...]

    def records(self, batches: BatchFolder) -> list[dict[str, Any]]:
        """The decision records, each with the hash of the batch that it is about."""
        return [{**event.to_dict(), "sha256": batches.sha256(event.batch)} for event in self.events]


def fold_history(
    batches: BatchFolder,
    first: tuple[str, Bundle],
    *,
    policy: Retrain,
    drift_check: DriftCheck,
    fitting: Fitting | None = None,
    observed: Observed | None = None,
    progress: Callable[[Sequence[str]], Iterable[str]] = iter,
) -> History:
    """Fold `step` over every batch after the reference, from the first model on.

    first     version and bundle of the first champion
    fitting   None where the policy never fits
    observed  observations that need not be made again
    progress  wraps the batches, to show how far it is
    """
    world = Workshop(
        batches=batches,
        limits=Limits(**drift_check.model_dump(exclude={"label_delay"})),
        fitting=fitting,
        observed=observed or {},
    )
    state = begin(world.add(*first), batches.reference)
    events: list[Event] = []
    for batch in progress(batches.later):
        state, event = step(state, batch, settings=policy, label_delay=drift_check.label_delay, world=world)
        events.append(event)
    return History(tuple(events), state, tuple(_scores(world, batches, event) for event in events))


def observed(records: Sequence[dict[str, Any]]) -> Observed:
    """The observations in decision records, to be reused for the same model and the same batch."""
    return {
        (r["champion"], r["sha256"]): Observation(drifted=r["drift"]["verdict"] == "drifted", report=r["drift"])
        for r in records
    }


def _scores(world: Workshop, batches: BatchFolder, event: Event) -> dict[str, Any]:
    rows, scores = batches.rows(event.batch), world.scores(event.champion, event.batch)
    return {
        "batch": event.batch,
        "version": event.champion,
        "customers": rows.customers,
        "margin": scores.margin,
        "probability": scores.probability,
        "label": rows.labels,
    }
