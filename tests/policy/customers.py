"""Small real batches: simulated customers, models of ten stumps."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from hashlib import sha256
from io import StringIO
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import xgboost

from churn_drift.config import DriftCheck, Retrain, Scenario, SplitBatches, Train
from churn_drift.data.batch_files import write_batches
from churn_drift.data.batch_generator import split
from churn_drift.data.batches import BatchFolder
from churn_drift.data.preprocess import preprocess
from churn_drift.data.simulator import load_statistics, simulate
from churn_drift.model import train
from churn_drift.model.bundle import Bundle
from churn_drift.model.fit_cache import FitCache
from churn_drift.model.window import fit_window
from churn_drift.policy.history import History, fold_history
from churn_drift.policy.workshop import Fitting, Observed

Frames = list[pd.DataFrame]


@contextmanager
def one_thread() -> Iterator[None]:
    """The bytes are those of two threads (tests/model/test_train.py); on a busy machine two wait for each other."""
    with pytest.MonkeyPatch.context() as patch, xgboost.config_context(nthread=1):
        patch.setattr(train, "NTHREAD", 1)
        yield


TRAIN = Train(
    seed=1, trees=10, learning_rate=0.3, max_depth=2, min_child_weight=5, subsample=1, colsample_bytree=1,
    reg_lambda=1, max_cat_threshold=8, max_bin=16, folds=2, profile_bins=10,
)  # fmt: skip
DRIFT_CHECK = DriftCheck(
    label_delay=0, fdr=0.01, psi_threshold=0.02, drift_share=0.1, min_rows=200, alpha=0.001, label_floor=0.01
)
RETRAIN = Retrain(
    policy="evidence", window="last_n", window_batches=2, folds=2, z_promote=2.33, z_alarmed=2.33, z_triggered=1.645,
    price=0.02, period=2,
)  # fmt: skip


@cache
def _customers() -> pd.DataFrame:
    raw = simulate(load_statistics(), rows=3600, seed=3).to_csv(index=False, na_rep="NA")
    text = pd.read_csv(StringIO(raw), dtype=str, keep_default_na=False)
    return preprocess(text, source="simulated", zero_is_missing=True).frame


def frames(*, concept_from: int | None = None) -> Frames:
    """Six shuffled batches of 600, the first two are the reference; labels turned round from a batch on."""
    scenario = Scenario(
        kind="concept" if concept_from else "none", shape="sudden", onset=concept_from or 2, size=1, period=1
    )
    settings = SplitBatches(batches=6, reference_share=0.34, order="shuffled", seed=5, scenario=scenario)
    return split(_customers(), settings).frames


def folder(path: Path, parts: Frames) -> BatchFolder:
    """The batches, written and opened."""
    path.mkdir()
    write_batches(parts, path, reference_batches=2, landed=0, zero_is_missing=True)
    return BatchFolder(path)


_first_models: dict[tuple[str, ...], Bundle] = {}


def first_model(batches: BatchFolder) -> Bundle:
    """Fitted on the reference, once for the same rows."""
    key = tuple(batches.sha256(name) for name in batches.reference)
    if key not in _first_models:
        _first_models[key], _ = fit_window(
            batches, batches.reference, parent=None, reason="first", settings=TRAIN, cache=FitCache(None)
        )
    return _first_models[key]


def fold(
    batches: BatchFolder,
    *,
    cache: Path | None = None,
    label_delay: int = 0,
    observed: Observed | None = None,
    **changes: Any,
) -> History:
    """The timeline of these batches; `changes` are to the section retrain. A version is the sha256 of its trees."""
    policy = RETRAIN.model_copy(update=changes)
    return fold_history(
        batches,
        ("baseline", first_model(batches)),
        policy=policy,
        drift_check=DRIFT_CHECK.model_copy(update={"label_delay": label_delay}),
        fitting=Fitting(TRAIN, policy.folds, FitCache(cache), lambda bundle: sha256(bundle.model).hexdigest()[:12]),
        observed=observed,
    )
