import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from dvc.repo import Repo

from churn_drift import cli
from churn_drift.commands import publish as command
from churn_drift.publishing import outbox
from churn_drift.publishing.store import KEY, opened
from tests.publishing import pipeline


def runs() -> list:
    """The runs of the store here, without their children."""
    with opened(remedy="") as store:
        return [run for run in store.client.search_runs([store.experiment]) if KEY in run.data.tags]


def failed() -> bool:
    """Whether DVC's queue has an experiment that failed; `dvc queue status` would take seconds to ask its worker."""
    with Repo() as repo:
        return any(True for _ in repo.experiments.celery_queue.iter_failed())


@contextmanager
def answering(status: int, body: bytes = b"") -> Iterator[str]:
    """A server that answers every request with this status and body."""

    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _answer  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_it_publishes_the_run_of_the_workspace_and_says_where_to_see_it(
    stored: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command.publish(experiments=None) == 0
    (run,) = runs()
    said = capsys.readouterr().out
    assert said == (
        f"published: {run.info.run_name}, run {run.info.run_id}\n"
        "See them: `mlflow ui --port 5000`, then http://127.0.0.1:5000\n"
    )
    assert outbox.waiting() == []
    assert (run.data.tags["git_commit"], run.data.tags["git_dirty"]) == (
        pipeline.call(stored, "git", "rev-parse", "HEAD").strip(), "false",
    )  # fmt: skip


def test_a_second_time_it_says_that_the_run_is_there(stored: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command.publish(experiments=None)
    capsys.readouterr()
    assert command.publish(experiments=None) == 0
    assert "already there: evidence" in capsys.readouterr().out
    assert len(runs()) == 1


def test_committing_the_results_makes_no_second_run_and_gives_it_the_commit(stored: Path) -> None:
    (stored / "params.yaml").write_text((stored / "params.yaml").read_text() + "\n# a note\n")
    assert command.publish_run() is None
    assert runs()[0].data.tags["git_dirty"] == "true"
    commit = pipeline.commit(stored, "Note")
    assert command.publish_run() is None
    (run,) = runs()
    assert (run.data.tags["git_commit"], run.data.tags["git_dirty"]) == (commit, "false")


def test_a_run_that_is_there_already_needs_no_mlflow(stored: Path) -> None:
    code = (
        "import sys\n"
        "from churn_drift.commands.publish import publish_run\n"
        "assert publish_run() is None\n"
        "print('mlflow' in sys.modules, 'pandas' in sys.modules, 'dvc' in sys.modules)\n"
    )
    said = [pipeline.call(stored, sys.executable, "-c", code) for _ in range(2)]
    assert said == ["True True False\n", "False False False\n"]


def test_a_run_is_published_again_after_the_store_was_deleted(stored: Path, empty_store: Path) -> None:
    assert command.publish_run() is None
    (stored / "mlflow.db").rename(stored / "away.db")
    (stored / "mlflow.db").write_bytes(empty_store.read_bytes())
    code = "from churn_drift.commands import publish\nprint(publish.publish_run())\npublish.publish(experiments=None)\n"
    assert pipeline.call(stored, sys.executable, "-c", code).startswith("None\nalready there")


@pytest.mark.parametrize("status", [500, 503, 404, 403])
def test_a_server_that_answers_with_an_error_loses_nothing_and_is_one_line(
    stored: Path, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    with answering(status) as uri:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
        warning = command.publish_run()
    assert warning is not None
    assert warning.startswith(f"{uri}: ")
    assert str(status) in warning
    assert warning.endswith("the run waits in .outbox: `churn-drift publish` sends it when the store answers")
    assert len(outbox.waiting()) == 1
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    assert command.publish(experiments=None) == 0
    assert (len(runs()), outbox.waiting()) == (1, [])


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b"<html>It works!</html>"])
def test_a_server_that_is_not_mlflow_is_one_line_and_loses_nothing(
    stored: Path, monkeypatch: pytest.MonkeyPatch, body: bytes
) -> None:
    with answering(200, body) as uri:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
        warning = command.publish_run()
    assert warning is not None
    assert warning.startswith(f"{uri}: ")
    assert warning.endswith("`churn-drift publish` sends it when the store answers")
    assert len(outbox.waiting()) == 1


def test_a_password_in_the_address_is_never_shown(stored: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """This server speaks no TLS, and MLflow tells the whole address when that fails."""
    with answering(200) as uri:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", uri.replace("http://", "https://me:s3cr%65t@"))
        warning = command.publish_run()
    assert warning is not None
    assert "https://me@127.0.0.1" in warning
    assert not [secret for secret in ("s3cr%65t", "s3cret") if secret in warning]


def test_what_could_not_be_sent_is_sent_by_the_next_call_even_after_another_run(
    stored: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    assert command.publish_run() is not None
    params = stored / "params.yaml"
    params.write_text(params.read_text().replace("confidence: 0.95", "confidence: 0.9"))
    pipeline.call(stored, "dvc", "repro", "--quiet")
    assert command.publish_run() is not None
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    assert command.publish_run() is None
    assert sorted(run.data.params["evaluate.confidence"] for run in runs()) == ["0.9", "0.95"]
    assert {run.info.status for run in runs()} == {"FINISHED"}
    assert outbox.waiting() == []


def test_the_command_ends_with_1_and_one_line_where_the_server_is_down(stored: Path) -> None:
    said = pipeline.publish(stored, code=1, MLFLOW_TRACKING_URI="http://127.0.0.1:9")
    assert said.splitlines() == [
        "error: http://127.0.0.1:9: [Errno 111] Connection refused; nothing is lost, the run waits in .outbox: "
        "`churn-drift publish` sends it when the store answers"
    ]
    assert len(outbox.waiting()) == 1


def test_a_damaged_run_in_the_outbox_does_not_hold_up_the_others(
    stored: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    assert command.publish_run() is not None
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    (folder,) = outbox.waiting()
    (folder / "tree/reports/evaluate/summary.json").write_text("{")
    folder.rename(folder.with_name("0123456789ab"))
    assert command.publish(experiments=None) == 2
    said = capsys.readouterr()
    assert "published: evidence" in said.out
    assert said.err.startswith("error: .outbox/0123456789ab: cannot be read (")
    assert "`rm -r .outbox/0123456789ab` gives this run up" in said.err
    assert len(runs()) == 1


def test_an_unfinished_workspace_is_one_line_and_what_waits_is_still_sent(
    stored: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    assert command.publish_run() is not None
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    (stored / "prepared/reports/retrain/events.json").write_text("[]\n")
    pipeline.call(stored, "dvc", "repro", "--quiet", "retrain")
    assert command.publish(experiments=None) == 2
    said = capsys.readouterr()
    assert said.err.startswith("error: this run: not finished: stage evaluate has not run on the reports/retrain/")
    assert "published: evidence" in said.out


def test_two_publishers_at_once_on_a_store_that_is_not_there_yet_make_one_run(here: Path) -> None:
    command_line = [sys.executable, "-m", "churn_drift.cli", "publish"]
    both = [
        subprocess.Popen(command_line, env=pipeline.environment(here), stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    said = "".join(each.communicate(timeout=120)[0] for each in both)
    assert [each.returncode for each in both] == [0, 0]
    assert (said.count("published: evidence"), said.count("already there: evidence")) == (1, 1)
    assert len(runs()) == 1


@pytest.fixture(scope="module")
def tried(made: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small repository with an experiment that finished, and one that failed half-way; nobody changes it."""
    root = tmp_path_factory.mktemp("tried") / "repository"
    shutil.copytree(made, root, symlinks=True)
    pipeline.call(root, "dvc", "exp", "run", "--name", "loose", "--set-param", "evaluate.confidence=0.8")
    pipeline.call(root, "dvc", "exp", "run", "--name", "broken", "--set-param", "ingest.source=broken", code=255)
    pipeline.call(root, "git", "checkout", "--quiet", ".")
    pipeline.call(root, "dvc", "checkout", "--quiet")
    return root


@pytest.fixture
def experiments(stored: Path, tried: Path) -> Path:
    """A copy of it, with an empty store."""
    shutil.rmtree(stored / ".git")
    shutil.rmtree(stored / ".dvc")
    for folder in (".git", ".dvc"):
        shutil.copytree(tried / folder, stored / folder, symlinks=True)
    return stored


def test_all_experiments_of_the_commit_are_published_with_their_names_and_params(
    experiments: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command.publish(experiments=[]) == 0
    (run,) = runs()
    assert (run.info.run_name, run.data.params["evaluate.confidence"]) == ("loose", "0.8")
    assert run.data.tags["dvc_experiment"] == "loose"
    assert run.data.tags["git_dirty"] == "false"
    shown = pipeline.call(experiments, "git", "show", f"{run.data.tags['git_commit']}:params.yaml")
    assert "confidence: 0.8" in shown
    assert command.publish(experiments=[]) == 0
    assert len(runs()) == 1


def test_an_unknown_or_failed_experiment_is_one_line_and_the_others_are_published(
    experiments: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command.publish(experiments=["broken", "loose", "nobody"]) == 2
    said = capsys.readouterr()
    assert [line.partition(",")[0] for line in said.err.splitlines()] == [
        "error: broken: no experiment of this name has finished (one that fails leaves nothing); "
        "`dvc exp list --all-commits` lists those that have",
        "error: nobody: no experiment of this name has finished (one that fails leaves nothing); "
        "`dvc exp list --all-commits` lists those that have",
    ]
    assert said.out.startswith("published: loose, run ")


def test_an_experiment_whose_files_are_in_no_cache_and_no_remote_is_one_line(
    experiments: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (experiments / ".dvc/cache").rename(experiments / ".dvc/tmp/away")
    assert command.publish(experiments=["loose"]) == 2
    said = capsys.readouterr()
    assert said.err == (
        "error: loose: models/candidate lies neither in DVC's cache nor in its remote; "
        "`dvc exp apply loose && dvc repro` makes it\n"
    )
    (experiments / ".dvc/tmp/away").rename(experiments / ".dvc/cache")
    assert command.publish(experiments=["loose"]) == 0


def test_an_experiment_whose_files_are_only_in_the_remote_is_published_from_there(experiments: Path) -> None:
    remote = experiments.parent / "remote"
    pipeline.call(experiments, "dvc", "remote", "add", "--local", "--default", "here", str(remote))
    pipeline.call(experiments, "dvc", "exp", "apply", "loose")
    pipeline.call(experiments, "dvc", "push", "--quiet")
    pipeline.call(experiments, "git", "checkout", "--quiet", ".")
    (experiments / ".dvc/cache").rename(experiments / ".dvc/tmp/away")
    assert command.publish(experiments=["loose"]) == 0
    assert runs()[0].info.run_name == "loose"


def test_an_experiment_that_ran_one_stage_only_is_told_as_unfinished(
    stored: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (stored / "prepared/reports/drift_check/events.json").write_text("[]\n")
    pipeline.call(stored, "dvc", "exp", "run", "--name", "part", "drift_check")
    assert command.publish(experiments=["part"]) == 2
    assert capsys.readouterr().err.startswith("error: part: not finished: stage retrain has not run on the reports/")


def test_an_experiment_that_failed_in_the_queue_is_told(stored: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pipeline.call(stored, "dvc", "exp", "run", "--queue", "--name", "queued", "--set-param", "ingest.source=broken")
    pipeline.call(stored, "sh", "-c", "dvc queue start > /dev/null 2>&1")  # the worker holds a pipe open long after
    end = time.monotonic() + 120
    while not failed() and time.monotonic() < end:
        time.sleep(0.2)
    pipeline.call(stored, "dvc", "queue", "stop")
    assert command.publish(experiments=[]) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: queued: failed, so it has no results; `dvc queue logs queued` says why")


def test_experiments_wait_in_the_outbox_where_the_server_is_down(
    experiments: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
        assert cli.main(["publish", "--exp"]) == 1
    assert len(outbox.waiting()) == 1
    assert command.publish_run() is None
    assert {run.info.run_name.split()[0] for run in runs()} == {"loose", "evidence"}


def test_a_repository_that_never_ran_is_one_line(stored: Path) -> None:
    (stored / "dvc.lock").unlink()
    said = pipeline.publish(stored, code=1)
    assert said == "error: dvc.lock: not there; `dvc repro` makes it\n"
