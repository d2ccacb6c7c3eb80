import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from churn_drift.errors import PipelineError
from churn_drift.tracking import ledger

AT = "2026-11-23T18:03:46+00:00"
FIRST = {"version": "0dc74beaa0fe", "at": AT, "reason": "z 3.00 > 2.33"}
SECOND = {"version": "9fc4bce76696", "at": "2026-11-24T00:00:00+00:00"}


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
    assert path.read_bytes() == before + b'{"version": "9fc4bce76696", "at": "2026-11-24T00:00:00+00:00"}\n'


@pytest.mark.parametrize("reason", ["two\nlines", "line\u2028separator", "größer"])
def test_a_reason_of_any_text_is_one_entry(path: Path, reason: str) -> None:
    ledger.append({"version": "a", "at": AT, "reason": reason}, path)
    ledger.append(SECOND, path)
    assert ledger.entries(path) == [{"version": "a", "at": AT, "reason": reason}, SECOND]


def test_a_last_line_without_its_end_is_not_glued_to_the_next(path: Path) -> None:
    path.parent.mkdir()
    path.write_text(json.dumps(FIRST))
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
        (b'{"version": 7, "at": "2026-11-23T18:03:46+00:00"}', "names no version"),
        (b'{"version": "0dc74beaa0fe"}', "at: no time (None)"),
        (b'{"version": "0dc74beaa0fe", "at": "2026-11-23T18:03:46"}', "at: no time ('2026-11-23T18:03:46')"),
        (b'{"version": "0dc74beaa0fe", "at": "yesterday"}', "at: no time ('yesterday')"),
    ],
)
def test_a_damaged_line_is_named_with_its_number_and_the_remedy(path: Path, damaged: bytes, fault: str) -> None:
    good = json.dumps(FIRST).encode() + b"\n"
    path.parent.mkdir()
    path.write_bytes(good + damaged + b"\n" + good + good)
    with pytest.raises(PipelineError) as refused:
        ledger.entries(path)
    assert str(refused.value).startswith(f"{path}: line 2: {fault}")
    assert str(refused.value).endswith(f"`git checkout {path}`")


def test_the_line_in_force_is_the_last_one_that_is_not_later() -> None:
    second = datetime(2026, 11, 24, tzinfo=UTC)
    assert ledger.as_of([FIRST, SECOND], second) == SECOND
    assert ledger.as_of([FIRST, SECOND], second.replace(day=23, hour=23)) == FIRST
    assert ledger.as_of([FIRST, SECOND], datetime(2026, 11, 23, 18, 3, 45, tzinfo=UTC)) is None


def test_a_time_in_another_zone_is_the_same_moment() -> None:
    assert ledger.time_of({"at": "2026-11-23T19:03:46+01:00"}) == ledger.time_of(FIRST)


@pytest.mark.parametrize(
    ("became_champion", "standing"),
    [
        ("", ""),
        ("a", "a"),
        ("ab", "ab"),
        ("abca", "a"),  # rolled back to the first
        ("abcb", "ab"),  # c is withdrawn
        ("abcbd", "abd"),  # and d succeeds b
        ("abcbda", "a"),
    ],
)
def test_a_rollback_withdraws_what_came_after_the_version_it_brings_back(became_champion: str, standing: str) -> None:
    assert ledger.standing([{"version": version} for version in became_champion]) == list(standing)
