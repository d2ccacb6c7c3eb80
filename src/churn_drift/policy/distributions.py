"""How every feature and the score is spread, batch by batch, in the cells of one model's reference."""

from churn_drift.data.batches import BatchFolder
from churn_drift.data.files import Table
from churn_drift.drift import Profile, distributions, from_json, profile
from churn_drift.model.bundle import Bundle
from churn_drift.policy.history import History

REFERENCE = "reference"


def profiles(history: History, batches: BatchFolder, first: Bundle) -> dict[str, Profile]:
    """The first model's reference, then every batch with the scores it got."""
    reference = from_json(first.profile)
    return {
        REFERENCE: reference,
        **{
            scored["batch"]: profile(
                reference.bins, batches.rows(scored["batch"]).columns, scores=scored["probability"]
            )
            for scored in history.scores
        },
    }


def table(samples: dict[str, Profile]) -> Table:
    """One row a feature and cell, a column of shares a sample; `place` is the cell's in the order shown.

    The score is the feature `score`. A table as wide as the history is long: a third of one with a row a batch.
    """
    return Table(
        ("feature", "place", "cell", *samples),
        [
            {
                "feature": found.column,
                "place": place,
                "cell": cell,
                **{sample: found.shares[sample][place] for sample in samples},
            }
            for found in distributions(samples)
            for place, cell in enumerate(found.cells)
        ],
    )
