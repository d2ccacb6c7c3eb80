"""The page's first sentences."""

from pathlib import Path

import pytest

from churn_drift.serving.page import reports
from churn_drift.serving.page.words import sentences
from tests.serving.page.runs import UNLABELLED, write_run

UNKNOWN = {"gain": None, "gain_low": None, "gain_high": None}


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def told(place: Path, **run: object) -> list[str]:
    write_run(place, **run)  # type: ignore[arg-type]
    return list(sentences(reports.timeline()))


def test_a_run_is_told_in_three_sentences(place: Path) -> None:
    assert told(place) == [
        "Batch 04, the newest, has drifted: 19 % of its features are no longer distributed as its model knew them, "
        "MonthsInService most.",
        "On batch 04, the newest with labels, the model that served then ranked who leaves with an AUC of .645 "
        "(.628 to .662); the first model, kept until now, reaches .600.",
        "In 3 batches the policy evidence promoted 7 times and gained +0.029 in AUC [+0.025, +0.034]: better than "
        "never retraining.",
    ]


def test_without_drift_nothing_has_moved(place: Path) -> None:
    assert "are like those" in told(place, last={"verdict": "stable"})[0]
    assert "too few customers" in told(place, last={"verdict": "insufficient"})[0]


def test_without_labels_nothing_is_said_of_skill_or_gain(place: Path) -> None:
    found = told(place, batches=1, last=UNLABELLED, summary={**UNKNOWN, "promotions": 0})
    assert found[1] == "No batch has labels yet, so how well it ranks cannot be told."
    assert found[2] == "In 1 batch the policy evidence promoted never; what that gained cannot be told yet."


def test_a_policy_that_is_worse_is_called_so(place: Path) -> None:
    assert told(place, summary={"verdict": "worse", "promotions": 2})[2].endswith("worse than never retraining.")
    assert "promoted twice" in told(place, summary={"promotions": 2})[2]
    assert "not to be told apart from" in told(place, summary={"verdict": "equal"})[2]
