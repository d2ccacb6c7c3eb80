"""A small run as the cards see it: four batches of literal customers, two champions, no file."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from churn_drift.cards.by_slice import Served, by_slice, judged
from churn_drift.cards.slices import dimensions
from churn_drift.cards.subject import Subject
from churn_drift.columns import Codes, Columns
from churn_drift.data.scores import Scored
from churn_drift.model.bundle import Bundle, Calibration
from churn_drift.model.features import FEATURES
from churn_drift.policy.comparison import compare
from tests.policy.customers import RETRAIN, TRAIN

CREDIT = ("1-Highest", "5-Low")
AREAS = ("NYCBRO917", "NYCMAN917", "DALDAL214")


def customers(rows: int, *, credit: Sequence[str | None] = CREDIT, areas: Sequence[str | None] = AREAS) -> Columns:
    """Values taken in turn, tenures of 5 to 44 months, ages of 20 to 69 and unknown."""
    number = np.arange(rows)
    return {
        "MonthsInService": 5.0 + number % 40,
        "AgeHH1": np.where(number % 4 == 0, np.nan, 20.0 + number % 50),
        "CreditRating": Codes.of([credit[i % len(credit)] for i in range(rows)]),
        "ServiceArea": Codes.of([areas[i % len(areas)] for i in range(rows)]),
    }


def batch(number: int, *, rows: int = 600, version: str = "a1a1a1a1a1a1", columns: Columns | None = None) -> Served:
    """Probabilities that are right, 0.05 to 0.65."""
    generator = np.random.default_rng(number)
    probabilities = np.round(0.05 + 0.6 * generator.random(rows), 6)
    labels = (generator.random(rows) < probabilities).astype(float)
    return Served(f"batch_{number:02d}", version, 0.3, labels, probabilities, columns or customers(rows))


def scored(served: Served, *, labelled: bool = True) -> Scored:
    labels = served.labels if labelled else np.full(len(served.labels), np.nan)
    return Scored(served.batch, served.version, served.probabilities, labels)


def record(served: Served, *, promoted: str | None = None, reason: str = "z 0.10 <= 2.33 without an alarm") -> Any:
    feature = {"name": "Handsets", "psi": 0.2, "drifted": True}
    return {
        "batch": served.batch,
        "champion": served.version,
        "drift": {
            "verdict": "drifted",
            "share_drifted": 0.5,
            "worst": "Handsets",
            "features": [feature],
            "score": {"psi": 0.05},
        },
        "alarms": ["batch"],
        "decision": "promote" if promoted else "hold",
        "reason": reason,
        "promoted": promoted,
    }


BUNDLE = Bundle(
    model=b"",
    features=FEATURES,
    levels={},
    zero_is_missing=True,
    calibration=Calibration(1.0, 0.0),
    threshold=0.3,
    profile={},
    facts={
        "parent": None,
        "reason": "first model, of the reference batches",
        "batches": ["batch_00", "batch_01"],
        "rows": 1200,
        "churn_rate": 0.3,
        "data": "d" * 12,
        "params": "e" * 12,
        "train": TRAIN.model_dump(),
    },
)
"""Of the candidate; no scores are made with it."""

HISTORY = tuple(batch(number) for number in range(2, 6))


def subject(
    served: Sequence[Served] = HISTORY,
    *,
    version: str = "b2b2b2b2b2b2",
    unlabelled: Sequence[Served] = (),
    reference: Columns | None = None,
    records: Sequence[Any] | None = None,
    **changes: Any,
) -> Subject:
    """What the card of these batches tells of; `unlabelled` come after them."""
    scores = [*(scored(part) for part in served), *(scored(part, labelled=False) for part in unlabelled)]
    parts = [*served, *unlabelled]
    ways = dimensions(reference or customers(600))
    found = Subject(
        version=version,
        bundle=BUNDLE,
        simulated=True,
        drift="none",
        shuffled=False,
        policy=RETRAIN,
        label_delay=1,
        records=[record(part) for part in parts] if records is None else records,
        comparison=compare(scores, scores, confidence=0.95),
        served=tuple(served),
        sliced=by_slice(judged(served, parts[0].batch), ways, confidence=0.95),
        confidence=0.95,
    )
    return replace(found, **changes)
