"""Files that arrive, and a repository into whose inbox they have come once, undisturbed."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import Records
from tests.end_to_end.repository import Finished, Repository, copy_of
from tests.once import once
from tests.production.machine import Machine

ROWS = 300
FILES = ("1_batch.csv", "0_labels.csv", "2_batch.csv.gz")


@pytest.fixture(scope="session")
def arrivals(tmp_path_factory: pytest.TempPathFactory, raw_records: Records) -> dict[str, bytes]:
    """A batch without labels, its labels, and a second batch, as bytes by name."""
    folder = tmp_path_factory.mktemp("arrivals")
    raw = raw_records(2 * ROWS)
    raw["CustomerID"] = (raw["CustomerID"].astype(int) + 9_000_000).astype(str)
    raw[:ROWS].drop(columns="Churn").to_csv(folder / FILES[0], index=False)
    raw[:ROWS][["CustomerID", "Churn"]].to_csv(folder / FILES[1], index=False)
    raw[ROWS:].to_csv(folder / FILES[2], index=False, compression={"method": "gzip", "mtime": 0})
    return {name: (folder / name).read_bytes() for name in FILES}


@dataclass(frozen=True)
class Undisturbed:
    """A repository that has taken in all arrivals, pushed and committed them; nobody changes it.

    said  by that run
    """

    machine: Machine
    said: str


@pytest.fixture(scope="session")
def undisturbed(
    finished: Finished, arrivals: dict[str, bytes], tmp_path_factory: pytest.TempPathFactory
) -> Undisturbed:
    def make(folder: Path) -> None:
        machine = Machine(copy_of(finished.repository, folder / "repository"))
        for name, content in arrivals.items():
            machine.drop(name, content)
        (folder / "said.txt").write_text(machine.run("--push", "--commit"))

    folder = once(tmp_path_factory, "taken-in", make)
    return Undisturbed(Machine(Repository(folder / "repository")), (folder / "said.txt").read_text())


@pytest.fixture
def machine(undisturbed: Undisturbed, tmp_path: Path) -> Iterator[Machine]:
    """A copy of that repository, to do with as a user does."""
    yield Machine(copy_of(undisturbed.machine.repository, tmp_path / "repository"))
    shutil.rmtree(tmp_path / "repository")


@pytest.fixture(scope="module")
def fresh(finished: Finished, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """A repository whose inbox is empty, for one file of tests."""
    folder = tmp_path_factory.mktemp("fresh")
    yield Machine(copy_of(finished.repository, folder / "repository"))
    shutil.rmtree(folder)
