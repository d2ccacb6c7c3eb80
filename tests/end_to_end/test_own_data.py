"""`--data`: the user's file for one run; params.yaml is as before, whatever happens."""

import os
import re
import signal
import subprocess
import time
from pathlib import Path

import pandas as pd
import pytest

from churn_drift.data.ingest import read_customers
from tests.contracts.reach import ROOT
from tests.end_to_end.repository import stages_run

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def customers(finished):
    """The customers of the finished run as raw cells."""
    raw = finished.repository.root / "data/raw/customers.csv"
    return pd.read_csv(raw, dtype=str, keep_default_na=False)


def test_a_run_on_the_users_file_gives_what_the_same_customers_gave_before(workspace, customers, tmp_path):
    """Shuffled, with a duplicate: mended and counted, then the same but for what describes the source."""
    mixed = pd.concat([customers, customers.iloc[[7]]]).sample(frac=1, random_state=1)
    mixed.to_csv(tmp_path / "own.csv.gz", index=False)
    said = workspace.pipeline("--data", str(tmp_path / "own.csv.gz"))
    assert stages_run(said) == ["ingest", "preprocess", "evaluate"]
    assert workspace.read("reports/ingest/summary.json")["simulated"] is False
    assert workspace.read("reports/preprocess/summary.json")["duplicates_dropped"] == 1
    sources = {"reports/ingest/summary.json", "reports/preprocess/summary.json"}
    changed = {"dvc.lock", "reports/data_sheet.md", "reports/model_card.md"} | sources
    assert "identical rows dropped: 1;" in workspace.read("reports/data_sheet.md")
    assert {line.split()[1] for line in workspace.changes} == changed


def test_a_file_that_is_not_the_schema_is_refused_in_one_line_and_nothing_is_written(workspace, customers, tmp_path):
    customers.assign(Handsets="several").to_csv(tmp_path / "bad.csv", index=False)
    said = workspace.pipeline("--data", str(tmp_path / "bad.csv"), code=2)
    assert len(said.splitlines()) == 1
    for part in ("error: ", "bad.csv", "row 2", "Handsets", "several"):
        assert part in said
    assert workspace.changes == []


def test_a_run_that_a_stage_refuses_ends_with_2_and_the_remedy_it_names_works(workspace, customers, tmp_path):
    customers.to_csv(tmp_path / "own.csv", index=False)
    stray = workspace.root / "data/landed/batches/0001_stray.csv"
    stray.parent.mkdir()
    stray.write_text("CustomerID,Churn\n1,Yes\n")  # put there by hand, not by `churn-drift land`
    said = workspace.pipeline("--data", str(tmp_path / "own.csv"), code=2)
    assert stages_run(said) == ["ingest", "split_batches"]
    assert stray.name in said
    assert "Traceback" not in said
    assert " M params.yaml" not in workspace.changes
    remedy = re.findall(r"`([^`]+)`", said.splitlines()[-1])
    assert remedy
    workspace.run("sh", "-c", " && ".join(remedy))
    stray.unlink()
    assert workspace.changes == []
    assert "up to date" in workspace.run("dvc", "status")


def _hears_interrupts() -> None:
    """A shell starts what runs in its background deaf to Ctrl-C, and children inherit that."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def test_an_interrupted_run_leaves_params_as_before(workspace, customers, tmp_path):
    customers.to_csv(tmp_path / "own.csv", index=False)
    params = workspace.root / "params.yaml"
    before = params.read_bytes()
    with subprocess.Popen(
        ["python", "run_pipeline.py", "--data", str(tmp_path / "own.csv")],
        cwd=workspace.root,
        env=workspace.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        preexec_fn=_hears_interrupts,  # noqa: PLW1509
    ) as process:
        until = time.monotonic() + 60
        while params.read_bytes() == before and time.monotonic() < until:
            time.sleep(0.05)
        assert params.read_bytes() != before
        os.killpg(process.pid, signal.SIGINT)
        said, _ = process.communicate(timeout=60)
    assert params.read_bytes() == before
    assert process.returncode == 130  # what a shell calls "ended by Ctrl-C"
    assert "Traceback" not in said
    assert "interrupted" in said


@pytest.mark.private_sample
def test_the_real_sample_is_ingested_cleanly():
    path = Path(os.environ.get("CHURN_DRIFT_SAMPLE", ROOT.parent / "shared/data/cell2cell.csv.gz"))
    if not path.exists():
        pytest.skip(f"needs the private Cell2Cell sample in {path}, or CHURN_DRIFT_SAMPLE=PATH")
    customers = read_customers(str(path))
    assert len(customers) > 10_000
    assert set(customers["Churn"]) == {"Yes", "No"}
