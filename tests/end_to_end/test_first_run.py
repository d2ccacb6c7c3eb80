"""The main job: one command from raw customers to a pinned champion, the same bytes everywhere."""

import json
import re
import shutil

import pytest
import yaml
from numpy._core import _multiarray_umath

from tests.cards.reading import faults
from tests.contracts.reach import STAGES
from tests.end_to_end.repository import Repository, stages_run

pytestmark = pytest.mark.slow

WIDE = " ".join(_multiarray_umath.__cpu_dispatch__)
"""The wide vector units that numpy may use, by its own names; sums must not depend on them."""


def test_one_command_runs_every_stage_in_order(finished):
    assert stages_run(finished.said) == list(STAGES)


def test_it_prints_a_row_for_each_batch_with_version_and_decision(finished):
    timeline = finished.repository.table("reports/evaluate/timeline.csv")
    assert len(timeline) == 4
    rows = [line for line in finished.said.splitlines() if any(v[:7] in line for v in timeline["version"])]
    for record in timeline.to_dict("records"):
        number, version = record["batch"].removeprefix("batch_"), record["version"][:7]
        assert [row for row in rows if row.split()[0] == number and version in row], record
        assert f"{record['decision']}: {record['reason'].split()[0]}" in finished.said


def test_it_prints_the_verdict_of_the_policy_against_never(finished):
    summary = finished.repository.read("reports/evaluate/summary.json")
    assert summary["verdict"] in finished.said
    assert f"{summary['auc_policy']:.4f}" in finished.said
    assert f"{summary['gain']:+.4f}" in finished.said


def test_what_it_prints_fits_in_80_columns(finished):
    own = finished.said[finished.said.index("Each batch") :].splitlines()
    assert [line for line in own if len(line.rstrip()) > 80 and "git add" not in line] == []


def test_it_promotes_the_candidate_and_says_how_to_keep_it(finished):
    repository = finished.repository
    ledger = [json.loads(line) for line in repository.read("models/ledger.jsonl").splitlines()]
    assert [entry["version"] for entry in ledger] == [repository.read("reports/evaluate/summary.json")["candidate"]]
    assert repository.version("champion") == repository.version("candidate")
    assert "git commit" in finished.said


def test_it_describes_the_candidate_its_data_and_its_slices_and_proposes_to_read_it(finished):
    repository = finished.repository
    candidate = repository.read("reports/evaluate/summary.json")["candidate"]
    card, sheet = (repository.read(f"reports/{name}.md") for name in ("model_card", "data_sheet"))
    assert f"# Model card: churn model {candidate}\n" in card
    assert "# Data sheet: simulated customers\n" in sheet
    assert faults(card) == faults(sheet) == []
    rows = repository.table("reports/evaluate/slices.csv").query("scope == 'timeline'")
    assert set(rows.query("dimension != 'all'").groupby("dimension")["rows"].sum()) == {3 * 600}
    assert "less reports/model_card.md" in finished.said


def test_the_policy_of_this_small_history_promotes_something(finished):
    """Else the tests that compare candidate and baseline would show nothing."""
    repository = finished.repository
    assert repository.read("reports/retrain/summary.json")["promotions"] >= 1
    assert repository.version("candidate") != repository.version("baseline")


def test_git_holds_the_reports_and_dvc_the_data_and_the_models(finished):
    kept = finished.repository.run("git", "ls-files").split()
    assert {"dvc.lock", "models/champion.dvc", "models/ledger.jsonl", "reports/evaluate/timeline.csv"} <= set(kept)
    assert [path for path in kept if path.endswith((".parquet", ".ubj"))] == []
    assert [path for path in kept if path.startswith("reports/") and path.endswith(".png")] == []
    assert finished.repository.changes == []


def test_dvc_repro_a_second_time_does_nothing(workspace):
    said = workspace.run("dvc", "repro")
    assert stages_run(said) == []
    assert "up to date" in said
    assert workspace.changes == []


def test_a_second_run_promotes_nothing_and_changes_no_file(workspace):
    said = workspace.pipeline()
    assert stages_run(said) == []
    assert "Promoted" not in said
    assert workspace.changes == []


@pytest.mark.long
def test_a_fresh_clone_gives_the_same_bytes_with_one_thread_and_without_the_wide_vector_units(finished, tmp_path):
    clone = Repository(tmp_path / "clone")
    finished.repository.run("git", "clone", "--quiet", str(finished.repository.root), str(clone.root))
    said = clone.pipeline(
        CHURN_DRIFT_CACHE="off", OMP_NUM_THREADS="1", OMP_THREAD_LIMIT="1", NPY_DISABLE_CPU_FEATURES=WIDE
    )
    assert stages_run(said) == list(STAGES)
    assert clone.changes == []
    assert "Promoted" not in said
    assert clone.version("champion") == finished.repository.version("champion")
    shutil.rmtree(clone.root)


def test_a_clone_that_cannot_fetch_the_pinned_champion_still_runs_on_its_own_values(workspace):
    """A newcomer without a remote changes a value, or brings data, before the default run was ever made."""
    shutil.rmtree(workspace.root / "models/champion")
    pin, ledger = (workspace.root / "models" / name for name in ("champion.dvc", "ledger.jsonl"))
    pin.write_text(re.sub(r"md5: \w+\.dir", f"md5: {'0' * 32}.dir", pin.read_text()))
    ledger.write_text(re.sub(r'"version": "\w+"', f'"version": "{"0" * 12}"', ledger.read_text()))
    assert "Promoted" in workspace.pipeline()
    assert workspace.version("champion") == workspace.version("candidate")


def test_dvc_dag_and_stage_list_read_as_a_table_of_contents(finished):
    listed = finished.repository.run("dvc", "stage", "list")
    for name in STAGES:
        described = yaml.safe_load(finished.repository.read("dvc.yaml"))["stages"][name]["desc"]
        assert any(line.split(maxsplit=1) == [name, described] for line in listed.splitlines())
