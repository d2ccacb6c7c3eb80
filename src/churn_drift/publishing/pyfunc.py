"""How `mlflow.pyfunc.load_model` loads a bundle: no pickle, every byte verified, the golden records scored again.

Raw customers come in as the CSV has them, text or numbers; they are typed and scored by the code that the stages use.
"""

from pathlib import Path

import pandas as pd

from churn_drift import schema
from churn_drift.data.frames import columns_of
from churn_drift.data.preprocess import typed_cells
from churn_drift.errors import DataError
from churn_drift.model.bundle import load
from churn_drift.model.inference import Scorer, check_golden

PROBABILITY = "probability"
DECISION = "decision"


class ScoringModel:
    """What a loaded model does. Safe to share between threads."""

    def __init__(self, scorer: Scorer) -> None:
        self._scorer = scorer

    def predict(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Churn probability (6 decimals) and decision (True: will churn) of each row, under the frame's own index.

        frame   raw records in the names and codes of the CSV, cells as text or as numbers. A column that is absent
                counts as missing, as an empty cell does; what is no column of a record (CustomerID, Churn) is passed
                over.

        Raises DataError naming row, column and value where a cell is not legal, or where no column is a record's.
        """
        if not any(column.name in frame for column in schema.RECORD):
            raise DataError(
                "input: has none of the columns that the model reads; "
                "give customers with the columns of src/churn_drift/schema.py"
            )
        scores = self._scorer(columns_of(self._typed(frame.reset_index(drop=True))))
        return pd.DataFrame({PROBABILITY: scores.probability, DECISION: scores.decision}, index=frame.index)

    def _typed(self, frame: pd.DataFrame) -> pd.DataFrame:
        zero_is_missing = self._scorer.bundle.zero_is_missing
        return pd.DataFrame(
            {
                column.name: typed_cells(_cells(frame, column), column, source="input", zero_is_missing=zero_is_missing)
                for column in schema.RECORD
            }
        )


def _cells(frame: pd.DataFrame, column: schema.Column) -> pd.Series:
    """A column as `typed_cells` takes it: text stays, a number stays a number, missing is an empty cell."""
    if column.name not in frame:
        return pd.Series("", index=frame.index, dtype="object")
    values = frame[column.name].astype("object")
    if column.kind == "category" or not pd.api.types.is_numeric_dtype(frame[column.name]):
        values = values.map(lambda value: _cell(value, text=column.kind == "category"), na_action="ignore")
    return values.where(values.notna(), "")


def _cell(value: object, *, text: bool) -> object:
    """A number among text stays a number, unless text is meant; True is no number."""
    return value if isinstance(value, int | float) and not isinstance(value, bool) and not text else str(value)


def _load_pyfunc(path: str) -> ScoringModel:
    """MLflow calls this. Raises ModelError where the bundle was altered, or scores otherwise here."""
    bundle = load(Path(path))
    check_golden(bundle)
    return ScoringModel(Scorer(bundle))
