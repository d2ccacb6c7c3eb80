import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from churn_drift import schema
from churn_drift.errors import PipelineError
from churn_drift.model.bundle import load
from churn_drift.publishing import address, logged, moved, record, trees
from churn_drift.publishing.record import Lineage, Record
from churn_drift.publishing.store import EXPERIMENT, KEY, Store, opened
from tests.conftest import Records
from tests.publishing import pipeline

LINEAGE = Lineage("2026-11-23T18:00:00+00:00", "c0ffee", dirty=True)
CLEAN = Lineage("2026-11-24T00:00:00+00:00", "f00d", dirty=False)


@pytest.fixture
def one(stored: Path, tmp_path: Path) -> Record:
    """The record of the workspace."""
    trees.from_workspace(tmp_path / "kept" / record.TREE)
    record.write_lineage(LINEAGE, tmp_path / "kept")
    return record.read(tmp_path / "kept")


@pytest.fixture
def store(stored: Path) -> Iterator[Store]:
    with opened(remedy="try again") as found:
        yield found


def parents(store: Store) -> list:
    return [run for run in store.client.search_runs([store.experiment]) if KEY in run.data.tags]


def children(store: Store, run_id: str) -> list:
    return store.client.search_runs([store.experiment], f"tags.mlflow.parentRunId = '{run_id}'")


def test_a_record_becomes_one_finished_run_with_params_metrics_and_lineage(store: Store, one: Record) -> None:
    done = store.publish(one)
    (run,) = parents(store)
    assert done.new
    assert done.run_id == run.info.run_id
    assert run.info.status == "FINISHED"
    assert run.info.run_name == one.name
    assert run.info.start_time == 1795456800000
    assert run.data.params == one.params
    assert run.data.metrics["auc_policy"] == 0.65
    tags = {KEY: one.key, "git_commit": "c0ffee", "git_dirty": "true", "candidate": one.version, **one.hashes}
    assert tags.items() <= run.data.tags.items()
    assert run.data.tags["mlflow.source.git.commit"] == "c0ffee"
    assert set(one.hashes) == {"dvc_lock", "candidate_dvc_hash", "data", "params"}


def test_metrics_by_batch_are_series_with_the_batch_as_step(store: Store, one: Record) -> None:
    run_id = store.publish(one).run_id
    history = store.client.get_metric_history(run_id, "by_batch/auc_policy")
    assert [(point.step, point.value) for point in history] == [(1, 0.61), (2, 0.6)]


def test_every_promotion_is_a_finished_child_run_with_its_evidence(store: Store, one: Record) -> None:
    (child,) = children(store, store.publish(one).run_id)
    assert child.info.run_name == f"batch_02 {one.version}"
    assert child.info.status == "FINISHED"
    assert child.data.metrics["evidence/z"] == 2.5
    assert child.data.params["reason"] == "z 2.50 > 1 under a drift alarm"


def test_plots_curves_and_decision_records_are_artifacts(store: Store, one: Record) -> None:
    run_id = store.publish(one).run_id
    listed = {entry.path: entry.is_dir for entry in store.client.list_artifacts(run_id)}
    assert listed == dict.fromkeys(["curves", "data", "decisions", "pipeline", "plots"], True)
    decisions = {entry.path for entry in store.client.list_artifacts(run_id, "decisions")}
    assert {"decisions/timeline.csv", "decisions/events.json", "decisions/summary.json"} <= decisions
    assert Path("mlruns").is_dir()


def test_the_data_stand_beside_the_run_with_their_digest(store: Store, one: Record) -> None:
    run = store.client.get_run(store.publish(one).run_id)
    (dataset,) = [given.dataset for given in run.inputs.dataset_inputs]
    assert (dataset.name, dataset.digest) == ("cell2cell_statistics.json", one.hashes["data"])


def test_the_model_of_the_run_scores_raw_records(store: Store, one: Record, raw_records: Records) -> None:
    import mlflow

    run_id = store.publish(one).run_id
    mlflow.set_tracking_uri(address.resolved())
    model = mlflow.pyfunc.load_model(f"runs:/{run_id}/{logged.NAME}")
    raw = raw_records(20)
    scores = model.predict(raw)
    assert list(scores.columns) == ["probability", "decision"]
    pd.testing.assert_frame_equal(model.predict(_as_plain(raw)), scores)
    pd.testing.assert_frame_equal(model.predict(raw.drop(columns=["Churn", "ServiceArea"]).head(3)),
                                  model.predict(raw.assign(ServiceArea="").head(3)))  # fmt: skip
    pd.testing.assert_frame_equal(model.predict(raw.head(1).to_dict("records")), scores.head(1))


def _as_plain(raw: pd.DataFrame) -> pd.DataFrame:
    """As `pandas.read_csv` types it."""
    import io

    return pd.read_csv(io.StringIO(raw.to_csv(index=False)))


def test_the_input_example_is_the_golden_records_and_scores_as_they_did(store: Store, one: Record) -> None:
    import mlflow

    run_id = store.publish(one).run_id
    mlflow.set_tracking_uri(address.resolved())
    model = mlflow.pyfunc.load_model(f"runs:/{run_id}/{logged.NAME}")
    golden = load(one.candidate).golden
    assert model.predict(model.input_example)["probability"].tolist() == [each.probability for each in golden]


def test_the_signature_names_every_column_of_a_record_and_requires_none(store: Store, one: Record) -> None:
    import mlflow

    run_id = store.publish(one).run_id
    mlflow.set_tracking_uri(address.resolved())
    signature = mlflow.models.get_model_info(f"runs:/{run_id}/{logged.NAME}").signature
    assert signature.inputs.input_names() == [column.name for column in schema.RECORD]
    assert signature.inputs.required_input_names() == []
    assert signature.outputs.input_names() == ["probability", "decision"]


def test_the_model_is_our_files_as_they_are_and_no_pickle(store: Store, one: Record) -> None:
    store.publish(one)
    stored = {path.name: path for path in Path("mlruns").rglob("*") if path.is_file() and "models" in path.parts}
    for file in one.candidate.iterdir():
        assert stored[file.name].read_bytes() == file.read_bytes()
    assert [name for name in stored if name.endswith((".pkl", ".pickle", ".joblib", ".cloudpickle"))] == []
    for path in stored.values():
        assert not path.read_bytes().startswith((b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05"))
    assert "xgboost-cpu==" in stored["requirements.txt"].read_text()


def test_publishing_twice_makes_no_second_run(store: Store, one: Record) -> None:
    first, second = store.publish(one), store.publish(one)
    assert (first.run_id, first.new) == (second.run_id, True)
    assert not second.new
    assert len(parents(store)) == 1
    assert len(children(store, first.run_id)) == 1


def test_another_run_is_another_run(store: Store, one: Record) -> None:
    store.publish(one)
    store.publish(replace(one, key="0123456789ab"))
    assert {run.data.tags[KEY] for run in parents(store)} == {one.key, "0123456789ab"}


def test_a_run_published_dirty_gets_the_commit_that_holds_it_now(store: Store, one: Record) -> None:
    first = store.publish(one)
    again = store.publish(replace(one, lineage=CLEAN))
    (run,) = parents(store)
    assert again.lineage == Lineage(LINEAGE.at, "f00d", dirty=False)
    assert run.info.run_id == first.run_id
    assert (run.data.tags["git_commit"], run.data.tags["git_dirty"]) == ("f00d", "false")
    assert run.data.tags["mlflow.source.git.commit"] == "f00d"


def test_a_run_published_clean_keeps_its_commit(store: Store, one: Record) -> None:
    store.publish(replace(one, lineage=CLEAN))
    store.publish(replace(one, lineage=replace(CLEAN, commit="beef")))
    store.publish(one)
    (run,) = parents(store)
    assert (run.data.tags["git_commit"], run.data.tags["git_dirty"]) == ("f00d", "false")


def test_a_run_that_turns_out_to_be_an_experiment_gets_its_name(store: Store, one: Record) -> None:
    store.publish(one)
    store.publish(replace(one, lineage=replace(CLEAN, experiment="calm-loch")))
    (run,) = parents(store)
    assert run.info.run_name == "calm-loch"
    assert run.data.tags["dvc_experiment"] == "calm-loch"


@pytest.mark.parametrize("step", ["_make_child", "_log", "model", "end"])
def test_a_publisher_that_is_cut_off_leaves_what_the_next_one_makes_anew(
    store: Store, one: Record, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    place: tuple[object, str] = {"model": (logged, "log"), "end": (store.client, "update_run")}.get(step, (Store, step))
    with monkeypatch.context() as patch:
        patch.setattr(*place, stop)
        with pytest.raises(KeyboardInterrupt):
            store.publish(one)
    assert [run.info.status for run in parents(store)] == ["RUNNING"]
    assert store.publish(one).new
    (run,) = parents(store)
    assert run.info.status == "FINISHED"
    assert len(children(store, run.info.run_id)) == 1
    assert len(store.client.search_runs([store.experiment])) == 2
    assert len(store.client.search_logged_models([store.experiment])) == 1


def test_of_two_runs_made_at_once_by_two_machines_the_older_stays(
    store: Store, one: Record, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = replace(one, lineage=replace(LINEAGE, at="2026-11-23T17:00:00+00:00"))
    make = Store._make

    def both(self: Store, mine: Record) -> None:
        make(self, mine)
        make(self, elsewhere)

    monkeypatch.setattr(Store, "_make", both)
    done = store.publish(one)
    (run,) = parents(store)
    assert done.run_id == run.info.run_id
    assert run.info.start_time == 1795453200000
    assert len(store.client.search_runs([store.experiment])) == 2


def test_a_run_that_a_user_has_deleted_can_be_published_again(store: Store, one: Record) -> None:
    store.client.delete_run(store.publish(one).run_id)
    assert store.publish(one).new


def test_a_deleted_experiment_is_one_line_that_says_how_to_restore_it(store: Store, one: Record) -> None:
    store.publish(one)
    store.client.delete_experiment(store.experiment)
    with (
        pytest.raises(PipelineError, match="churn-drift was deleted there; `mlflow experiments restore --exp"),
        opened(remedy="try again") as again,
    ):
        again.publish(one)


def test_hundreds_of_batches_and_params_are_sent_in_portions(store: Store, one: Record) -> None:
    series = {f"by_batch/{name}": [(step, 0.5) for step in range(300)] for name in "abcdef"}
    many = replace(one, series=series, params={**one.params, **{f"p{number}": "1" for number in range(250)}})
    run_id = store.publish(many).run_id
    assert len(store.client.get_metric_history(run_id, "by_batch/f")) == 300
    assert len(store.client.get_run(run_id).data.params) == 250 + len(one.params)


def test_a_store_that_is_no_database_is_one_line_with_the_remedy(stored: Path) -> None:
    Path("mlflow.db").write_text("no database at all, but long enough to be read as a header of one")
    with (
        pytest.raises(PipelineError, match=r"^sqlite:///mlflow.db: .*file is not a database.*; try again$"),
        opened(remedy="try again"),
    ):
        pass


def test_a_database_of_another_mlflow_is_one_line(stored: Path) -> None:
    with sqlite3.connect("mlflow.db") as database:
        database.execute("UPDATE alembic_version SET version_num = '000000000000'")
    database.close()
    with pytest.raises(PipelineError, match=r"^sqlite:///mlflow\.db: .*; try again$"), opened(remedy="try again"):
        pass


@pytest.mark.parametrize(
    "uri", ["http://127.0.0.1:9", "postgresql://me:secret@127.0.0.1:9/mlflow", "http://no-such-host.invalid:5000"]
)
def test_a_server_that_is_down_is_one_line_within_seconds_and_shows_no_password(
    here: Path, monkeypatch: pytest.MonkeyPatch, uri: str
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    with pytest.raises(PipelineError) as caught, opened(remedy="try again") as store:
        store.find("0123456789ab")
    said = str(caught.value)
    assert said.startswith(uri.replace(":secret", "") + ": [Errno ")
    assert said.endswith("; try again")
    assert "\n" not in said
    assert len(said) < 150
    assert "secret" not in said


def test_a_fault_of_our_own_is_not_blamed_on_the_store(stored: Path) -> None:
    with pytest.raises(ZeroDivisionError), opened(remedy="try again"):
        _ = 1 / 0


def test_the_settings_that_the_user_has_made_are_left(stored: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "7")
    with opened(remedy="try again"):
        assert os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] == "7"
        assert os.environ["MLFLOW_DISABLE_TELEMETRY"] == "true"


def test_mlflow_sends_no_telemetry(stored: Path) -> None:
    code = (
        "import sys\n"
        "from churn_drift.publishing.store import opened\n"
        "assert 'mlflow' not in sys.modules\n"
        "with opened(remedy='') as store:\n"
        "    store.experiment\n"
        "from mlflow.telemetry.client import get_telemetry_client\n"
        "from mlflow.telemetry.utils import _is_ci_env_or_testing, is_telemetry_disabled\n"
        "print(_is_ci_env_or_testing(), is_telemetry_disabled(), get_telemetry_client())\n"
    )
    ours = pipeline.environment(stored)
    unknown = {name: value for name, value in ours.items() if not name.startswith(("PYTEST", "GITHUB", "CI"))}
    done = subprocess.run([sys.executable, "-c", code], env=unknown, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True", "None"]
    assert done.stderr == ""


def test_the_artifacts_of_a_moved_repository_are_found_and_later_ones_go_there(
    store: Store, one: Record, stored: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = store.publish(one).run_id
    there = shutil.copytree(stored, stored.parent / "there", symlinks=True)
    shutil.rmtree(stored / "mlruns")
    monkeypatch.chdir(there)
    with opened(remedy="try again") as again:
        assert again.find(one.key).info.run_id == run_id
        assert "decisions" in {entry.path for entry in again.client.list_artifacts(run_id)}
        again.publish(replace(one, key="0123456789ab"))
        (first, second) = again.client.search_logged_models([again.experiment])
        assert {Path(model.artifact_location).is_dir() for model in (first, second)} == {True}
    assert not (stored / "mlruns").exists()


def test_artifacts_that_did_not_move_along_stay_where_they_are_found(
    store: Store, one: Record, stored: Path, tmp_path: Path
) -> None:
    run_id = store.publish(one).run_id
    (tmp_path / "there").mkdir()
    shutil.copyfile("mlflow.db", tmp_path / "there" / "mlflow.db")
    moved.follow(tmp_path / "there", EXPERIMENT)
    with sqlite3.connect(tmp_path / "there" / "mlflow.db") as database:
        kept = database.execute("SELECT artifact_uri FROM runs WHERE run_uuid = ?", (run_id,)).fetchone()
        now = database.execute("SELECT artifact_location FROM experiments WHERE name = 'churn-drift'").fetchone()
    database.close()
    assert kept[0].startswith(str(stored))
    assert now[0] == str(tmp_path / "there" / "mlruns" / store.experiment)


def test_a_store_whose_artifacts_a_user_has_put_elsewhere_is_left_alone(stored: Path) -> None:
    with opened(remedy="") as store:
        store.client.create_experiment(EXPERIMENT, artifact_location="s3://bucket/mlruns/1")
    moved.follow(stored, EXPERIMENT)
    with opened(remedy="") as store:
        assert store.client.get_experiment(store.experiment).artifact_location == "s3://bucket/mlruns/1"
