from pathlib import Path

import pytest

from churn_drift.errors import PipelineError
from churn_drift.tracking import ledger

FIRST, SECOND = {"version": "0dc74beaa0fe", "reason": "z 3.00 > 2.33"}, {"version": "9fc4bce76696", "replaces": None}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "models" / "ledger.jsonl"


def test_where_nothing_was_promoted_there_are_no_entries(path: Path) -> None:
    assert ledger.entries(path) == []


def test_entries_come_back_oldest_first(path: Path) -> None:
    ledger.append(FIRST, path)
    ledger.append(SECOND, path)
    assert ledger.entries(path) == [FIRST, SECOND]


def test_an_entry_is_one_line_and_the_lines_before_stay_as_they_are(path: Path) -> None:
    ledger.append(FIRST, path)
    before = path.read_bytes()
    ledger.append(SECOND, path)
    assert path.read_bytes() == before + b'{"version": "9fc4bce76696", "replaces": null}\n'


@pytest.mark.parametrize("reason", ["two\nlines", "line\u2028separator", "größer"])
def test_a_reason_of_any_text_is_one_entry(path: Path, reason: str) -> None:
    ledger.append({"version": "a", "reason": reason}, path)
    ledger.append(SECOND, path)
    assert ledger.entries(path) == [{"version": "a", "reason": reason}, SECOND]


def test_a_last_line_without_its_end_is_not_glued_to_the_next(path: Path) -> None:
    path.parent.mkdir()
    path.write_text('{"version": "0dc74beaa0fe"}')
    ledger.append(SECOND, path)
    assert [entry["version"] for entry in ledger.entries(path)] == ["0dc74beaa0fe", "9fc4bce76696"]


@pytest.mark.parametrize(
    ("damaged", "fault"),
    [
        (b"<<<<<<< HEAD", "not JSON"),
        (b'{"version": "0dc7', "not JSON"),
        (b"", "not JSON"),
        (b'{"version": "\xff"}', "not JSON"),
        (b"5", "names no version"),
        (b'{"at": "2026-11-23"}', "names no version"),
    ],
)
def test_a_damaged_line_is_named_with_its_number_and_the_remedy(path: Path, damaged: bytes, fault: str) -> None:
    good = b'{"version": "0dc74beaa0fe"}\n'
    path.parent.mkdir()
    path.write_bytes(good + damaged + b"\n" + good + good)
    with pytest.raises(PipelineError) as refused:
        ledger.entries(path)
    assert str(refused.value).startswith(f"{path}: line 2: {fault}")
    assert str(refused.value).endswith(f"`git checkout {path}`")
