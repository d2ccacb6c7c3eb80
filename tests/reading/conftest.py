"""Two model versions on two commits, made once; tests read them and change nothing."""

from dataclasses import dataclass

import pytest

from tests.end_to_end.repository import Finished, Repository, copy_of

CHANGED = {"drift_check.psi_threshold": ("0.02", "0.5"), "retrain.policy": ("evidence", "periodic")}
"""What the second version has otherwise: name, value at HEAD~1, value at HEAD."""


@dataclass(frozen=True)
class Versions:
    """A repository whose HEAD~1 holds the first version and HEAD the second.

    said  by the experiment that made the second
    """

    repository: Repository
    said: str


@pytest.fixture(scope="session")
def versions(finished: Finished, tmp_path_factory: pytest.TempPathFactory) -> Versions:
    repository = copy_of(finished.repository, tmp_path_factory.mktemp("versions") / "repository")
    settings = [part for name, (_, new) in CHANGED.items() for part in ("-S", f"{name}={new}")]
    said = repository.run("dvc", "exp", "run", "--name", "second", *settings)
    repository.commit("Second version")
    return Versions(repository, said)
