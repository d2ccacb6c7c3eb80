"""The timeline's world on real batches: rows from a folder, fits by XGBoost, drift from the model's own profile."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from churn_drift.columns import Numbers
from churn_drift.config import Train
from churn_drift.data.batches import BatchFolder
from churn_drift.drift import LabelCounts, Limits, Profile, check, check_labels, from_json, profile
from churn_drift.errors import TrainingError
from churn_drift.model.bundle import Bundle
from churn_drift.model.compare import PairedSums, paired_auc, paired_log_loss
from churn_drift.model.fit_cache import FitCache
from churn_drift.model.inference import Scorer, Scores
from churn_drift.model.metrics import evaluate
from churn_drift.model.train import check_window
from churn_drift.model.window import cross_fit_batch, fit_window
from churn_drift.policy.evidence import BatchEvidence
from churn_drift.policy.timeline import Observation

CONFIDENCE = 0.95
"""Of every interval in a decision record."""

Observed = Mapping[tuple[str, str], Observation]
"""Observations made earlier, by model version and sha256 of the batch."""


@dataclass(frozen=True)
class Fitting:
    """How challengers and successors are fitted.

    folds  of the cross-fitted challenger
    keep   stores a bundle and returns its version
    """

    train: Train
    folds: int
    cache: FitCache
    keep: Callable[[Bundle], str]


@dataclass
class Workshop:
    """Implements `timeline.World`.

    fitting   None where the policy never fits
    observed  observations that need not be made again
    """

    batches: BatchFolder
    limits: Limits
    fitting: Fitting | None = None
    observed: Observed = field(default_factory=dict)
    _models: dict[str, Scorer] = field(default_factory=dict)
    _references: dict[str, Profile] = field(default_factory=dict)
    _scores: dict[tuple[str, str], Scores] = field(default_factory=dict)

    def add(self, version: str, bundle: Bundle) -> str:
        """Make a model known under its version."""
        self._models[version] = Scorer(bundle)
        self._references[version] = from_json(bundle.profile)
        return version

    def scores(self, version: str, batch: str) -> Scores:
        """The batch, scored by this model, once."""
        if (version, batch) not in self._scores:
            self._scores[version, batch] = self._models[version](self.batches.rows(batch).columns)
        return self._scores[version, batch]

    def observe(self, version: str, batch: str) -> Observation:
        """See `timeline.World`."""
        return self.observed.get((version, self.batches.sha256(batch))) or self._observe(version, batch)

    def labels_of(self, batch: str) -> int:
        """See `timeline.World`."""
        return int(np.count_nonzero(self._labelled(batch)))

    def performance(self, version: str, batch: str) -> dict[str, Any]:
        """See `timeline.World`."""
        known = self._labelled(batch)
        return evaluate(
            self.batches.rows(batch).labels[known],
            self.scores(version, batch).probability[known],
            threshold=self._models[version].bundle.threshold,
            confidence=CONFIDENCE,
        ).to_dict()

    def label_drift(self, version: str, batch: str) -> dict[str, Any] | None:
        """See `timeline.World`."""
        labels = self.batches.rows(batch).labels[self._labelled(batch)]
        arrived = LabelCounts(rows=len(labels), positives=int(labels.sum()))
        found = check_labels(self._references[version].labels, arrived, limits=self.limits)
        return found.to_dict() if found else None

    def challenge(self, version: str, batch: str, older: Sequence[str]) -> BatchEvidence:
        """See `timeline.World`. A batch with too few labels of a class to cross-fit on is no evidence either way."""
        known = self._labelled(batch)
        labels = self.batches.rows(batch).labels[known]
        champion = self.scores(version, batch).raw[known]
        how = self._fitting()
        if not _enough(labels, folds=how.folds):
            return BatchEvidence(batch, PairedSums(), None)
        challenger = cross_fit_batch(self.batches, batch, older, folds=how.folds, settings=how.train, cache=how.cache)
        return BatchEvidence(
            batch=batch,
            sums=paired_log_loss(labels, champion, challenger),
            auc_gain=paired_auc(labels, champion, challenger, confidence=CONFIDENCE),
        )

    def obstacle(self, window: Sequence[str]) -> str | None:
        """See `timeline.World`."""
        labels = self.batches.labelled(window).labels
        try:
            check_window(labels, rows=len(labels), folds=self._fitting().train.folds)
        except TrainingError as error:
            return str(error)
        return None

    def refit(self, version: str, window: Sequence[str], reason: str) -> str:
        """See `timeline.World`."""
        how = self._fitting()
        bundle, _ = fit_window(self.batches, window, parent=version, reason=reason, settings=how.train, cache=how.cache)
        return self.add(how.keep(bundle), bundle)

    def _fitting(self) -> Fitting:
        if self.fitting is None:
            raise TypeError("this workshop only observes: it was made without `fitting`")
        return self.fitting

    def _observe(self, version: str, batch: str) -> Observation:
        reference = self._references[version]
        scores = self.scores(version, batch)
        seen = profile(reference.bins, self.batches.rows(batch).columns, scores=scores.probability)
        report = check(reference, seen, limits=self.limits)
        return Observation(drifted=report.verdict == "drifted", report=report.to_dict())

    def _labelled(self, batch: str) -> Any:
        return ~np.isnan(self.batches.rows(batch).labels)


def _enough(labels: Numbers, *, folds: int) -> bool:
    try:
        check_window(labels, rows=len(labels), folds=folds)
    except TrainingError:
        return False
    return True
