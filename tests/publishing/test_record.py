import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from churn_drift import paths
from churn_drift.errors import ModelError, PipelineError
from churn_drift.model.bundle import version_of
from churn_drift.publishing import lock, note, record, trees
from churn_drift.publishing.record import Lineage, Record
from tests.publishing import pipeline

LINEAGE = Lineage("2026-11-23T18:00:00+00:00", "c0ffee", dirty=True)


@pytest.fixture
def kept(here: Path, tmp_path: Path) -> Path:
    """The folder of the workspace's record."""
    folder = tmp_path / "kept"
    trees.from_workspace(folder / record.TREE)
    record.write_lineage(LINEAGE, folder)
    return folder


@pytest.fixture
def one(kept: Path) -> Record:
    return record.read(kept)


def test_the_key_is_the_first_12_digits_of_the_sha256_of_dvc_lock(one: Record, here: Path) -> None:
    assert lock.key_of(b"") == "e3b0c44298fc"
    assert one.key == lock.key_of((here / "dvc.lock").read_bytes())
    assert one.hashes["dvc_lock"].startswith(one.key)


def test_params_are_those_of_dvc_lock_even_when_params_yaml_was_changed_since(here: Path, tmp_path: Path) -> None:
    params = here / "params.yaml"
    params.write_text(params.read_text().replace("confidence: 0.95", "confidence: 0.5"))
    trees.from_workspace(tmp_path / "kept" / record.TREE)
    record.write_lineage(LINEAGE, tmp_path / "kept")
    assert record.read(tmp_path / "kept").params["evaluate.confidence"] == "0.95"


def test_params_are_flat_and_as_yaml_has_them(one: Record) -> None:
    assert one.params["split_batches.scenario.kind"] == "none"
    assert one.params["preprocess.zero_is_missing"] == "true"
    assert one.params["train.trees"] == "200"


def test_a_metric_keeps_its_name_and_those_of_drift_check_bear_their_stage(one: Record) -> None:
    assert one.metrics["gain"] == 0.045
    assert one.metrics["baseline_auc"] == 0.66
    assert one.metrics["drift_check/alarms"] == 2
    assert not [name for name in one.metrics if name.endswith("first_alarm")]


def test_a_series_has_a_point_a_batch_at_the_number_of_the_batch(one: Record) -> None:
    assert one.series["by_batch/drifted_share"] == [(1, 0.0), (2, 0.5), (3, 0.75)]
    assert one.series["by_batch/promoted"] == [(1, 0.0), (2, 1.0), (3, 0.0)]


def test_a_batch_whose_labels_have_not_arrived_has_no_point_and_is_not_zero(one: Record) -> None:
    assert one.series["by_batch/auc_policy"] == [(1, 0.61), (2, 0.6)]
    assert "by_batch/score_psi_never" not in one.series


def test_a_promotion_carries_its_evidence_and_how_its_model_did_on_the_batches_that_it_served(one: Record) -> None:
    (promotion,) = one.retrainings
    assert (promotion.batch, promotion.version) == ("batch_02", one.version)
    assert promotion.metrics == {
        "evidence/z": 2.5, "evidence/customers": 40, "evidence/auc_gain_sum": 0.01,
        "fitted_on/customers": 80, "fitted_on/batches": 2, "fitted_on/churn_rate": 0.28,
    }  # fmt: skip
    assert promotion.params["reason"] == "z 2.50 > 1 under a drift alarm"
    assert promotion.series == {}


def test_the_candidate_is_the_bundle_with_its_own_hashes(one: Record, here: Path) -> None:
    assert one.version == version_of(here / paths.CANDIDATE)
    assert (one.hashes["data"], one.hashes["params"]) == ("0da7a0da7a01", "9a5a9a5a9a51")
    locked = lock.parse((here / "dvc.lock").read_bytes())
    assert one.hashes["candidate_dvc_hash"] == lock.outs(locked)["models/candidate"]
    assert one.hashes["candidate_dvc_hash"].endswith(".dir")


def test_figures_curves_and_decisions_are_among_the_artifacts(one: Record) -> None:
    placed = {f"{target}/{file.name}" for file, target in one.artifacts}
    assert {"plots/timeline.png", "curves/roc_policy.csv", "decisions/timeline.csv", "decisions/events.json",
            "decisions/never_retrained/events.json", "pipeline/dvc.lock"} <= placed  # fmt: skip
    assert all(file.is_file() for file, _ in one.artifacts)


def test_a_run_is_named_by_its_experiment_else_by_policy_and_key(one: Record) -> None:
    assert one.name == f"evidence {one.key[:7]}"
    assert replace(one, lineage=replace(LINEAGE, experiment="calm-loch")).name == "calm-loch"


def test_the_note_has_the_verdict_and_a_row_a_batch(one: Record) -> None:
    said = note.markdown(one).replace(note.GAP, "")
    assert "mean AUC **0.6500** with 1 promotions, never retraining 0.6050" in said
    assert "| 02| 40| 0.250| 50%| 0.600 [0.500, 0.700]| 0.600| promote: z 2.50 > 1 under a drift alarm |" in said
    assert "| 03| 40| n/a| 75%| n/a [n/a, n/a]| n/a| hold:" in said


def test_the_note_of_a_long_timeline_leaves_out_its_oldest_rows_and_says_so(one: Record) -> None:
    rows = [{**one.timeline[0], "batch": f"batch_{number:03d}"} for number in range(300)]
    said = note.markdown(replace(one, timeline=rows))
    assert len(said) < 8000
    assert "| 299&ensp;|" in said
    assert "| 000&ensp;|" not in said
    assert "The first 2" in said
    assert "decisions/timeline.csv" in said


def test_a_run_whose_pipeline_stopped_half_way_is_refused_with_the_stage_that_waits(here: Path, tmp_path: Path) -> None:
    (here / "prepared/reports/drift_check/events.json").write_text("[]\n")
    pipeline.call(here, "dvc", "repro", "drift_check")
    with pytest.raises(PipelineError, match=r"not finished: stage retrain has not run on .*events\.json.*`dvc repro`"):
        trees.from_workspace(tmp_path / "kept")


def test_a_stage_that_never_ran_is_named(here: Path, tmp_path: Path) -> None:
    text = (here / "dvc.lock").read_text()
    (here / "dvc.lock").write_text(text[: text.index("  evaluate:")])
    with pytest.raises(PipelineError, match="stage evaluate has not run; `dvc repro` finishes it"):
        trees.from_workspace(tmp_path / "kept")


def test_a_report_that_was_edited_by_hand_is_refused(here: Path, tmp_path: Path) -> None:
    (here / "reports/evaluate/metrics.json").write_text('{"auc_policy": 0.99}\n')
    with pytest.raises(PipelineError, match=r"reports/evaluate/metrics.json is not what dvc.lock says; `dvc repro`"):
        trees.from_workspace(tmp_path / "kept")


def test_a_candidate_that_is_not_there_is_an_error_that_names_it(here: Path, tmp_path: Path) -> None:
    shutil.rmtree(here / paths.CANDIDATE)
    with pytest.raises(PipelineError, match="models/candidate: not there; `dvc repro` makes it"):
        trees.from_workspace(tmp_path / "kept")


def test_a_damaged_dvc_lock_is_an_error_that_names_it() -> None:
    for content in (b"", b"[1]", b"stages: {a: {outs: [{path: x}]}}", b"stages: [", b"\xff\xfe\x00"):
        with pytest.raises(PipelineError, match=r"dvc\.lock: cannot be read"):
            lock.parse(content)


def test_a_record_whose_model_was_altered_is_refused(kept: Path) -> None:
    scoring = kept / record.TREE / paths.CANDIDATE / "scoring.json"
    scoring.write_text(scoring.read_text().replace('"threshold": 0', '"threshold": 1'))
    with pytest.raises(ModelError, match=r"scoring\.json was altered"):
        record.read(kept)


def test_a_record_with_a_missing_or_foreign_file_is_a_pipeline_error(kept: Path) -> None:
    events = kept / record.TREE / paths.RETRAIN_EVENTS
    events.write_text(json.dumps([{"batch": "batch_02"}]))
    with pytest.raises(PipelineError, match="KeyError"):
        record.read(kept)
    events.unlink()
    with pytest.raises(PipelineError, match=r"events\.json"):
        record.read(kept)


def test_the_commit_that_holds_a_run_betters_a_dirty_tree_and_keeps_the_time() -> None:
    clean = Lineage("2026-11-24T00:00:00+00:00", "f00d", dirty=False)
    assert clean.betters(LINEAGE)
    assert clean.merged(LINEAGE) == Lineage(LINEAGE.at, "f00d", dirty=False)


def test_a_later_commit_with_the_same_results_betters_nothing() -> None:
    first, later = (Lineage("2026-11-24T00:00:00+00:00", commit, dirty=False) for commit in ("f00d", "beef"))
    assert not later.betters(first)
    assert later.merged(first) == first


def test_the_name_of_an_experiment_is_kept_beside_the_commit() -> None:
    named = Lineage("2026-11-24T00:00:00+00:00", "f00d", dirty=False, experiment="calm-loch")
    committed = Lineage("2026-11-25T00:00:00+00:00", "beef", dirty=False)
    assert not committed.betters(named)
    assert named.betters(committed)
    assert named.merged(committed) == Lineage(committed.at, "beef", dirty=False, experiment="calm-loch")
