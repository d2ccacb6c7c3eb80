import os
import shutil
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from churn_drift.model.bundle import Bundle
from churn_drift.model.train import fit, pack
from churn_drift.publishing import store
from tests.model.test_train import SETTINGS, customers
from tests.once import once
from tests.publishing import pipeline


@pytest.fixture(scope="session")
def bundle() -> Bundle:
    """A model of 120 customers that its golden records confirm."""
    columns, labels = customers(120)
    facts = {"parent": None, "reason": "first model, of the reference batches", "data": "d1", "params": "p1"}
    facts |= {"rows": 120, "batches": ["batch_00"], "churn_rate": 0.3}
    return pack(fit(columns, labels, settings=SETTINGS), columns, profile={}, facts=facts, zero_is_missing=True)


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory, bundle: Bundle, repository: Path) -> Path:
    """A small finished repository; nobody changes it."""
    return once(tmp_path_factory, "published", partial(pipeline.make, bundle=bundle, params=repository / "params.yaml"))


@pytest.fixture
def here(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A copy of it, the working directory, with no store named by the environment."""
    root = tmp_path / "repository"
    shutil.copytree(made, root, symlinks=True)
    for name, value in pipeline.dvc_folders(tmp_path).items():
        monkeypatch.setenv(name, value)
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    monkeypatch.chdir(root)
    yield root
    if "mlflow" in sys.modules:  # a test may have told MLflow, for all of this process
        sys.modules["mlflow"].set_tracking_uri(None)


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite store with MLflow's tables and no experiment of ours: making the tables takes seconds."""
    for name, value in store.SETTINGS.items():  # MLflow reads them when it is imported
        os.environ.setdefault(name, value)
    return once(tmp_path_factory, "store", make_tables) / "mlflow.db"


def make_tables(folder: Path) -> None:
    """MLflow's, in a new database there."""
    from mlflow import MlflowClient

    MlflowClient(f"sqlite:///{folder / 'mlflow.db'}").search_experiments()


@pytest.fixture
def stored(here: Path, empty_store: Path) -> Path:
    """The copy with an empty mlflow.db in it."""
    shutil.copyfile(empty_store, here / "mlflow.db")
    return here
