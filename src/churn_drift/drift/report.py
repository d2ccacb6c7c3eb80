"""What a drift check found, as frozen values that become JSON."""

import dataclasses
import math
from dataclasses import dataclass
from typing import Any, Literal

Kind = Literal["number", "category"]
Verdict = Literal["drifted", "stable", "insufficient"]

DECIMALS = 6
"""Of every written float: beyond it, results may depend on the CPU."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What makes a feature, a score, a label rate and a batch drifted. Under `drift_check` in params.yaml."""

    fdr: float = 0.01
    """Share of false features among those called drifted. Where nothing has drifted, one batch in 100 has a
    significant feature, before the relevance floor."""

    psi_threshold: float = 0.02
    """The relevance floor: PSI must be above it for certain. Three times the largest PSI between random
    halves of the real customers; in a normal column, where PSI is the squared shift, 0.14 standard
    deviations."""

    confidence: float = 0.95
    """Of the lower bound of PSI (one-sided) and of the label interval (two-sided)."""

    drift_share: float = 0.1
    """Share of drifted features, weighted by importance where it is given, that makes the batch drifted.
    0.1 unweighted is 6 of 53: one broken column is told, but does not condemn the batch. 0: any does."""

    min_rows: int = 200
    """With fewer rows even PSI 0.25, by custom a major change, would often be missed: to show it with 80 %
    power in 10 cells, at the first step of fdr 0.01 over 53 features, takes 140 rows against a large
    reference and 190 against one of 500 (detectable_psi)."""

    alpha: float = 0.001
    """False alarms a look of the score test, and of the label test. 52 weekly looks: 5 % a year each."""

    label_floor: float = 0.01
    """The label rate must have changed by more than this for certain: one point, by which a calibrated score
    is then off on average."""

    power: float = 0.8
    """Chance with which `detectable_psi` would have been shown. Cohen's convention."""

    def __post_init__(self) -> None:
        for name in ("fdr", "confidence", "alpha", "power"):
            if not 0 < getattr(self, name) < 1:
                raise ValueError(f"{name} must lie between 0 and 1, not {getattr(self, name)}")
        for name in ("psi_threshold", "drift_share", "label_floor", "min_rows"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name} must not be negative, not {getattr(self, name)}")


@dataclass(frozen=True, kw_only=True)
class FeatureDrift:
    """How far one feature (or the score) has moved; None where a value is undefined.

    psi, psi_lower      distance, and what it is at least at the limits' confidence
    p_value, q_value    of no drift; q is p corrected for all features of the batch (for the score q = p)
    ks, ks_p            second opinion on the numbers that are present; None for categories
    chi2, chi2_p        second opinion on the cells, missing and unseen included
    cells               cells that hold a row, missing and unseen included
    missing_*           shares without a value; missing_q tests their difference, over all features
    unseen              rows whose level the reference does not have, or outside its range of numbers
    unseen_expected     such rows without drift, from the levels that the reference holds once
    examples            names of a few unseen levels
    weight              share of the importance
    """

    name: str
    kind: Kind
    psi: float | None
    psi_lower: float | None
    p_value: float | None
    q_value: float | None
    ks: float | None
    ks_p: float | None
    chi2: float | None
    chi2_p: float | None
    cells: int
    missing_reference: float | None
    missing_batch: float | None
    missing_q: float | None
    unseen: int
    unseen_expected: float | None
    examples: tuple[str, ...]
    weight: float
    drifted: bool
    reason: str


@dataclass(frozen=True, kw_only=True)
class LabelDrift:
    """How far the share of positive labels has moved, on the rows whose label has arrived."""

    rows: int
    rate_reference: float | None
    rate_batch: float | None
    difference: float | None
    low: float | None
    high: float | None
    p_value: float | None
    drifted: bool
    reason: str

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON: floats rounded to 6 decimals, no NaN."""
        return {name: _plain(value) for name, value in dataclasses.asdict(self).items()}


@dataclass(frozen=True, kw_only=True)
class DriftReport:
    """What one look at one batch found.

    share_drifted     of the features, weighted by importance where it was given
    worst             the feature whose PSI is surest to be large; None without features or rows
    detectable_psi    the smallest shift that a batch of this size would have shown with the limits' power,
                      for a feature with the usual number of cells; None for an empty batch
    """

    verdict: Verdict
    reason: str
    rows_reference: int
    rows_batch: int
    share_drifted: float
    drifted_features: tuple[str, ...]
    worst: str | None
    detectable_psi: float | None
    features: tuple[FeatureDrift, ...]
    score: FeatureDrift | None
    labels: LabelDrift | None

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON: floats rounded to 6 decimals, no NaN."""
        return {name: _plain(value) for name, value in dataclasses.asdict(self).items()}


def _plain(value: object) -> object:
    if isinstance(value, float):
        return round(value, DECIMALS) if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _plain(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(part) for part in value]
    return value
