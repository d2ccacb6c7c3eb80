"""Experiments: in the workspace, in a queue, apart from it; and what is left of one that fails half-way."""

import json
import shlex
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.end_to_end.repository import Repository, copy_of, stages_run

pytestmark = pytest.mark.slow

REFUSED = "retrain.policy: Input should be 'never', 'always', 'periodic', 'triggered', 'evidence' or 'price'"


def experiments(repository: Repository) -> set[str]:
    """Names of the experiments that succeeded."""
    return set(repository.run("dvc", "exp", "list", "--name-only").split()) - {"main:"}


def result(repository: Repository, name: str) -> str:
    """The git reference of an experiment that succeeded; empty where there is none."""
    return repository.run("git", "for-each-ref", "--format=%(refname)", f"refs/exps/**/{name}").strip()


def tasks(repository: Repository) -> dict[str, str]:
    """Name and state of what was queued. DVC asks its worker, which takes seconds."""
    lines = repository.run("dvc", "queue", "status").splitlines()[1:]
    return {line.split()[1]: line.split()[-1] for line in lines if line and not line.startswith("Worker")}


@contextmanager
def worker(repository: Repository, *command: str) -> Iterator[None]:
    """What runs while the command's worker is at work. It holds a pipe open long after, hence none."""
    repository.run("sh", "-c", f"{shlex.join(command)} > /dev/null 2>&1")
    yield
    repository.run("dvc", "queue", "stop")


def test_an_experiment_runs_only_what_its_params_reach(versions):
    assert stages_run(versions.said) == ["drift_check", "retrain", "evaluate"]
    assert "Stage 'train_baseline' didn't change, skipping" in versions.said


@pytest.fixture
def first(versions, tmp_path):
    """A copy of the repository on its first version, the second known as an experiment."""
    repository = copy_of(versions.repository, tmp_path / "repository")
    repository.run("git", "reset", "--quiet", "--hard", "HEAD~1")
    repository.run("dvc", "checkout")
    return repository


def test_apply_brings_an_experiment_back_with_its_model(first, versions):
    assert first.version("candidate") != versions.repository.version("candidate")
    first.run("dvc", "exp", "apply", "second")
    assert first.version("candidate") == versions.repository.version("candidate")
    assert first.read("reports/evaluate/metrics.json") == versions.repository.read("reports/evaluate/metrics.json")
    assert "up to date" in first.run("dvc", "status")


def test_branch_makes_a_commit_of_an_experiment_and_leaves_the_workspace_alone(first, versions):
    first.run("dvc", "exp", "branch", "second", "try-second")
    assert first.changes == []
    held = first.run("git", "show", "try-second:reports/evaluate/metrics.json")
    assert json.loads(held) == versions.repository.read("reports/evaluate/metrics.json")


def test_a_param_that_does_not_exist_is_refused_before_anything_runs(first):
    said = first.run("dvc", "exp", "run", "-S", "retrain.polcy=always", code=255)
    assert "retrain.polcy" in said
    assert stages_run(said) == []
    assert first.changes == []


def test_an_experiment_that_a_stage_refuses_says_why_and_git_and_dvc_bring_everything_back(first):
    before = first.version("retrained")
    said = first.run("dvc", "exp", "run", "--name", "broken", "-S", "retrain.policy=sometimes", code=255)
    assert REFUSED in said
    assert "Traceback" not in said
    assert stages_run(said) == ["retrain"]
    first.run("git", "checkout", "params.yaml", "reports")
    first.run("dvc", "checkout")
    assert first.changes == []
    assert first.version("retrained") == before
    assert "up to date" in first.run("dvc", "status")
    assert experiments(first) == {"second"}


@pytest.mark.long
def test_a_queue_runs_apart_from_the_workspace_and_one_failure_does_not_stop_the_next(first):
    first.run("dvc", "exp", "run", "--queue", "--name", "refused", "-S", "retrain.policy=sometimes")
    first.run("dvc", "exp", "run", "--queue", "--name", "wider", "-S", "evaluate.confidence=0.99")
    with worker(first, "dvc", "queue", "start", "--jobs", "1"):
        until = time.monotonic() + 120
        while not result(first, "wider") and time.monotonic() < until:
            time.sleep(0.2)
        while "Running" in tasks(first).values() and time.monotonic() < until:
            time.sleep(0.2)
    assert tasks(first) == {"refused": "Failed", "wider": "Success"}
    assert REFUSED in first.run("dvc", "queue", "logs", "refused")
    assert first.changes == []
    assert experiments(first) == {"second", "wider"}


@pytest.mark.long
def test_run_all_works_the_queue_off_before_it_returns(first):
    first.run("dvc", "exp", "run", "--queue", "--name", "wider", "-S", "evaluate.confidence=0.99")
    with worker(first, "dvc", "exp", "run", "--run-all"):
        reference = result(first, "wider")
    assert first.changes == []
    wider, now = (
        json.loads(first.run("git", "show", f"{revision}:reports/evaluate/metrics.json"))
        for revision in (reference, "HEAD")
    )
    assert wider["gain"] == now["gain"]
    assert wider["gain_high"] - wider["gain_low"] > now["gain_high"] - now["gain_low"]
