"""A batch arrives: the code that made the history says what it would do, and then does it."""

import re
from typing import Any

import pandas as pd
import pytest

from tests.end_to_end.repository import Repository, copy_of, stages_run

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def arrived(finished, tmp_path_factory):
    """A repository with two files of new customers beside it, and one of labels of the first."""
    folder = tmp_path_factory.mktemp("production")
    repository = copy_of(finished.repository, folder / "repository")
    raw = pd.read_csv(repository.root / "data/raw/customers.csv", dtype=str, keep_default_na=False)
    raw["CustomerID"] = (raw["CustomerID"].astype(int) + 1_000_000).astype(str)
    raw[-1200:-600].drop(columns="Churn").to_csv(folder / "first.csv", index=False)
    raw.loc[raw.index[-1200:-600], ["CustomerID", "Churn"]].to_csv(folder / "labels.csv", index=False)
    raw[-600:].to_csv(folder / "second.csv.gz", index=False)
    return folder, repository


@pytest.fixture(scope="module")
def foretold(arrived):
    """What `step` says about the first file."""
    folder, repository = arrived
    return repository.run("churn-drift", "step", "--batch", str(folder / "first.csv"))


@pytest.fixture(scope="module")
def landed(arrived, foretold):
    """What landing the first file says, without labels, and the run after it."""
    folder, repository = arrived
    said = repository.run("churn-drift", "land", str(folder / "first.csv"))
    return repository, said, repository.pipeline()


@pytest.fixture(scope="module")
def labelled(arrived, landed):
    """The same, once its labels and another batch have landed."""
    folder, repository = arrived
    repository.run("churn-drift", "land", str(folder / "labels.csv"))
    repository.run("churn-drift", "land", str(folder / "second.csv.gz"))
    events = repository.read("reports/retrain/events.json")
    return repository, events, repository.pipeline()


def test_step_writes_nothing(finished, foretold, arrived):
    _, repository = arrived
    assert "decision" in foretold
    assert snapshot(repository) == snapshot(finished.repository)


def test_a_landed_batch_continues_the_timeline_by_one(landed, finished):
    repository, said, ran = landed
    before = finished.repository.read("reports/retrain/events.json")
    after = repository.read("reports/retrain/events.json")
    assert "landed 600 customers" in said
    assert "ingest" not in stages_run(ran)
    assert after[:-1] == before
    assert after[-1]["batch"] == "batch_06"


def test_step_foretold_what_the_run_decides(landed, foretold):
    repository, _, _ = landed
    event = repository.read("reports/retrain/events.json")[-1]
    decision = re.search(r"^decision +(\w+): (.*(?:\n .*)*)", foretold, re.MULTILINE)
    assert decision[1] == event["decision"]
    assert " ".join(decision[2].split()) == event["reason"]
    assert event["champion"] in foretold
    assert event["drift"]["reason"] in " ".join(foretold.split())


def test_a_batch_without_labels_is_scored_and_judged_but_has_no_auc(landed):
    repository, _, _ = landed
    last = repository.table("reports/evaluate/timeline.csv").iloc[-1]
    assert last["rows"] == 600
    assert pd.isna(last["auc_policy"])
    assert last["verdict"] in ("stable", "drifted")


def test_labels_that_land_later_are_learnt_from_without_rewriting_what_was_decided(labelled):
    repository, before, _ = labelled
    after = repository.read("reports/retrain/events.json")
    assert [decided(event) for event in after[:-1]] == [decided(event) for event in before]
    assert [arrived["batch"] for arrived in after[-1]["labels_arrived"]] == ["batch_06"]
    assert repository.table("reports/evaluate/timeline.csv")["auc_policy"].notna().all()


def test_what_has_landed_is_pinned_pushed_and_pulled_like_all_other_data(labelled, arrived, tmp_path):
    _, repository = arrived
    repository.commit("Take in what has landed")
    repository.run("dvc", "push", "--remote", "local")
    clone = Repository(tmp_path / "clone")
    repository.run("git", "clone", "--quiet", str(repository.root), str(clone.root))
    shelf = repository.root.parent / "churn-drift-remote"
    clone.run("dvc", "remote", "modify", "--local", "local", "url", str(shelf))
    clone.run("dvc", "pull", "--remote", "local")
    landed = sorted(path.relative_to(repository.root) for path in repository.root.glob("data/landed/*/*.csv"))
    assert len(landed) == 4
    assert [(clone.root / path).read_bytes() for path in landed] == [
        (repository.root / path).read_bytes() for path in landed
    ]
    assert "up to date" in clone.run("dvc", "status")


def test_the_same_file_lands_once(labelled, arrived):
    folder, repository = arrived
    before = snapshot(repository)
    assert "landed before" in repository.run("churn-drift", "land", str(folder / "first.csv"))
    assert snapshot(repository) == before


def test_a_file_of_known_customers_with_other_content_is_refused_in_one_line(labelled, arrived):
    folder, repository = arrived
    second = pd.read_csv(folder / "second.csv.gz", dtype=str, keep_default_na=False)
    second.assign(Handsets="9").to_csv(folder / "changed.csv", index=False)
    said = repository.run("churn-drift", "land", str(folder / "changed.csv"), code=2)
    assert len(said.splitlines()) == 1
    assert "has arrived before" in said


def decided(event: dict[str, Any]) -> dict[str, Any]:
    """A decision record without the hash of the batch's file, which holds its labels once they have come."""
    return {key: value for key, value in event.items() if key != "sha256"}


def snapshot(repository: Repository) -> dict[str, bytes]:
    """Every file of a checkout outside of git's, DVC's, the fits' and Python's own folders."""
    files = (file for file in repository.root.rglob("*") if file.is_file() and not file.is_symlink())
    kept = {str(file.relative_to(repository.root)): file for file in files}
    own = (".git/", ".dvc/tmp/", ".dvc/cache/", ".cache/")
    mine = (name for name in kept if not name.startswith(own) and "/__pycache__/" not in name)
    return {name: kept[name].read_bytes() for name in mine}
