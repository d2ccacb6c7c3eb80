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

    def obstacle(self, window: Sequence[str]) -> str | None:
        """Why no model can be fitted on the labelled rows of the window; None where one can."""

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

    def older(self, settings: Retrain) -> tuple[str, ...]:
        """The batches that a challenger uses beside the newest, so that both make up one window."""
        keep = settings.window_batches - 1
        return self.labelled if settings.window == "all" else self.labelled[-keep:] if keep else ()


@dataclass(frozen=True)
class Event:
    """Everything that was seen and decided at one step.

    champion  the version that scored the batch
    arrived   batches whose labels arrived, each with the performance and the label drift it showed
    alarms    what has drifted: the batch (features or score), the churn rate of labels that arrived
    promoted  the version that serves from the next batch on; None on a hold
    """

    batch: str
    champion: str
    observation: Observation
    arrived: tuple[dict[str, Any], ...]
    alarms: tuple[str, ...]
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
            "alarms": list(self.alarms),
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
    state = replace(state, waiting=(*state.waiting, batch), steps=state.steps + 1)
    arrived = tuple(_arrival(state, name, world) for name in _due(state, label_delay) if world.labels_of(name))
    for record in arrived:
        state = _learn(state, record["batch"], settings=settings, world=world)
    alarms = _alarms(observation, arrived)
    decision = _decide(state, bool(alarms), settings=settings, world=world)
    event = Event(batch, state.champion, observation, arrived, alarms, state.evidence, decision, promoted=None)
    if not decision.promote:
        return state, event
    promoted = world.refit(state.champion, state.window(settings), decision.reason)
    after = replace(state, champion=promoted, fitted=len(state.labelled), evidence=Evidence(), steps=0)
    return after, replace(event, promoted=promoted)


def _arrival(state: State, batch: str, world: World) -> dict[str, Any]:
    """What the labels of a batch say of the champion of today, which was not fitted on them."""
    return {
        "batch": batch,
        "version": state.champion,
        "performance": world.performance(state.champion, batch),
        "label_drift": world.label_drift(state.champion, batch),
    }


def _alarms(observation: Observation, arrived: Sequence[dict[str, Any]]) -> tuple[str, ...]:
    labels = any((record["label_drift"] or {}).get("drifted") for record in arrived)
    return ("batch",) * observation.drifted + ("churn rate",) * labels


def _decide(state: State, alarmed: bool, *, settings: Retrain, world: World) -> Decision:  # noqa: FBT001
    fresh = len(state.labelled) > state.fitted
    situation = Situation(evidence=state.evidence, alarmed=alarmed, fresh=fresh, steps=state.steps)
    decision = decide(settings, situation)
    obstacle = world.obstacle(state.window(settings)) if decision.promote else None
    return decision if obstacle is None else Decision(False, f"{decision.reason}, but {obstacle}")


def _due(state: State, label_delay: int) -> tuple[str, ...]:
    """Batches that have waited `label_delay` steps or more."""
    return state.waiting[: max(0, len(state.waiting) - label_delay)]


def _learn(state: State, batch: str, *, settings: Retrain, world: World) -> State:
    """Take in one batch's labels; a policy that may promote also challenges the champion on them."""
    waiting = tuple(name for name in state.waiting if name != batch)
    if settings.policy == "never":
        return replace(state, waiting=waiting, labelled=(*state.labelled, batch))
    evidence = state.evidence.add(world.challenge(state.champion, batch, state.older(settings)))
    return replace(state, waiting=waiting, labelled=(*state.labelled, batch), evidence=evidence)
