"""What many tests start from: legal raw customers, a repository whose pipeline has run, examples that stay the same."""

import io
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import settings

from churn_drift.data import simulator
from churn_drift.data.preprocess import preprocess
from tests.browser import CHROMIUM, launched
from tests.end_to_end.repository import Finished, Repository, copy_of, finish
from tests.once import once

settings.register_profile("same_everywhere", deadline=None, derandomize=True)
settings.load_profile("same_everywhere")

# Containers often set it: then every process of the tests compiles its libraries anew, half of all that the tests cost.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
for of_make in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS"):  # a test says the same whether make runs it or not
    os.environ.pop(of_make, None)
sys.dont_write_bytecode = False

LONGEST = (
    "tests/production/test_faults.py",
    "tests/end_to_end/test_models.py",
    "tests/remote/test_remote_fails.py",
    "tests/publishing/test_publish_command.py",
    "tests/reading/test_experiments.py",
    "tests/remote/test_s3.py",
    "tests/serving/test_server.py",
    "tests/tracking/test_rollback.py",
    "tests/end_to_end/test_production.py",
    "tests/end_to_end/test_first_run.py",
    "tests/publishing/test_server.py",
    "tests/serving/test_reload.py",
    "tests/end_to_end/test_what_runs_again.py",
    "tests/end_to_end/test_own_data.py",
    "tests/notebooks/test_notebooks.py",
    "tests/serving/page/test_in_a_browser.py",
    "tests/reading/test_plots_page.py",
    "tests/reading/test_workflow.py",
    "tests/remote/test_doctor.py",
    "tests/aws/test_lambda.py",
    "tests/aws/test_infra_stack.py",
    "tests/aws/test_s3_upload.py",
    "tests/aws/test_toggle.py",
    "tests/aws/test_deploy_model.py",
    "tests/aws/test_trigger_retrain.py",
    "tests/scheduler/test_month.py",
    "tests/production/test_run.py",
    "tests/production/test_on_aws.py",
    "tests/production/test_intake.py",
    "tests/scheduler/test_processes.py",
)
"""Files of more than about 15 s: they start first, so that none is still running when the other workers have done."""

ROWS = 2400
Records = Callable[..., pd.DataFrame]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files first."""
    place = {file: number for number, file in enumerate(LONGEST)}
    items.sort(key=lambda item: place.get(item.nodeid.partition("::")[0], len(LONGEST)))


@pytest.fixture(scope="session")
def repository() -> Path:
    return Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def _simulated() -> pd.DataFrame:
    text = simulator.simulate(simulator.load_statistics(), rows=ROWS, seed=5).to_csv(index=False, na_rep="NA")
    return pd.read_csv(io.StringIO(text), dtype=str, keep_default_na=False, na_filter=False)


@pytest.fixture(scope="session")
def raw_records(_simulated: pd.DataFrame) -> Records:
    """`raw_records(n, start=s)`: n legal raw records as text cells, in order of acquisition, a fresh frame a call."""
    return lambda rows, start=0: _simulated.iloc[start : start + rows].reset_index(drop=True)


@pytest.fixture(scope="session")
def clean_records(raw_records: Records) -> Records:
    """The same, typed and clean."""
    return lambda rows, start=0: (
        preprocess(raw_records(rows, start=start), source="records", zero_is_missing=True).frame
    )


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """A browser."""
    if not CHROMIUM.exists():
        pytest.skip("needs Debian's chromium: make test-deps")
    with launched() as browser:
        yield browser


@pytest.fixture
def scratch(tmp_path: Path, repository: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty folder that the commands take for the repository; the current folder for the test's time."""
    for name in ("dvc.yaml", "params.yaml"):
        (tmp_path / name).write_bytes((repository / name).read_bytes())
    monkeypatch.setenv("CHURN_DRIFT_CACHE", "off")
    monkeypatch.setenv("OMP_WAIT_POLICY", "PASSIVE")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """A small repository whose pipeline has run once and is committed."""
    folder = once(tmp_path_factory, "finished", finish)
    return Finished(Repository(folder / "repository"), (folder / "said.txt").read_text())


@pytest.fixture
def workspace(finished: Finished, tmp_path: Path) -> Iterator[Repository]:
    """A copy of it, cache and results included, to do with as a user does."""
    yield copy_of(finished.repository, tmp_path / "repository")
    shutil.rmtree(tmp_path / "repository")
