"""The model that MLflow serves scores raw rows as the pipeline did, on every row that a model of the run has scored."""

import pandas as pd
import pytest

from churn_drift import schema
from churn_drift.publishing.pyfunc import _load_pyfunc
from tests.end_to_end.repository import Finished

pytestmark = pytest.mark.slow


def test_raw_rows_of_the_csv_score_to_the_bit_as_the_timeline_scored_them(finished: Finished) -> None:
    root = finished.repository.root
    raw = pd.read_csv(root / "data/raw/customers.csv", dtype=str, keep_default_na=False)
    rows = raw.set_index(raw[schema.ID].astype("int64"))
    scores = pd.read_parquet(root / "data/scores/retrain.parquet")
    folders = [root / "models/baseline", *(root / "models/retrained").iterdir()]
    models = {folder.name.partition("_")[2]: folder for folder in folders}
    used = scores["version"].unique()
    assert len(used) >= 2
    for version in used:
        mine = scores[scores["version"] == version].set_index(schema.ID)
        model = _load_pyfunc(str(models.get(version, root / "models/baseline")))
        assert model.predict(rows.loc[mine.index])["probability"].tolist() == mine["probability"].tolist()
