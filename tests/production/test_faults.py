"""Runs that are killed, at one place after another, and the run after them. Real processes, SIGKILL, no timing."""

import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass

import psutil
import pytest

from churn_drift.model.bundle import load
from tests.end_to_end.repository import copy_of, stages_run
from tests.production.conftest import ROWS, Undisturbed
from tests.production.machine import Machine, end, wait_for

pytestmark = [pytest.mark.long, pytest.mark.timeout(600)]

PLACES = {
    "landing": ("churn_drift.data.landing:land_batch:after:1", ""),
    "pinning what has landed": ("churn_drift.production.landed:pin:before:1", ""),
    "settling": ("churn_drift.production.inbox:LocalInbox.settle:after:1", ""),
    "a stage, its outputs half written": ("churn_drift.data.batch_files:write_batches:after:1", ""),
    "repro, between two stages": ("dvc.stage.run:cmd_run:before:3", "churn_drift.tracking.dvc_repro"),
    "promoting, before the pin": ("churn_drift.tracking.dvc:add:before:1", ""),
    "promoting, before the ledger's line": ("churn_drift.tracking.ledger:append:before:1", ""),
    "publishing": ("churn_drift.publishing.store:Store.publish:before:1", ""),
    "publishing, the run not yet out of the outbox": ("churn_drift.publishing.outbox:remove:before:1", ""),
    "pushing": ("dvc_data.hashfile.transfer:_do_transfer:after:1", "push"),
    "committing": ("churn_drift.production.commits:_insist:after:1", ""),
    "telling": ("churn_drift.notify.stderr:Stderr.send:after:1", ""),
}
"""Where, and in which process: by a word of its command line."""


@dataclass(frozen=True)
class After:
    """What one kill has left.

    customers  who wait or have landed
    champion   its version
    """

    customers: list[int]
    champion: str


@dataclass(frozen=True)
class Survivor:
    """A repository whose every run was killed but the last.

    after  what each kill has left, by its place
    said   by the last run
    """

    machine: Machine
    after: dict[str, After]
    said: str


@pytest.fixture(scope="module")
def survivor(finished, arrivals, tmp_path_factory) -> Iterator[Survivor]:
    folder = tmp_path_factory.mktemp("survivor")
    machine = Machine(copy_of(finished.repository, folder / "repository"))
    for name, content in arrivals.items():
        machine.drop(name, content)
    after = {}
    for what, (place, within) in PLACES.items():
        machine.killed("--push", "--commit", at=place, within=within)
        after[what] = After(machine.customers(), load(machine.root / "models/champion").facts["data"])
    said = machine.run("--push", "--commit", publish=True)
    yield Survivor(machine, after, said)
    shutil.rmtree(folder)


def test_no_customer_is_lost_or_there_twice_wherever_a_run_is_killed(survivor: Survivor, undisturbed: Undisturbed):
    everybody = undisturbed.machine.customers()
    assert len(everybody) == 2 * ROWS
    assert [what for what, left in survivor.after.items() if left.customers != everybody] == []


def test_the_champions_folder_holds_a_whole_model_wherever_a_run_is_killed(survivor: Survivor):
    assert list(survivor.after) == list(PLACES)
    assert all(left.champion for left in survivor.after.values())


def test_the_run_after_all_kills_leaves_the_same_bytes_as_an_undisturbed_one(
    survivor: Survivor, undisturbed: Undisturbed
):
    assert survivor.machine.results() == undisturbed.machine.results()
    assert survivor.machine.ledger() == undisturbed.machine.ledger()
    assert list(survivor.machine.inbox.iterdir()) == []


def test_after_all_kills_champion_ledger_and_aliases_agree(survivor: Survivor):
    assert "all agrees" in survivor.machine.repository.run("churn-drift", "models", "verify", "--check")


def test_after_all_kills_everything_is_pushed_committed_and_published_once(survivor: Survivor):
    repository = survivor.machine.repository
    assert repository.changes == []
    assert "in sync" in repository.run("dvc", "status", "--cloud")
    assert "already there" in repository.run("churn-drift", "publish")
    assert [path for path in (repository.root / ".outbox").iterdir() if path.is_dir()] == []


def test_each_event_is_told_at_last_and_none_is_left_out(survivor: Survivor, undisturbed: Undisturbed):
    assert sorted(set(survivor.machine.told())) == sorted(undisturbed.machine.told())


def test_what_killed_runs_have_left_half_done_is_gone(survivor: Survivor):
    state = {path.name for path in (survivor.machine.root / ".churn-drift").iterdir()}
    assert state & {"run.json", "before.json", "troubles.json", "inbox"} == set()
    assert "an earlier run ended before it was done" in survivor.said


# Who runs


def test_a_second_run_is_told_who_runs_and_changes_nothing(machine: Machine, tmp_path):
    let_go = tmp_path / "let-go"
    first = machine.start("--no-publish", HOLD_AT=f"churn_drift.tracking.dvc:reproduce:before:{let_go}")
    try:
        wait_for(tmp_path / "let-go.reached")
        before = machine.results()
        said = machine.run(code=1)
        assert said.startswith(f"error: a run is running (process {first.pid} on ")
        assert len(said.splitlines()) == 1
        assert machine.results() == before
        let_go.touch()
        first.communicate()
        assert first.returncode == 0
    finally:
        end(first)


def test_a_run_waits_for_the_stage_of_a_killed_one_and_then_goes_on_by_itself(machine: Machine, raw_records, tmp_path):
    raw = raw_records(150, start=1200)
    raw["CustomerID"] = (raw["CustomerID"].astype(int) + 9_500_000).astype(str)
    machine.drop("3_batch.csv", raw.to_csv(index=False).encode())
    let_go = tmp_path / "let-go"
    first = machine.start("--no-publish", HOLD_AT=f"churn_drift.data.batch_files:write_batches:before:{let_go}")
    try:
        wait_for(tmp_path / "let-go.reached")
        dvc, *_ = psutil.Process(first.pid).children()
        stage = dvc.children(recursive=True)[-1]
        first.kill()
        dvc.kill()
        first.wait()
        psutil.wait_procs([dvc])
        said = machine.run(code=1)
        assert "it has ended, but what it started still runs" in said
        let_go.touch()
        psutil.wait_procs([stage])
    finally:
        end(first)
    said = machine.run()
    assert f"an earlier run ended before it was done (process {first.pid} on" in said
    assert "split_batches" in stages_run(said)
    assert machine.repository.table("reports/evaluate/timeline.csv")["rows"].tolist()[-1] == 150


# What is left half written


def test_what_was_cut_off_in_the_middle_of_a_write_is_mended_and_the_bytes_are_the_same(machine: Machine):
    root, before, ledger = machine.root, machine.results(), machine.ledger()
    (root / ".dvc/tmp/rwlock").write_text(rwlock(str(root / "data/batches"), os.getpid()))
    (root / "dvc.lock").write_bytes(before["dvc.lock"][:-20] + b"\n  md5")
    (root / "models/champion.dvc").write_bytes(b"")
    (root / "data/landed/batches.dvc").write_bytes(b"")
    with (root / "models/ledger.jsonl").open("ab") as stream:
        stream.write(b'{"at": "2026-')
    (root / "data/landed/batches/0003_0123456789ab.csv").write_bytes(b"")
    said = machine.run()
    mended = {line.split()[1].rstrip(":") for line in said.splitlines() if line.startswith("mended ")}
    assert mended == {
        ".dvc/tmp/rwlock",
        "dvc.lock",
        "models/champion.dvc",
        "data/landed/batches.dvc",
        "models/ledger.jsonl",
        "data/landed/batches/0003_0123456789ab.csv",
    }
    assert machine.results() == before
    assert machine.ledger() == ledger
    machine.repository.run("churn-drift", "models", "verify", "--check")


def rwlock(path: str, pid: int) -> str:
    """DVC's note of a process that writes there: its number has been given to somebody else, who lives."""
    return json.dumps({"write": {path: {"pid": pid, "cmd": "dvc repro"}}, "read": {}})
