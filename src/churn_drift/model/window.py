"""Fits on named batches: what the stages and the timeline ask for, remembered by content."""

import hashlib
import json
from collections.abc import Sequence
from typing import Any

from churn_drift.columns import Columns, Numbers, length
from churn_drift.config import Train
from churn_drift.data.batches import BatchFolder
from churn_drift.drift import fit_bins, profile, to_json
from churn_drift.model.bundle import Bundle
from churn_drift.model.fit_cache import FitCache
from churn_drift.model.train import Fitted, cross_fit, fit, pack


def fit_window(
    batches: BatchFolder, window: Sequence[str], *, parent: str | None, reason: str, settings: Train, cache: FitCache
) -> tuple[Bundle, Fitted]:
    """A model of the labelled rows of these batches, ready to be kept, and the fit it came from.

    parent  version of the model it is to succeed
    """
    rows = batches.labelled(list(window))
    key = {"window": _content(batches, window), "train": settings.model_dump()}
    fitted = cache.fitted(key, lambda: fit(rows.columns, rows.labels, settings=settings))
    facts = {
        "parent": parent,
        "reason": reason,
        "batches": list(window),
        "rows": len(rows.labels),
        "churn_rate": round(float(rows.labels.mean()), 6),
        "data": data_digest(batches, window),
        "params": _digest(key["train"]),
        "train": key["train"],
    }
    reference = _profile(rows.columns, rows.labels, fitted.out_of_fold, batches=len(window), bins=settings.profile_bins)
    return pack(fitted, rows.columns, profile=reference, facts=facts, zero_is_missing=batches.zero_is_missing), fitted


def cross_fit_batch(
    batches: BatchFolder, batch: str, older: Sequence[str], *, folds: int, settings: Train, cache: FitCache
) -> Numbers:
    """The cross-fitted challenger's probability for each labelled row of the batch (see `train.cross_fit`)."""
    newest, before = batches.rows(batch).labelled(), batches.labelled(list(older))
    key = {
        "older": _content(batches, older),
        "newest": _content(batches, [batch]),
        "folds": folds,
        "train": settings.model_dump(),
    }
    return cache.array(
        key,
        lambda: cross_fit(before.columns, before.labels, newest.columns, newest.labels, folds=folds, settings=settings),
    )


def data_digest(batches: BatchFolder, window: Sequence[str]) -> str:
    """What a model's facts call `data`: 12 hex digits for the content of its training batches, in order."""
    return _digest(_content(batches, window))


def _profile(columns: Columns, labels: Numbers, scores: Numbers, *, batches: int, bins: int) -> dict[str, Any]:
    """What drift is measured against: the window's columns, out-of-fold scores (held out as a batch's are), labels."""
    fitted = fit_bins(columns, bins=bins, batch_rows=max(1, length(columns) // batches), scores=scores)
    return to_json(profile(fitted, columns, scores=scores, labels=labels))


def _content(batches: BatchFolder, names: Sequence[str]) -> list[str]:
    return [batches.sha256(name) for name in names]


def _digest(document: object) -> str:
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()[:12]
