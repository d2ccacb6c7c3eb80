"""Batches in order of arrival, and drift injected into them on purpose."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pandas as pd

from churn_drift import schema
from churn_drift.config import Scenario, SplitBatches
from churn_drift.errors import DataError

SHIFTED = ("MonthlyRevenue", "MonthlyMinutes", "TotalRecurringCharge", "OverageMinutes", "CurrentEquipmentDays")
"""Columns that an injected covariate drift moves: what a new tariff and new handsets would move."""
DRIVER = "CurrentEquipmentDays"
"""Column whose relation to churn an injected concept drift turns round: the strongest single one (DESIGN, 5)."""


@dataclass(frozen=True)
class Split:
    """The batches, and the truth about the drift that was injected.

    frames  one frame a batch, in order of arrival
    truth   kind, shape, onset, size and the strength by batch; nothing after this stage may read it
    """

    frames: list[pd.DataFrame]
    truth: dict[str, object]


def split(frame: pd.DataFrame, settings: SplitBatches) -> Split:
    """Equal batches in the stated order, the scenario's drift injected. Fits on the reference batches only.

    Raises DataError when there are fewer rows than batches.
    """
    if len(frame) < settings.batches:
        raise DataError(f"{len(frame)} customers cannot make {settings.batches} batches; lower split_batches.batches")
    ordered = frame if settings.order == "acquisition" else frame.sample(frac=1, random_state=settings.seed)
    bounds = np.linspace(0, len(ordered), settings.batches + 1).round().astype(int)
    frames = [ordered.iloc[a:b].reset_index(drop=True) for a, b in pairwise(bounds)]
    strengths = [strength(settings.scenario, batch) for batch in range(settings.batches)]
    reference = pd.concat(frames[: settings.reference_batches])
    inject = _INJECT[settings.scenario.kind]
    drifted = [
        inject(part, reference, size=settings.scenario.size * w, seed=settings.seed + batch) if w else part
        for batch, (part, w) in enumerate(zip(frames, strengths, strict=True))
    ]
    return Split(frames=drifted, truth={**settings.scenario.model_dump(), "strength": strengths})


def check_reference(frame: pd.DataFrame, settings: SplitBatches, *, source: str) -> None:
    """Raises DataError where the reference batches could not be learnt from: a label missing, or one class only."""
    frames = split(frame, settings).frames
    reference = pd.concat(frames[: settings.reference_batches])
    missing = reference.loc[reference[schema.LABEL].isna(), schema.ID]
    if len(missing):
        raise DataError(
            f"{source}: Churn: the label of customer {missing.iloc[0]} is missing ({len(missing)} such rows) in the "
            "reference batches; label the rows or lower split_batches.reference_share"
        )
    if reference[schema.LABEL].min() == reference[schema.LABEL].max():
        what = "churned" if reference[schema.LABEL].iloc[0] else "stayed"
        raise DataError(
            f"{source}: Churn: all {len(reference)} customers of the reference batches {what}; a model needs both: "
            "raise split_batches.reference_share or give a file with both"
        )


def strength(scenario: Scenario, batch: int) -> float:
    """The share of the drift's full size that a batch carries, 0 before the onset.

    >>> gradual = Scenario(kind="prior", shape="gradual", onset=4, size=1.0, period=4)
    >>> [strength(gradual, batch) for batch in (3, 4, 7, 9)]
    [0.0, 0.25, 1.0, 1.0]
    """
    since = batch - scenario.onset
    if scenario.kind == "none" or since < 0:
        return 0.0
    if scenario.shape == "gradual":
        return min(1.0, (since + 1) / scenario.period)
    if scenario.shape == "recurring":
        return float(since // scenario.period % 2 == 0)
    return 1.0


def _covariate(frame: pd.DataFrame, reference: pd.DataFrame, *, size: float, seed: int) -> pd.DataFrame:
    """Values of SHIFTED moved by `size` reference standard deviations; labels stay with their customers."""
    moved = {}
    for name in SHIFTED:
        column = schema.BY_NAME[name]
        shifted = frame[name] + size * reference[name].std()
        moved[name] = shifted.clip(lower=column.minimum).round(column.decimals)
    return frame.assign(**moved)


def _prior(frame: pd.DataFrame, reference: pd.DataFrame, *, size: float, seed: int) -> pd.DataFrame:
    """Fewer of one class, drawn at random, so that the log odds of churn move by `size`: P(x | churn) stays.

    Rows whose label has not arrived all stay. The batch has fewer rows afterwards.
    """
    labels = frame[schema.LABEL].to_numpy()
    churned, stayed = np.flatnonzero(labels == 1), np.flatnonzero(labels == 0)
    if not (len(churned) and len(stayed)):
        return frame
    thinned = stayed if size > 0 else churned
    keep = round(len(thinned) * math.exp(-abs(size)))
    kept = np.random.default_rng(seed).choice(thinned, size=keep, replace=False)
    stays = np.ones(len(frame), dtype=bool)
    stays[thinned] = False
    stays[kept] = True
    return frame[stays].reset_index(drop=True)


def _concept(frame: pd.DataFrame, reference: pd.DataFrame, *, size: float, seed: int) -> pd.DataFrame:
    """Labels exchanged between mirrored ranks of DRIVER for a `size` share of the pairs: P(x), P(churn) stay.

    Rows without a label or without DRIVER keep what they have.
    """
    ranked = np.flatnonzero(frame[[DRIVER, schema.LABEL]].notna().all(axis=1))
    order = ranked[np.argsort(frame[DRIVER].to_numpy()[ranked], kind="stable")]
    half = len(order) // 2
    low, high = order[:half], order[::-1][:half]
    swap = np.random.default_rng(seed).random(half) < size
    labels = frame[schema.LABEL].to_numpy(copy=True)
    labels[low[swap]], labels[high[swap]] = labels[high[swap]], labels[low[swap]]
    return frame.assign(**{schema.LABEL: labels})


def _none(frame: pd.DataFrame, reference: pd.DataFrame, *, size: float, seed: int) -> pd.DataFrame:
    return frame


_INJECT: dict[str, Callable[..., pd.DataFrame]] = {
    "none": _none,
    "covariate": _covariate,
    "prior": _prior,
    "concept": _concept,
}
