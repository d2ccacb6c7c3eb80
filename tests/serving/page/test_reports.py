"""What the page reads of a run."""

from pathlib import Path

import pytest

from churn_drift import paths
from churn_drift.errors import PipelineError
from churn_drift.serving.page import reports
from tests.serving.page.runs import UNLABELLED, write_run


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_batch_without_labels_has_no_numbers_of_them(place: Path) -> None:
    write_run(place, last=UNLABELLED)
    told = reports.timeline()
    assert [batch.name for batch in told.batches] == ["02", "03", "04"]
    assert (told.batches[-1].auc, told.batches[-1].churn, told.batches[-1].customers) == (None, None, 5000)
    assert told.newest_judged == told.batches[1]


def test_features_come_with_those_that_moved_most_first(place: Path) -> None:
    write_run(place)
    told = reports.drift()
    assert [feature.name for feature in told.features] == ["AgeHH1", "MonthsInService"]
    assert told.features[0].about == "age of the first adult (years)"
    assert told.features[0].drifted == (True, True, True)
    assert told.newest(2).batches == ("03", "04")
    assert told.newest(2).features[1].psi == (0.01, 0.02)


def test_a_distribution_has_the_reference_and_every_batch(place: Path) -> None:
    write_run(place, features=["AgeHH1"])
    assert dict(reports.distributions()["AgeHH1"]) == {
        "about": "age of the first adult (years)",
        "cells": ["up to 12", "more <b> of AgeHH1"],
        "reference": [0.25, 0.75],
        "batches": {"02": [0.5, 0.5], "03": [0.5, 0.5], "04": [0.5, 0.5]},
    }


@pytest.mark.parametrize("file", [paths.TIMELINE, paths.SUMMARY, paths.DRIFT_FEATURES, paths.DRIFT_DISTRIBUTIONS])
@pytest.mark.parametrize("content", [None, b"", b"batch,rows\nx,1\n", b"\xff\xfe", b"{", b"[]"])
def test_a_missing_or_damaged_report_is_named_with_what_makes_it(
    place: Path, file: Path, content: bytes | None
) -> None:
    write_run(place)
    file.unlink()
    if content is not None:
        file.write_bytes(content)
    part = [kept() for kept in reports.parts().values()]
    (why,) = [p.why for p in part if p.value is None]
    assert str(file) in why or str(file.parent) in why
    assert "dvc repro" in why


def test_a_cell_that_is_no_number_is_named(place: Path) -> None:
    write_run(place)
    text = paths.TIMELINE.read_text().replace("0.6454", "0,6454x", 1).replace("0,6454x", "six")
    paths.TIMELINE.write_text(text)
    with pytest.raises(PipelineError, match="auc_policy: 'six' is no number"):
        reports.timeline()


def test_a_part_is_read_again_only_where_its_file_has_changed(place: Path) -> None:
    write_run(place)
    kept = reports.parts()["timeline"]
    first = kept()
    assert kept() is first
    write_run(place, batches=4)
    assert len(kept().value.batches) == 4
    paths.SUMMARY.unlink()
    assert kept().value is None


def test_without_a_ledger_nobody_was_champion(place: Path) -> None:
    assert reports.reigns() == []
