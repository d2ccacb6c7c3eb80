"""Scores of raw records by a loaded model."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import xgboost
from scipy.special import expit

from churn_drift import schema
from churn_drift.columns import Codes, Columns, Numbers
from churn_drift.errors import ModelError
from churn_drift.model.bundle import Bundle, Calibration
from churn_drift.model.features import FEATURES, Encoder, Levels, feature_types

DECIMALS = 6
"""Of every probability that leaves this package: it absorbs what differs between CPUs."""


class Booster:
    """Trees with the levels that their category codes mean. Safe to share between threads.

    threads   that score; one row or a batch of some thousands wants 1 (12 to 17 µs a row), a million rows wants all
    """

    def __init__(self, model: xgboost.Booster, levels: Levels, *, threads: int = 1) -> None:
        model.set_param({"nthread": threads})
        self.model = model
        self.levels = dict(levels)
        self._encoder = Encoder(levels)

    @classmethod
    def of_bytes(cls, content: bytes, levels: Levels, *, threads: int = 1) -> "Booster":
        """From XGBoost's UBJSON. The bytes must have been verified: XGBoost itself trusts them."""
        model = xgboost.Booster()
        model.load_model(bytearray(content))
        return cls(model, levels, threads=threads)

    def to_bytes(self) -> bytes:
        """XGBoost's UBJSON, the same bytes for the same trees."""
        return bytes(self.model.save_raw("ubj"))

    def margins(self, columns: Columns) -> Numbers:
        """Log odds of churn, shape (n,), float64 (of a float32 sum). The same for one row and in a batch."""
        return np.asarray(self.model.inplace_predict(self._encoder(columns), predict_type="margin"), dtype=np.float64)

    def unseen(self, columns: Columns) -> dict[str, int]:
        """Rows for each category column whose value the training rows did not have."""
        return self._encoder.unseen(columns)


@dataclass(frozen=True)
class Scores:
    """One batch, scored. Every array has shape (n,).

    margin       log odds of the trees
    raw          expit(margin): before calibration
    probability  calibrated churn probability, 6 decimals
    decision     True where probability >= threshold
    unseen       category column to rows with a value unknown to the model (scored as missing)
    """

    margin: Numbers
    raw: Numbers
    probability: Numbers
    decision: npt.NDArray[np.bool_]
    unseen: dict[str, int]


class Scorer:
    """A bundle made ready to score, once: what a server or a timeline keeps. Holds no other state.

    booster  its trees
    """

    def __init__(self, bundle: Bundle, *, threads: int = 1) -> None:
        if bundle.features != FEATURES:
            raise ModelError(
                f"the model was made from {len(bundle.features)} features that this code does not compute "
                f"({_difference(bundle.features)}); use the release that made it, or `dvc repro` for a new one"
            )
        self.bundle = bundle
        self.booster = Booster.of_bytes(bundle.model, bundle.levels, threads=threads)
        if (self.booster.model.feature_types or []) != feature_types(bundle.levels):
            raise ModelError(
                "the trees and the category levels of this model do not belong together; `dvc repro` makes a new one"
            )

    def __call__(self, columns: Columns) -> Scores:
        """Scores of a batch."""
        margin = self.booster.margins(columns)
        probability = calibrated(margin, self.bundle.calibration)
        return Scores(
            margin=margin,
            raw=expit(margin),
            probability=probability,
            decision=probability >= self.bundle.threshold,
            unseen=self.booster.unseen(columns),
        )


def score(bundle: Bundle, columns: Columns) -> Scores:
    """Scores of a batch. Who scores more than once keeps a `Scorer`: loading the trees costs more than a row."""
    return Scorer(bundle)(columns)


def calibrated(margin: Numbers, calibration: Calibration) -> Numbers:
    """Churn probability of log odds, 6 decimals."""
    probability: Numbers = np.round(expit(calibration.slope * margin + calibration.intercept), DECIMALS)
    return probability


def columns_of_records(records: Sequence[Mapping[str, float | str | None]]) -> dict[str, Numbers | Codes]:
    """Records of raw values as `Columns`; None or an absent key is missing.

    >>> columns_of_records([{"MonthsInService": 10, "PrizmCode": "Town"}, {}])["PrizmCode"].codes.tolist()
    [0, -1]
    """
    return {column.name: _column(column, [record.get(column.name) for record in records]) for column in schema.RECORD}


def check_golden(bundle: Bundle, scorer: Scorer | None = None) -> None:
    """Score the made-up records of the bundle again. Raises ModelError where one comes out otherwise.

    scorer  of this bundle, where there is one already
    """
    if not bundle.golden:
        raise ModelError("the model carries no golden records; `dvc repro` makes one that does")
    scorer = scorer or Scorer(bundle)
    found = scorer(columns_of_records([golden.record for golden in bundle.golden])).probability
    for place, golden in enumerate(bundle.golden):
        if abs(found[place] - golden.probability) > 1.5 * 10**-DECIMALS:
            raise ModelError(
                f"golden record {place} scores {found[place]:.6f}, was {golden.probability:.6f} "
                "when the model was made; this machine or this code computes otherwise, do not serve from it"
            )


def _column(column: schema.Column, values: Sequence[float | str | None]) -> Numbers | Codes:
    if column.kind == "category":
        return Codes.of([None if value is None else str(value) for value in values])
    return np.array([np.nan if value is None else float(value) for value in values], dtype=np.float64)


def _difference(features: Sequence[str]) -> str:
    changed = sorted(set(features) ^ set(FEATURES))
    return ", ".join(changed[:3]) + ", …" * (len(changed) > 3) if changed else "in another order"
