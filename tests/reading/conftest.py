"""Two model versions on two commits, made once; tests read them and change nothing."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from tests.end_to_end.repository import Finished, Repository, copy_of
from tests.once import once

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
    folder = once(tmp_path_factory, "versions", partial(make, finished.repository))
    own = copy_of(Repository(folder / "repository"), tmp_path_factory.mktemp("versions") / "repository")
    return Versions(own, (folder / "said.txt").read_text())


def make(first: Repository, folder: Path) -> None:
    """The second version, by an experiment, in a copy of the repository that has the first."""
    repository = copy_of(first, folder / "repository")
    settings = [part for name, (_, new) in CHANGED.items() for part in ("-S", f"{name}={new}")]
    (folder / "said.txt").write_text(repository.run("dvc", "exp", "run", "--name", "second", *settings))
    repository.commit("Second version")
