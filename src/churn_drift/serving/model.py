"""The model that answers requests: loaded from verified bytes, proved by its golden records, never changed after."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xgboost

from churn_drift.columns import Columns
from churn_drift.errors import ModelError
from churn_drift.model.bundle import Bundle, load, version_of
from churn_drift.model.inference import Scorer, Scores, calibrated, check_golden, columns_of_records
from churn_drift.serving.forest import PROBES, Forest
from churn_drift.serving.reasons import Contribution, Explainer, Record
from churn_drift.serving.row import RowEncoder

__all__ = ["Answer", "Contribution", "Record", "ServedModel"]

FEW = 30
"""Rows from which XGBoost, which pays 0.3 ms a call, is the faster of the two (`benchmarks/row.py`)."""


@dataclass(frozen=True)
class Answer:
    """One customer, scored.

    probability  calibrated churn probability, 6 decimals
    decision     True (will churn) where the probability is the model's threshold or more
    unseen       category columns whose value the model never saw: scored as missing
    """

    probability: float
    decision: bool
    unseen: tuple[str, ...]


class ServedModel:
    """A bundle ready to answer. Immutable, safe to share between threads.

    version    the id of the model directory
    evaluator  who answers fewer than FEW rows: "masks" (`Forest`), or "xgboost" where that cannot
    reason     why it is that one
    bias       log odds before anything is known of a customer; with all contributions it is the margin
    """

    def __init__(self, bundle: Bundle, *, version: str) -> None:
        """Raises ModelError where a golden record does not come out again."""
        self._scorer = Scorer(bundle)
        check_golden(bundle, self._scorer)
        self.bundle = bundle
        self.version = version
        self.threshold = bundle.threshold
        self.zero_is_missing = bundle.zero_is_missing
        booster = self._scorer.booster.model
        self._explain = Explainer(booster, bundle.levels)
        self.bias = self._explain.bias
        self._encoder = RowEncoder(bundle.levels)
        self._forest, self.reason = _proved(bundle, booster, self._encoder, self._scorer)
        self.evaluator = "masks" if self._forest else "xgboost"

    @classmethod
    def of_folder(cls, folder: Path, *, expected: str | None = None) -> "ServedModel":
        """The model in a directory: every byte verified, those very bytes loaded, its golden records scored again.

        expected   the version that it must be

        Raises ModelError naming what is wrong.
        """
        version = expected or version_of(folder)
        return cls(load(folder, expected=version), version=version)

    def score(self, records: Sequence[Record]) -> list[Answer]:
        """An answer for each typed record (`contract.typed`), to the bit those of `score_columns`."""
        if self._forest is None or len(records) >= FEW:
            return self._score_many(records)
        rows = [self._encoder(record) for record in records]
        margins = np.array([self._forest.margin(values) for values, _ in rows], dtype=np.float64)
        probabilities = calibrated(margins, self.bundle.calibration).tolist()
        return [
            Answer(probability, probability >= self.threshold, unseen)
            for probability, (_, unseen) in zip(probabilities, rows, strict=True)
        ]

    def score_columns(self, columns: Columns) -> Scores:
        """Scores of a batch by XGBoost, to the bit those of the pipeline."""
        return self._scorer(columns)

    def explain(self, record: Record, *, top: int) -> list[Contribution]:
        """What moves a typed record's risk most, by exact TreeSHAP; largest first."""
        return self._explain(record, top=top)

    def _score_many(self, records: Sequence[Record]) -> list[Answer]:
        scores = self.score_columns(columns_of_records(records))
        strange = [name for name, count in scores.unseen.items() if count]
        known = {name: frozenset(self.bundle.levels[name]) for name in strange}
        return [
            Answer(probability, decision, tuple(n for n in strange if record.get(n) not in (None, *known[n])))
            for record, probability, decision in zip(
                records, scores.probability.tolist(), scores.decision.tolist(), strict=True
            )
        ]


def _proved(bundle: Bundle, booster: xgboost.Booster, encoder: RowEncoder, scorer: Scorer) -> tuple[Forest | None, str]:
    """The trees for single rows, and why they may or may not answer: any doubt leaves the rows to XGBoost."""
    records = [golden.record for golden in bundle.golden]
    try:
        forest = Forest.of_booster(booster, bundle.levels)
    except ModelError as doubt:
        return None, str(doubt)
    if [forest.margin(encoder(record)[0]) for record in records] != scorer(columns_of_records(records)).margin.tolist():
        return None, "a golden record gets another margin from the masks than from XGBoost"
    return forest, f"every margin of {PROBES} made-up rows and {len(records)} golden records is XGBoost's to the bit"
