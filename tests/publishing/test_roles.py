import shutil
import sys
from pathlib import Path

import pytest

from churn_drift import paths
from churn_drift.model.bundle import version_of
from churn_drift.publishing import roles
from churn_drift.publishing.registry import MODEL
from churn_drift.publishing.store import opened
from tests.publishing import pipeline

FOLLOWS = """
import sys
from churn_drift.commands.roles import aliases_follow
aliases_follow()
print('mlflow' in sys.modules)
"""


@pytest.fixture
def settled(stored: Path) -> Path:
    """The repository when its candidate, which was never champion, is the challenger in MLflow, too."""
    assert len(roles.follow(mend=True)) == 1
    return stored


def challenger() -> str:
    with opened(remedy="") as store:
        return str(store.client.get_model_version_by_alias(MODEL, "challenger").tags["version"])


def test_the_candidate_that_was_never_champion_is_the_challenger(settled: Path) -> None:
    assert challenger() == version_of(paths.CANDIDATE)


def test_where_no_role_has_changed_hands_mlflow_is_not_even_imported(settled: Path) -> None:
    assert pipeline.call(settled, sys.executable, "-c", FOLLOWS) == "False\n"


def test_a_role_that_has_changed_hands_is_followed(settled: Path) -> None:
    shutil.rmtree(paths.CANDIDATE)
    shutil.copytree(paths.BASELINE, paths.CANDIDATE)
    assert len(roles.follow(mend=True, ask=False)) == 1
    assert challenger() == version_of(paths.BASELINE)


def test_an_alias_that_was_moved_in_mlflow_is_found_where_the_store_is_asked(settled: Path) -> None:
    with opened(remedy="") as store:
        store.client.delete_registered_model_alias(MODEL, "challenger")
    assert roles.follow(mend=True, ask=False) == []
    assert len(roles.follow(mend=False)) == 1
    assert len(roles.follow(mend=True)) == 1


def test_what_was_only_looked_at_and_is_wrong_is_not_remembered_as_right(stored: Path) -> None:
    assert len(roles.follow(mend=False)) == 1
    assert len(roles.follow(mend=True, ask=False)) == 1


def test_another_store_is_asked(settled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copyfile("mlflow.db", settled.parent / "other.db")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{settled.parent / 'other.db'}")
    with opened(remedy="") as store:
        store.client.delete_registered_model_alias(MODEL, "challenger")
    assert len(roles.follow(mend=True, ask=False)) == 1


def test_a_damaged_memory_asks_the_store(settled: Path) -> None:
    for content in ("", "[1]", "null", '{"a": 1}'):
        roles.SEEN.write_text(content)
        assert roles.follow(mend=True, ask=False) == []
        assert roles.follow(mend=True, ask=False) == []


def test_without_a_store_nothing_is_done(here: Path) -> None:
    assert roles.follow(mend=True) == []
    assert not Path("mlflow.db").exists()
