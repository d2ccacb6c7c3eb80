import json
import shutil
import subprocess
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from churn_drift import paths
from churn_drift.errors import ModelError, PipelineError
from churn_drift.model.bundle import Bundle, version_of
from churn_drift.tracking import dvc, ledger, pin, promotion
from tests.tracking.conftest import git, propose

METRICS = {"auc_policy": 0.6414, "auc_never": 0.6219, "gain": 0.0195}


@pytest.fixture
def pins(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Stands for `dvc add`: the versions that were pinned. Their pins are no hashes of DVC's."""
    pinned: list[str] = []

    def add(path: Path) -> None:
        pinned.append(version_of(path))
        paths.CHAMPION_PIN.write_text(json.dumps({"outs": [{"md5": f"{pinned[-1]}.dir"}]}))

    monkeypatch.setattr(dvc, "add", add)
    return pinned


def champions() -> list[str]:
    """Of the ledger, oldest first."""
    return [entry["version"] for entry in ledger.entries(paths.LEDGER)]


def raises(message: str) -> Any:
    def fail(*arguments: object, **options: object) -> None:
        raise OSError(message)

    return fail


# What a promotion does


@pytest.mark.slow
def test_a_promotion_copies_pins_and_writes_one_line(
    repository: Path, bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = propose(bundle)
    entry = promotion.promote(METRICS)
    assert version_of(paths.CHAMPION) == version
    assert dvc.is_pinned(paths.CHAMPION)
    assert "nfiles: 7" in paths.CHAMPION_PIN.read_text()
    assert paths.LEDGER.read_text().count("\n") == 1
    assert ledger.entries(paths.LEDGER) == [entry]
    assert git("check-ignore", str(paths.CHAMPION)) == "models/champion"

    monkeypatch.setattr(dvc, "checkout", raises("DVC is not needed for what lies there as pinned"))
    assert pin.restore() == version


def test_the_ledgers_line_says_what_replaced_what_when_and_why(
    repository: Path, bundle: Bundle, pins: list[str]
) -> None:
    first, second = propose(bundle), None
    promotion.promote(METRICS)
    second = propose(bundle, reason="z 4.00 > 2.33")
    entry = promotion.promote(METRICS)
    assert entry is not None
    assert datetime.fromisoformat(entry.pop("at")).utcoffset() is not None
    assert entry == {
        "action": "promote",
        "version": second,
        "pin": f"{second}.dir",
        "replaces": first,
        "reason": "z 4.00 > 2.33",
        "commit": git("rev-parse", "HEAD"),
        "data": "d1",
        "params": "p1",
        "metrics": METRICS,
    }
    assert pins == [first, second]


def test_the_first_champion_replaces_none(repository: Path, bundle: Bundle, pins: list[str]) -> None:
    propose(bundle)
    entry = promotion.promote(METRICS)
    assert entry is not None
    assert entry["replaces"] is None


def test_a_directory_without_a_commit_is_promoted_without_one(
    tmp_path: Path, bundle: Bundle, pins: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    propose(bundle)
    entry = promotion.promote(METRICS)
    assert entry is not None
    assert entry["commit"] is None


# What it does not do


def test_the_same_candidate_twice_is_once(repository: Path, bundle: Bundle, pins: list[str]) -> None:
    version = propose(bundle)
    promotion.promote(METRICS)
    assert promotion.promote(METRICS) is None
    assert champions() == pins == [version]


def test_a_candidate_that_was_champion_before_is_not_promoted_again(
    repository: Path, bundle: Bundle, pins: list[str]
) -> None:
    first = propose(bundle)
    promotion.promote(METRICS)
    second = propose(bundle, reason="z 4.00 > 2.33")
    promotion.promote(METRICS)
    propose(bundle)
    assert promotion.promote(METRICS) is None
    assert champions() == [first, second]
    assert version_of(paths.CHAMPION) == second


def test_an_altered_candidate_is_refused_and_the_champion_stays(
    repository: Path, bundle: Bundle, pins: list[str]
) -> None:
    champion = propose(bundle)
    promotion.promote(METRICS)
    propose(bundle, reason="z 4.00 > 2.33")
    facts = paths.CANDIDATE / "facts.json"
    facts.write_text(facts.read_text().replace("4.00", "9.00"))
    with pytest.raises(ModelError, match=r"facts\.json was altered"):
        promotion.promote(METRICS)
    assert version_of(paths.CHAMPION) == champion
    assert champions() == pins == [champion]


def test_a_candidate_that_scores_otherwise_here_is_refused_and_the_champion_stays(
    repository: Path, bundle: Bundle, pins: list[str]
) -> None:
    champion = propose(bundle)
    promotion.promote(METRICS)
    moved = tuple(type(g)(g.record, g.probability + 0.01) for g in bundle.golden)
    propose(Bundle(**{**vars(bundle), "golden": moved}))
    with pytest.raises(ModelError, match="golden record 0"):
        promotion.promote(METRICS)
    assert version_of(paths.CHAMPION) == champion
    assert champions() == pins == [champion]


def test_without_a_candidate_the_error_names_the_command_that_makes_one(repository: Path) -> None:
    with pytest.raises(ModelError, match="dvc repro"):
        promotion.promote(METRICS)
    assert not paths.CHAMPION.exists()


def test_a_damaged_ledger_stops_the_promotion_before_anything_is_written(
    repository: Path, bundle: Bundle, pins: list[str]
) -> None:
    propose(bundle)
    paths.LEDGER.write_text("<<<<<<< HEAD\n")
    with pytest.raises(PipelineError, match="line 1"):
        promotion.promote(METRICS)
    assert not paths.CHAMPION.exists()
    assert paths.LEDGER.read_text() == "<<<<<<< HEAD\n"


# Crashes


def test_a_crash_between_copy_and_pin_is_healed_by_the_next_call(
    repository: Path, bundle: Bundle, pins: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    version = propose(bundle)
    with monkeypatch.context() as patch:
        patch.setattr(dvc, "add", raises("power is gone"))
        with pytest.raises(OSError, match="power is gone"):
            promotion.promote(METRICS)
    assert (version_of(paths.CHAMPION), pins, champions()) == (version, [], [])
    assert promotion.promote(METRICS) is not None
    assert (pins, champions()) == ([version], [version])


def test_a_crash_between_pin_and_ledger_is_healed_by_the_next_call(
    repository: Path, bundle: Bundle, pins: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    version = propose(bundle)
    with monkeypatch.context() as patch:
        patch.setattr(ledger, "append", raises("disk is full"))
        with pytest.raises(OSError, match="disk is full"):
            promotion.promote(METRICS)
    assert (pins, champions()) == ([version], [])
    assert promotion.promote(METRICS) is not None
    assert (pins, champions()) == ([version, version], [version])


def test_what_a_killed_promotion_left_beside_the_champion_is_removed(
    repository: Path, bundle: Bundle, pins: list[str]
) -> None:
    propose(bundle)
    for name in (".champion.123.part", ".champion.123.old"):
        shutil.copytree(paths.CANDIDATE, paths.CHAMPION.parent / name)
    promotion.promote(METRICS)
    assert sorted(path.name for path in paths.CHAMPION.parent.iterdir()) == [
        "candidate",
        "champion",
        "champion.dvc",
        "ledger.jsonl",
    ]


@pytest.mark.slow
def test_two_promotions_at_once_are_one(repository: Path, bundle: Bundle) -> None:
    version = propose(bundle)
    code = "from churn_drift.tracking.promotion import promote; print(promote({}) is not None)"
    both = [subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) for _ in range(2)]
    said = sorted(process.communicate()[0].strip() for process in both)
    assert [process.returncode for process in both] == [0, 0]
    assert said == ["False", "True"]
    assert champions() == [version]
    assert dvc.is_pinned(paths.CHAMPION)


# The pin is the truth


def test_where_nothing_is_pinned_there_is_no_champion(repository: Path) -> None:
    assert pin.restore() is None


@pytest.mark.slow
def test_the_champion_is_what_is_pinned_whatever_lies_in_the_folder(repository: Path, bundle: Bundle) -> None:
    pinned = propose(bundle)
    promotion.promote(METRICS)

    shutil.rmtree(paths.CHAMPION)
    assert pin.restore() == pinned == version_of(paths.CHAMPION)

    cut_off_between_copy_and_pin = propose(bundle, reason="z 4.00 > 2.33")
    shutil.rmtree(paths.CHAMPION)
    shutil.copytree(paths.CANDIDATE, paths.CHAMPION)
    assert version_of(paths.CHAMPION) == cut_off_between_copy_and_pin
    assert pin.restore() == pinned == version_of(paths.CHAMPION)

    paths.CHAMPION_PIN.write_text(paths.CHAMPION_PIN.read_text().replace(dvc_hash(), "0" * 32))
    with pytest.raises(PipelineError, match=r"`dvc checkout models/champion` failed: .*cache"):
        pin.restore()
    assert version_of(paths.CHAMPION) == pinned
    assert [path.name for path in paths.CHAMPION.parent.glob(".champion*")] == []


def dvc_hash() -> str:
    return paths.CHAMPION_PIN.read_text().split("md5: ")[1].split(".dir")[0]


def test_an_altered_champion_is_refused_not_thrown_away(repository: Path, bundle: Bundle, pins: list[str]) -> None:
    propose(bundle)
    promotion.promote(METRICS)
    paths.CHAMPION_PIN.write_text(json.dumps({"outs": [{"md5": "0.dir"}]}))
    (paths.CHAMPION / "scoring.json").write_text("{}")
    with pytest.raises(ModelError, match=r"scoring\.json was altered"):
        pin.restore()
    assert (paths.CHAMPION / "scoring.json").read_text() == "{}"
