"""A world of names: nothing is fitted, every question is written down."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from churn_drift.config import Retrain
from churn_drift.model.compare import Difference, PairedSums
from churn_drift.policy.evidence import BatchEvidence
from churn_drift.policy.timeline import Event, Observation, State, begin, step


class Asked(NamedTuple):
    """One question: what, to which model, about which batch, with which other batches."""

    what: str
    version: str
    batch: str
    others: tuple[str, ...] = ()


@dataclass
class FakeWorld:
    """Batches are "0", "1", ...; models "first", "after 2", ... by the newest batch they were fitted on.

    z           of each batch's evidence, 100 rows each; 0 unless given
    alarms      batches that have drifted on arrival
    label_moves batches whose label rate has moved
    unlabelled  batches whose labels have not arrived
    """

    z: Mapping[str, float] = field(default_factory=dict)
    alarms: frozenset[str] = frozenset()
    label_moves: frozenset[str] = frozenset()
    unlabelled: set[str] = field(default_factory=set)
    asked: list[Asked] = field(default_factory=list)

    def observe(self, version: str, batch: str) -> Observation:
        self.asked.append(Asked("observe", version, batch))
        return Observation(drifted=batch in self.alarms, report={"verdict": "told by the world"})

    def labels_of(self, batch: str) -> int:
        self.asked.append(Asked("labels_of", "", batch))
        return 0 if batch in self.unlabelled else 100

    def performance(self, version: str, batch: str) -> dict[str, Any]:
        self.asked.append(Asked("performance", version, batch))
        return {"rows": 100}

    def label_drift(self, version: str, batch: str) -> dict[str, Any] | None:
        self.asked.append(Asked("label_drift", version, batch))
        return {"drifted": batch in self.label_moves}

    def challenge(self, version: str, batch: str, older: Sequence[str]) -> BatchEvidence:
        self.asked.append(Asked("challenge", version, batch, tuple(older)))
        z = self.z.get(batch, 0.0)
        return BatchEvidence(batch, PairedSums(100, z, 1.0), Difference(z / 100))

    def obstacle(self, window: Sequence[str]) -> str | None:
        return None

    def refit(self, version: str, window: Sequence[str], reason: str) -> str:
        self.asked.append(Asked("refit", version, window[-1], tuple(window)))
        return f"after {window[-1]}"

    def about(self, what: str) -> list[Asked]:
        return [asked for asked in self.asked if asked.what == what]


def settings(policy: str, **changes: Any) -> Retrain:
    """The limits of params.yaml unless changed."""
    limits = {
        "window": "all", "window_batches": 2, "folds": 3, "z_promote": 2.33, "z_alarmed": 1.0, "z_triggered": 1.645,
        "price": 0.02, "period": 3,
    }  # fmt: skip
    return Retrain.model_validate({"policy": policy, **limits, **changes})


def fold(world: FakeWorld, how: Retrain, *, label_delay: int, last: int, reference: int = 2) -> list[Event]:
    """Every event of batches `reference` to `last`."""
    return [event for _, event in steps(world, how, label_delay=label_delay, last=last, reference=reference)]


def steps(
    world: FakeWorld, how: Retrain, *, label_delay: int, last: int, reference: int = 2
) -> list[tuple[State, Event]]:
    """Every event, each with the state after it."""
    state, done = begin("first", [str(n) for n in range(reference)]), []
    for n in range(reference, last + 1):
        state, event = step(state, str(n), settings=how, label_delay=label_delay, world=world)
        done.append((state, event))
    return done
