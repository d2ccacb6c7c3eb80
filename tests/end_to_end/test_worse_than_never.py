"""A policy that is significantly worse than never is not promoted, and a scheduler hears of it."""

import json

import pytest

from churn_drift import cli
from churn_drift.tracking import dvc

pytestmark = pytest.mark.slow


def test_a_policy_worse_than_never_ends_with_3_and_promotes_nothing(workspace, monkeypatch, capsys):
    summary = workspace.root / "reports/evaluate/summary.json"
    summary.write_text(json.dumps(json.loads(summary.read_text()) | {"verdict": "worse", "gain": -0.05}))
    (workspace.root / "models/ledger.jsonl").unlink()
    pin = workspace.read("models/champion.dvc")
    monkeypatch.chdir(workspace.root)
    monkeypatch.setattr(dvc, "reproduce", lambda: None)
    assert cli.main(["run"]) == 3
    assert "worse than never" in capsys.readouterr().err
    assert not (workspace.root / "models/ledger.jsonl").exists()
    assert workspace.read("models/champion.dvc") == pin
