"""DVC fluency: a changed value runs again what depends on it, and the tools have something to say about it."""

import json

import pytest

from tests.end_to_end.repository import copy_of, stages_run

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def stricter(finished, tmp_path_factory):
    """An experiment with another drift threshold, and what it said."""
    repository = copy_of(finished.repository, tmp_path_factory.mktemp("stricter") / "repository")
    said = repository.run("dvc", "exp", "run", "--name", "stricter", "-S", "drift_check.psi_threshold=1.5")
    return repository, said


def test_another_threshold_runs_drift_check_retrain_and_evaluate_only(stricter):
    _, said = stricter
    assert stages_run(said) == ["drift_check", "retrain", "evaluate"]


def test_an_experiment_leaves_the_champion_alone(stricter, finished):
    repository, _ = stricter
    assert repository.read("models/champion.dvc") == finished.repository.read("models/champion.dvc")


def test_metrics_diff_shows_what_the_threshold_changed(stricter):
    repository, _ = stricter
    changed = json.loads(repository.run("dvc", "metrics", "diff", "--json"))
    drift = changed["reports/drift_check/metrics.json"]["mean_drifted_share"]
    assert drift["new"] < drift["old"]


def test_params_diff_shows_the_threshold(stricter):
    repository, _ = stricter
    changed = json.loads(repository.run("dvc", "params", "diff", "--json"))
    assert changed == {"params.yaml": {"drift_check.psi_threshold": {"old": 0.02, "new": 1.5, "diff": 1.48}}}


def test_exp_show_has_the_experiment_beside_the_commit_with_its_metrics(stricter):
    repository, _ = stricter
    header, *rows = repository.run("dvc", "exp", "show", "--csv").splitlines()
    assert "auc_policy" in header
    assert "drift_check.psi_threshold" in header
    assert any("stricter" in row and ",1.5," in row for row in rows)


def test_plots_diff_overlays_the_revisions(stricter):
    repository, _ = stricter
    said = repository.run("dvc", "plots", "diff", "HEAD", "--out", "plots")
    page = (repository.root / "plots/index.html").read_text()
    assert "file://" in said
    for title in ("AUC within each batch", "Share of features that drifted", "timeline.png"):
        assert title in page


def test_the_policy_never_runs_retrain_and_evaluate_only_and_proposes_the_baseline(workspace):
    said = workspace.run("dvc", "exp", "run", "-S", "retrain.policy=never")
    assert stages_run(said) == ["retrain", "evaluate"]
    assert workspace.version("candidate") == workspace.version("baseline")
    summary = workspace.read("reports/evaluate/summary.json")
    assert (summary["promotions"], summary["gain"], summary["verdict"]) == (0, 0.0, "equal")
