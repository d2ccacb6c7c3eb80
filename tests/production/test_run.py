"""A production run as its user sees it: what is printed, landed, told, pushed and committed."""

import shutil
import sys
from pathlib import Path

import pytest

from churn_drift.commands.adapters import adapters
from churn_drift.errors import ConfigError
from churn_drift.production import backlog
from tests.production.conftest import ROWS, Undisturbed
from tests.production.machine import Machine

pytestmark = pytest.mark.slow


# A run that takes in a batch, its labels, and another batch


def test_it_says_what_became_of_each_file(undisturbed: Undisturbed):
    lines = undisturbed.said.splitlines()
    assert f"1_batch.csv: landed, {ROWS} customers" in lines
    assert f"2_batch.csv.gz: landed, {ROWS} customers" in lines
    assert f"0_labels.csv: landed, {ROWS} labels" in lines
    assert list(undisturbed.machine.inbox.iterdir()) == []


def test_the_batches_continue_the_timeline_in_order_of_name(undisturbed: Undisturbed, finished):
    before = finished.repository.read("reports/retrain/events.json")
    after = undisturbed.machine.repository.read("reports/retrain/events.json")
    assert after[: len(before)] == before
    assert [event["batch"] for event in after[len(before) :]] == ["batch_06", "batch_07"]


def test_people_are_told_of_each_new_batch_that_drifted_and_of_no_older_one(undisturbed: Undisturbed):
    events = undisturbed.machine.repository.read("reports/retrain/events.json")[-2:]
    expected = [f"drift/{event['batch']}" for event in events if event["drift"]["verdict"] == "drifted"]
    expected += [f"hold/{event['batch']}" for event in events if event["alarms"] and event["decision"] == "hold"]
    expected += [f"promotion/{line['version']}" for line in undisturbed.machine.ledger()[1:]]
    assert expected
    assert sorted(undisturbed.machine.told()) == sorted(expected)


def test_what_it_wrote_is_committed_with_the_facts_and_nothing_is_left(undisturbed: Undisturbed):
    repository = undisturbed.machine.repository
    subject, _, *body = repository.run("git", "log", "-1", "--format=%B").strip().splitlines()
    assert subject.startswith("Take in batch_06 to batch_07")
    assert [line.split(":")[0] for line in body] == ["batch_06", "batch_07"]
    assert f"Committed: {subject}" in undisturbed.said
    assert "git add" not in undisturbed.said.replace("git add dvc.lock", "")
    assert repository.changes == []
    files = repository.run("git", "show", "--name-only", "--format=").split()
    assert {"dvc.lock", "data/landed/batches.dvc", "data/landed/labels.dvc", "models/ledger.jsonl"} <= {*files}
    assert [name for name in files if not name.startswith(("reports/", "models/", "data/landed/", "dvc.lock"))] == []


def test_what_has_landed_and_is_not_here_as_in_a_clone_is_brought_before_anything_lands(machine, arrivals):
    before = machine.results()
    shutil.rmtree(machine.root / "data/landed/batches")
    shutil.rmtree(machine.root / "data/landed/labels")
    machine.drop("labels.csv", arrivals["0_labels.csv"])
    assert f"labels.csv: again, {ROWS} labels" in machine.run()
    assert machine.results() == before
    assert machine.repository.changes == []


def test_the_backlog_is_what_has_landed_and_no_report_holds(machine: Machine, monkeypatch):
    monkeypatch.chdir(machine.root)
    assert backlog.waiting() == []
    late = Path("data/landed/batches/0003_0123456789ab.csv")
    late.touch()
    assert backlog.waiting() == [late]
    Path("reports/evaluate/timeline.csv").unlink()
    assert len(backlog.waiting()) == 3


# A run that has nothing to take in


def test_a_second_run_prints_what_it_printed_before_and_tells_commits_and_lands_nothing(machine: Machine):
    head = machine.repository.run("git", "rev-parse", "HEAD")
    before, told = machine.results(), machine.told()
    said = machine.run("--commit")
    assert said.startswith("Stage 'ingest' didn't change")
    assert "Committed" not in said
    assert machine.results() == before
    assert machine.told() == told
    assert machine.repository.run("git", "rev-parse", "HEAD") == head
    assert machine.repository.changes == []


def test_a_file_that_is_still_arriving_is_left_alone_and_named(machine: Machine):
    machine.drop("new.csv", b"half")
    machine.drop("new.parquet", b"whole")
    said = machine.run(INBOX_QUIET_SECONDS="3600")
    assert "new.csv: still arriving; the next run takes it in" in said
    assert "new.parquet: left alone, as its name ends in neither .csv nor .csv.gz" in said
    assert sorted(path.name for path in machine.inbox.iterdir()) == ["new.csv", "new.parquet"]


def test_a_run_on_other_data_leaves_the_inbox_alone(machine: Machine):
    machine.drop("new.csv", b"bad")
    machine.run("--data", str(machine.root / "no.csv"), code=2)
    assert [path.name for path in machine.inbox.iterdir()] == ["new.csv"]
    assert not (machine.root / ".churn-drift/troubles.json").exists()
    said = machine.run("--data", "no.csv", "--commit", code=2)
    assert said.splitlines() == [
        "error: --commit: not with --data, which is for one run; put the path into ingest.source instead"
    ]


def test_the_settings_of_a_run_on_other_data_that_was_killed_are_put_back(machine: Machine):
    before = (machine.root / "params.yaml").read_bytes()
    customers = str(machine.root / "data/raw/customers.csv")
    machine.killed("--data", customers, at="churn_drift.tracking.dvc:reproduce:before:1")
    assert customers in (machine.root / "params.yaml").read_text()
    said = machine.run()
    assert "mended params.yaml: its ingest.source was that of a run with --data; put back" in said
    assert (machine.root / "params.yaml").read_bytes() == before
    assert machine.repository.changes == []


# What fails


def test_a_remote_that_does_not_answer_is_told_once_and_its_recovery_too(machine: Machine):
    machine.repository.run("dvc", "remote", "modify", "--local", "local", "url", "/proc/no/remote")
    said = machine.run("--push")
    assert "warning: `dvc push` failed" in said
    assert machine.told()[-1].startswith("failure/pushing")
    count = len(machine.told())
    assert "warning: `dvc push` failed" in machine.run("--push")
    assert len(machine.told()) == count
    machine.repository.run("dvc", "remote", "modify", "--local", "local", "url", str(machine.root.parent / "shelf"))
    assert "Pushed what is pinned to the default remote." in machine.run("--push")
    assert [key.split("/")[0] for key in machine.told()[count:]] == ["recovery"]


def test_a_run_that_fails_is_told_once_and_its_recovery_too(machine: Machine):
    count = len(machine.told())
    (machine.root / "models/ledger.jsonl").write_bytes(b"<<<<<<< HEAD\n")
    said = machine.run(code=1)
    assert said.splitlines()[-1].startswith("error: models/ledger.jsonl: line 1: not JSON")
    machine.run(code=1)
    assert [key.split("/")[0] for key in machine.told()[count:]] == ["failure"]
    machine.repository.run("git", "checkout", "--quiet", "models/ledger.jsonl")
    machine.run()
    assert [key.split("/")[0] for key in machine.told()[count:]] == ["failure", "recovery"]


def test_results_that_rest_on_uncommitted_settings_are_not_committed(machine: Machine):
    source = machine.root / "params.yaml"
    source.write_text(source.read_text() + "# of mine\n")
    machine.repository.run("git", "rm", "--quiet", "--cached", "reports/evaluate/metrics.json")
    head = machine.repository.run("git", "rev-parse", "HEAD")
    said = machine.run("--commit")
    assert "warning: params.yaml is not committed, and the results rest on it" in said
    assert machine.repository.run("git", "rev-parse", "HEAD") == head
    assert " M params.yaml" in machine.repository.changes


def test_without_an_author_it_fails_before_anything_is_run(machine: Machine):
    nobody = dict.fromkeys(("GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL", "GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL"), "")
    said = machine.run("--commit", code=2, GIT_CONFIG_SYSTEM="/dev/null", **nobody)
    assert len(said.splitlines()) == 1
    assert "git has no author" in said


# The mode


def test_a_local_run_imports_nothing_of_aws(machine: Machine):
    code = (
        "import sys\n"
        "for name in ('boto3', 'botocore', 's3fs', 'aiobotocore'): sys.modules[name] = None\n"
        "from churn_drift.cli import main\n"
        "sys.exit(main(['run', '--local', '--no-publish']))"
    )
    machine.drop("new.csv", b"bad\n1\n")
    said = machine.repository.run(sys.executable, "-c", code, **machine.environment(USE_AWS="true"))
    assert "new.csv: refused" in said


def test_the_mode_of_a_run_wins_over_the_environment(tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    environment = {"USE_AWS": "true", "S3_BUCKET": "churn-drift"}
    assert adapters(environment).aws
    assert not adapters(environment, aws=False).aws
    assert type(adapters({"S3_BUCKET": "churn-drift"}, aws=True).inbox).__name__ == "S3Inbox"


def test_a_run_on_aws_without_a_bucket_is_refused_in_one_line(machine: Machine):
    said = machine.run("--aws", code=2, S3_BUCKET="")
    assert said.splitlines() == ["error: S3_BUCKET is not set; put S3_BUCKET=your-bucket into .env, or export it"]
    with pytest.raises(ConfigError, match="S3_BUCKET"):
        adapters({"USE_AWS": "1"})
