"""What the model card tells of, and words that its sections share."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from churn_drift.cards.by_slice import Served, Sliced
from churn_drift.cards.markdown import escaped
from churn_drift.config import Retrain
from churn_drift.model.bundle import Bundle
from churn_drift.model.compare import Difference
from churn_drift.policy.comparison import Comparison


@dataclass(frozen=True)
class Subject:
    """What the card tells of.

    version     of the candidate
    simulated   whether the customers are
    drift       the kind of drift that was injected on purpose, or none
    shuffled    whether the customers' order was given up
    records     decision records, one a batch after the reference
    comparison  the policy against never
    served      the labelled batches after the reference, as they were scored
    sliced      the same by slice
    """

    version: str
    bundle: Bundle
    simulated: bool
    drift: str
    shuffled: bool
    policy: Retrain
    label_delay: int
    records: Sequence[Mapping[str, Any]]
    comparison: Comparison
    served: Sequence[Served]
    sliced: Sliced
    confidence: float

    @property
    def level(self) -> str:
        """The intervals' confidence as people write it."""
        return f"{100 * self.confidence:g} %"


def same_model(difference: Difference) -> bool:
    """Whether a difference is that of one model from itself: none, without any spread."""
    return difference.value == 0 and difference.standard_error == 0


def short_name(batch: str) -> str:
    """A batch in a table: 03 for batch_03."""
    return batch.removeprefix("batch_")


def batches(names: Sequence[str], *, capital: bool = False) -> str:
    """Names of batches, a run of them by its ends.

    >>> batches(["batch_03", "batch_04", "batch_05"]), batches(["batch_03"], capital=True)
    ('batches 03 to 05', 'Batch 03')
    """
    first, last = short_name(names[0]), short_name(names[-1])
    joint = "and" if len(names) == 2 else "to"
    said = f"batch {first}" if len(names) == 1 else f"batches {first} {joint} {last}"
    return said.capitalize() if capital else said


def reason(text: str) -> str:
    """A decision's reason as Markdown."""
    return escaped(text.replace("<=", "≤"), longest=120)
