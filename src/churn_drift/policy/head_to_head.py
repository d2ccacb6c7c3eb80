"""Two model versions on the rows that neither was fitted on."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from churn_drift.data.batches import BatchFolder
from churn_drift.model.bundle import Bundle
from churn_drift.model.compare import Difference, mean_difference, paired_auc
from churn_drift.model.inference import Scorer
from churn_drift.model.metrics import Estimate, auc
from churn_drift.model.window import data_digest


@dataclass(frozen=True)
class Bout:
    """One batch: the AUC of both, and the second's less the first's on the same rows."""

    name: str
    rows: int
    first: Estimate
    second: Estimate
    difference: Difference


def knows(batches: BatchFolder, bundle: Bundle) -> bool:
    """Whether the model was fitted on batches of this folder, byte for byte: only then is it known what it has seen."""
    window = bundle.facts["batches"]
    return set(window) <= set(batches.names) and data_digest(batches, window) == bundle.facts["data"]


def bouts(batches: BatchFolder, first: Bundle, second: Bundle, *, confidence: float) -> list[Bout]:
    """Each labelled batch that neither model was fitted on, oldest first."""
    seen = {*first.facts["batches"], *second.facts["batches"]}
    scorers = Scorer(first), Scorer(second)
    unseen = [name for name in batches.names if name not in seen]
    return [bout for name in unseen if (bout := _bout(batches, name, scorers, confidence=confidence))]


def mean_of(fought: Sequence[Bout], *, confidence: float) -> Difference:
    """The unweighted mean over the batches."""
    return mean_difference([bout.difference for bout in fought], confidence=confidence)


def _bout(batches: BatchFolder, name: str, scorers: tuple[Scorer, Scorer], *, confidence: float) -> Bout | None:
    rows = batches.rows(name).labelled()
    if len(np.unique(rows.labels)) < 2:
        return None
    first, second = (scorer(rows.columns).margin for scorer in scorers)
    return Bout(
        name=name,
        rows=len(rows.labels),
        first=auc(rows.labels, first, confidence=confidence),
        second=auc(rows.labels, second, confidence=confidence),
        difference=paired_auc(rows.labels, first, second, confidence=confidence),
    )
