from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from churn_drift import schema
from churn_drift.data.batches import BatchFolder
from churn_drift.errors import TrainingError
from churn_drift.model.bundle import Bundle
from churn_drift.model.fit_cache import FitCache
from churn_drift.model.train import cross_fit, fit
from churn_drift.model.window import cross_fit_batch, fit_window
from tests.policy.customers import TRAIN, Frames, folder, frames, one_thread

OFF = FitCache(None)
FIRST, SECOND, THIRD = "batch_00", "batch_01", "batch_02"


@pytest.fixture(autouse=True)
def _quick() -> Iterator[None]:
    with one_thread():
        yield


@pytest.fixture(scope="module")
def batches(tmp_path_factory: pytest.TempPathFactory) -> BatchFolder:
    return folder(tmp_path_factory.mktemp("window") / "batches", small())


def small() -> Frames:
    return [part.head(300) for part in frames()]


def bundle(batches: BatchFolder, *window: str, **changes: Any) -> Bundle:
    how: dict[str, Any] = {"parent": None, "reason": "first", "settings": TRAIN, "cache": OFF, **changes}
    return fit_window(batches, window, **how)[0]


def test_the_facts_say_where_the_model_comes_from(batches: BatchFolder) -> None:
    facts = bundle(batches, FIRST, SECOND, parent="0dc74beaa0fe", reason="z 3.00 > 2.33").facts
    labels = batches.labelled([FIRST, SECOND]).labels
    assert (facts["parent"], facts["reason"]) == ("0dc74beaa0fe", "z 3.00 > 2.33")
    assert (facts["batches"], facts["rows"]) == ([FIRST, SECOND], 600)
    assert facts["churn_rate"] == round(float(labels.mean()), 6)


def test_the_data_hash_follows_content_and_the_params_hash_settings(tmp_path: Path, batches: BatchFolder) -> None:
    facts = bundle(batches, FIRST).facts
    other_rows = bundle(folder(tmp_path / "batches", [part.head(299) for part in small()]), FIRST).facts
    other_settings = bundle(batches, FIRST, settings=TRAIN.model_copy(update={"trees": 9})).facts
    assert facts["data"] != other_rows["data"]
    assert facts["params"] == other_rows["params"]
    assert facts["data"] == other_settings["data"]
    assert facts["params"] != other_settings["params"]


def test_the_window_is_its_batches_and_nothing_else(tmp_path: Path, batches: BatchFolder) -> None:
    other = folder(tmp_path / "batches", [*small()[:2], *(part.tail(50) for part in small()[2:])])
    assert bundle(batches, FIRST, SECOND) == bundle(other, FIRST, SECOND)


def test_rows_without_a_label_are_no_part_of_the_model_nor_of_its_profile(tmp_path: Path) -> None:
    parts = small()
    known = parts[0][schema.LABEL].where(np.arange(300) < 200)
    partly = folder(tmp_path / "partly", [parts[0].assign(**{schema.LABEL: known}), *parts[1:]])
    without = folder(tmp_path / "without", [parts[0].head(200), *parts[1:]])
    one, two = bundle(partly, FIRST, SECOND), bundle(without, FIRST, SECOND)
    assert (one.model, one.profile, one.facts["rows"]) == (two.model, two.profile, 500)


def test_the_profile_counts_the_windows_rows_and_labels(batches: BatchFolder) -> None:
    found = bundle(batches, FIRST, SECOND)
    churned = int(batches.labelled([FIRST, SECOND]).labels.sum())
    assert found.profile["rows"] == 600
    assert found.profile["labels"] == {"rows": 600, "positives": churned}


def test_a_remembered_fit_takes_the_parent_and_the_reason_of_its_caller(tmp_path: Path, batches: BatchFolder) -> None:
    cache = FitCache(tmp_path)
    first = bundle(batches, FIRST, cache=cache)
    second = bundle(batches, FIRST, cache=cache, parent="0dc74beaa0fe", reason="another")
    assert first.model == second.model
    assert (second.facts["parent"], second.facts["reason"]) == ("0dc74beaa0fe", "another")
    assert len(list(tmp_path.iterdir())) == 1


def test_the_fit_is_that_of_the_rows_in_order(batches: BatchFolder) -> None:
    rows = batches.labelled([FIRST, SECOND])
    direct = fit(rows.columns, rows.labels, settings=TRAIN)
    assert bundle(batches, FIRST, SECOND).model == direct.booster.to_bytes()


def test_a_window_of_one_class_is_refused(tmp_path: Path) -> None:
    parts = small()
    stayed = folder(tmp_path / "batches", [parts[0].assign(**{schema.LABEL: 0.0}), *parts[1:]])
    with pytest.raises(TrainingError, match="all 300 rows of the window stayed"):
        bundle(stayed, FIRST)


# The challenger


def challenger(batches: BatchFolder, *older: str, folds: int = 2, cache: FitCache = OFF) -> list[float]:
    return cross_fit_batch(batches, THIRD, older, folds=folds, settings=TRAIN, cache=cache).tolist()


def test_the_challenger_scores_every_labelled_row_of_the_batch(tmp_path: Path, batches: BatchFolder) -> None:
    parts = small()
    known = parts[2][schema.LABEL].where(np.arange(300) < 200)
    partly = folder(tmp_path / "batches", [*parts[:2], parts[2].assign(**{schema.LABEL: known}), *parts[3:]])
    assert len(challenger(batches, FIRST, SECOND)) == 300
    assert len(challenger(partly, FIRST, SECOND)) == 200


def test_the_challenger_is_the_cross_fit_of_older_and_newest_rows(batches: BatchFolder) -> None:
    older, newest = batches.labelled([FIRST, SECOND]), batches.rows(THIRD)
    direct = cross_fit(older.columns, older.labels, newest.columns, newest.labels, folds=2, settings=TRAIN)
    assert challenger(batches, FIRST, SECOND) == direct.tolist()


def test_the_challenger_is_remembered_by_batches_and_folds(tmp_path: Path, batches: BatchFolder) -> None:
    cache = FitCache(tmp_path)
    challenger(batches, FIRST, cache=cache)
    challenger(batches, FIRST, cache=cache)
    assert len(list(tmp_path.iterdir())) == 1
    challenger(batches, FIRST, SECOND, cache=cache)
    challenger(batches, FIRST, folds=3, cache=cache)
    assert len(list(tmp_path.iterdir())) == 3
