"""The production cycle and the history are the same function: `step`; `history` folds it.

Test-then-train: at step t batch t is observed and scored by the champion as it stood before t; the labels of batch
t - label_delay arrive; perhaps a challenger is promoted, which takes effect at t + 1. What `step` needs of the world
(rows, scores, fits) comes through the injected `World`; `State` is small and JSON.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from churn_drift.config import Retrain
from churn_drift.policy.decision import Decision, Situation, decide
from churn_drift.policy.evidence import BatchEvidence, Evidence


@dataclass(frozen=True)
class Observation:
    """A batch as the champion saw it when it arrived, before any label.

    drifted  the verdict of the drift report
    report   the report itself, for the record
    """

    drifted: bool
    report: dict[str, Any]


class World(Protocol):
    """Rows, scores and fits, by name of batch and version of model."""

    def observe(self, version: str, batch: str) -> Observation:
        """Score the batch by this model and compare it with the model's reference profile."""

    def labels_of(self, batch: str) -> int:
        """How many of the batch's rows have a label to learn from."""

    def performance(self, version: str, batch: str) -> dict[str, Any]:
        """AUC, PR-AUC and calibration of this model on the batch's labelled rows, with intervals."""

    def label_drift(self, version: str, batch: str) -> dict[str, Any] | None:
        """The batch's label rate against the model's training window."""

    def challenge(self, version: str, batch: str, older: Sequence[str]) -> BatchEvidence:
        """The cross-fitted challenger against this model on the batch's labelled rows."""

    def refit(self, version: str, window: Sequence[str], reason: str) -> str:
        """Fit a successor of this model on all labelled rows of the window; its version."""


@dataclass(frozen=True)
class State:
    """Where the timeline stands: the champion, the labels that have arrived, the evidence since the last promotion.

    labelled  batches whose labels have arrived, oldest first, the reference included
    waiting   batches whose labels have not, oldest first
    fitted    how many of `labelled` the champion was fitted on
    steps     batches observed since the last promotion
    """

    champion: str
    labelled: tuple[str, ...]
    waiting: tuple[str, ...] = ()
    fitted: int = 0
    evidence: Evidence = field(default=Evidence())
    steps: int = 0

    def window(self, settings: Retrain) -> tuple[str, ...]:
        """The labelled batches that a fit may use."""
        return self.labelled if settings.window == "all" else self.labelled[-settings.window_batches :]


@dataclass(frozen=True)
class Event:
    """Everything that was seen and decided at one step.

    champion  the version that scored the batch
    arrived   batches whose labels arrived, each with the performance and the label drift it showed
    promoted  the version that serves from the next batch on; None on a hold
    """

    batch: str
    champion: str
    observation: Observation
    arrived: tuple[dict[str, Any], ...]
    evidence: Evidence
    decision: Decision
    promoted: str | None

    def to_dict(self) -> dict[str, Any]:
        """One decision record."""
        return {
            "batch": self.batch,
            "champion": self.champion,
            "drift": self.observation.report,
            "labels_arrived": list(self.arrived),
            "evidence": self.evidence.to_dict(),
            "decision": "promote" if self.decision.promote else "hold",
            "reason": self.decision.reason,
            "labels_needed": self.decision.labels_needed,
            "promoted": self.promoted,
        }


def begin(champion: str, reference: Sequence[str]) -> State:
    """The state before the first batch: a champion fitted on the labelled reference batches."""
    return State(champion=champion, labelled=tuple(reference), fitted=len(reference))


def step(state: State, batch: str, *, settings: Retrain, label_delay: int, world: World) -> tuple[State, Event]:
    """Observe a batch, take in the labels that are due, decide. What is promoted serves from the next batch on."""
    observation = world.observe(state.champion, batch)
    seen = replace(state, waiting=(*state.waiting, batch), steps=state.steps + 1)
    due, arrived, records = _due(seen, label_delay), list[str](), list[dict[str, Any]]()
    for name in due:
        if world.labels_of(name):
            arrived.append(name)
            records.append(
                {
                    "batch": name,
                    "performance": world.performance(state.champion, name),
                    "label_drift": world.label_drift(state.champion, name),
                }
            )
    learnt = replace(seen, waiting=tuple(name for name in seen.waiting if name not in arrived))
    for name in arrived:
        learnt = _learn(learnt, name, settings=settings, world=world)
    decision = decide(
        settings,
        Situation(
            evidence=learnt.evidence,
            alarmed=observation.drifted or any((r["label_drift"] or {}).get("drifted") for r in records),
            fresh=len(learnt.labelled) > learnt.fitted,
            steps=learnt.steps,
        ),
    )
    event = Event(batch, state.champion, observation, tuple(records), learnt.evidence, decision, promoted=None)
    if not decision.promote:
        return learnt, event
    promoted = world.refit(state.champion, learnt.window(settings), decision.reason)
    after = replace(learnt, champion=promoted, fitted=len(learnt.labelled), evidence=Evidence(), steps=0)
    return after, replace(event, promoted=promoted)


def _due(state: State, label_delay: int) -> tuple[str, ...]:
    """Batches that have waited `label_delay` steps or more."""
    return state.waiting[: max(0, len(state.waiting) - label_delay)]


def _learn(state: State, batch: str, *, settings: Retrain, world: World) -> State:
    """Take in one batch's labels; a policy that may promote also challenges the champion on them."""
    if settings.policy == "never":
        return replace(state, labelled=(*state.labelled, batch))
    evidence = state.evidence.add(world.challenge(state.champion, batch, state.window(settings)))
    return replace(state, labelled=(*state.labelled, batch), evidence=evidence)
