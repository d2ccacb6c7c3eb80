"""An older version becomes champion again: one command, by DVC's real cache and remote."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from churn_drift import paths
from churn_drift.errors import ModelError, VersionError
from churn_drift.model.bundle import Bundle, version_of
from churn_drift.tracking import dvc, ledger, pin, promotion
from tests.tracking.conftest import git, isolate, propose, start

pytestmark = pytest.mark.slow
METRICS = {"auc_policy": 0.6414}


@pytest.fixture(scope="module")
def promoted(bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """A repository in which three versions became champion one after the other, made once."""
    made = []
    with pytest.MonkeyPatch.context() as patch:
        root = start(tmp_path_factory.mktemp("promoted"), patch)
        for number in range(3):
            made.append(propose(bundle, reason=f"z {number + 3}.00 > 2.33"))
            promotion.promote({"auc_policy": 0.64 + number / 100})
    return root, made


@pytest.fixture
def three(promoted: tuple[Path, list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A copy of it, the working directory; only the last version lies in a folder."""
    root, made = promoted
    isolate(tmp_path, monkeypatch)
    shutil.copytree(root, tmp_path / "repository")
    monkeypatch.chdir(tmp_path / "repository")
    return made


def champions() -> list[str]:
    """Of the ledger, oldest first."""
    return [entry["version"] for entry in ledger.entries(paths.LEDGER)]


def dies(*_: object, **__: object) -> None:
    raise OSError("power is gone")


def test_without_a_version_the_one_before_comes_back_and_its_line_says_so(three: list[str]) -> None:
    entry = promotion.rollback(None, reason="too many complaints")
    assert version_of(paths.CHAMPION) == three[1]
    assert dvc.is_pinned(paths.CHAMPION)
    assert ledger.entries(paths.LEDGER)[-1] == entry
    assert {key: entry[key] for key in ("action", "version", "replaces", "reason", "metrics")} == {
        "action": "rollback",
        "version": three[1],
        "replaces": three[2],
        "reason": "too many complaints",
        "metrics": {"auc_policy": 0.65},
    }
    assert entry["pin"] == pin.pinned() == ledger.entries(paths.LEDGER)[1]["pin"]


def test_a_second_rollback_goes_further_back_and_a_third_finds_nothing(three: list[str]) -> None:
    promotion.rollback(None, reason="asked for")
    promotion.rollback(None, reason="asked for")
    assert version_of(paths.CHAMPION) == three[0]
    with pytest.raises(VersionError, match="previous: no version holds this role"):
        promotion.rollback(None, reason="asked for")
    assert champions() == [*three, three[1], three[0]]


def test_a_named_version_comes_back_and_the_next_run_does_not_undo_it(three: list[str]) -> None:
    promotion.rollback(three[0][:6], reason="asked for")
    assert promotion.promote(METRICS) is None
    assert pin.restore() == three[0] == version_of(paths.CHAMPION)


def test_what_was_withdrawn_can_be_named_again(three: list[str]) -> None:
    promotion.rollback(three[0], reason="asked for")
    promotion.rollback(three[2], reason="it was not the model")
    assert version_of(paths.CHAMPION) == three[2]


def test_a_retrained_model_that_was_never_champion_can_be_made_champion(three: list[str], bundle: Bundle) -> None:
    never = propose(bundle, reason="z 9.00 > 2.33")
    paths.RETRAINED.mkdir()
    paths.CANDIDATE.rename(paths.RETRAINED / f"01_{never}")
    entry = promotion.rollback(never, reason="asked for")
    assert (version_of(paths.CHAMPION), entry["metrics"]) == (never, {})


def test_it_comes_from_the_remote_where_the_cache_lacks_it(three: list[str], tmp_path: Path) -> None:
    run("dvc", "remote", "add", "--default", "shelf", str(tmp_path / "shelf"))
    git("add", ".")
    git("-c", "user.name=t", "-c", "user.email=t@t", "commit", "--quiet", "--message", "Three")
    for _ in range(2):
        promotion.rollback(None, reason="asked for")
    run("dvc", "push")
    promotion.rollback(three[2], reason="asked for")
    shutil.rmtree(".dvc/cache")
    promotion.rollback(three[0], reason="asked for")
    assert version_of(paths.CHAMPION) == three[0]


def test_a_version_that_neither_cache_nor_remote_has_is_refused_and_the_champion_stays(three: list[str]) -> None:
    shutil.rmtree(".dvc/cache")
    with pytest.raises(ModelError, match=r"in no cache here, and no remote gives it .*`churn-drift doctor`"):
        promotion.rollback(None, reason="asked for")
    assert version_of(paths.CHAMPION) == three[2]
    assert champions() == three


def test_a_corrupted_cache_file_is_refused_and_the_champion_stays(three: list[str]) -> None:
    for file in (path for path in Path(".dvc/cache").rglob("*") if path.is_file()):
        if b"z 4.00 > 2.33" in file.read_bytes():
            file.chmod(0o644)
            file.write_bytes(file.read_bytes().replace(b"z 4.00", b"z 9.00"))
    with pytest.raises(ModelError, match=r"facts\.json was altered|in no cache here"):
        promotion.rollback(three[1], reason="asked for")
    assert version_of(paths.CHAMPION) == three[2]
    assert champions() == three


def test_the_champion_is_not_rolled_back_to_itself(three: list[str]) -> None:
    with pytest.raises(VersionError, match=f"{three[2]}: is champion already"):
        promotion.rollback("champion", reason="asked for")
    assert champions() == three


# Crashes


@pytest.mark.parametrize("step", ["add", "append"])
def test_a_rollback_that_was_cut_off_is_healed_by_the_next_call(
    three: list[str], monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr({"add": dvc, "append": ledger}[step], step, dies)
        with pytest.raises(OSError, match="power is gone"):
            promotion.rollback(three[1], reason="asked for")
    promotion.rollback(three[0], reason="asked for")
    assert champions() == {"add": [*three, three[0]], "append": [*three, three[1], three[0]]}[step]
    assert version_of(paths.CHAMPION) == three[0]
    assert dvc.is_pinned(paths.CHAMPION)


def test_a_promotion_that_was_cut_off_before_its_line_is_named_before_the_next_one(
    three: list[str], bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut_off = propose(bundle, reason="z 6.00 > 2.33")
    with monkeypatch.context() as patch:
        patch.setattr(ledger, "append", dies)
        with pytest.raises(OSError, match="power is gone"):
            promotion.promote(METRICS)
    after = propose(bundle, reason="z 7.00 > 2.33")
    promotion.promote(METRICS)
    lines = ledger.entries(paths.LEDGER)
    assert [line["version"] for line in lines] == [*three, cut_off, after]
    assert [line["action"] for line in lines[-2:]] == ["pin", "promote"]
    assert lines[-1]["replaces"] == cut_off


def test_a_promotion_and_a_rollback_at_once_are_one_after_the_other(three: list[str], bundle: Bundle) -> None:
    new = propose(bundle, reason="z 6.00 > 2.33")
    codes = ["promotion.promote({})", f"promotion.rollback({three[0]!r}, reason='asked for')"]
    both = [
        subprocess.Popen([sys.executable, "-c", f"from churn_drift.tracking import promotion; {code}"])
        for code in codes
    ]
    assert [process.wait() for process in both] == [0, 0]
    assert champions() in ([*three, new, three[0]], [*three, three[0], new])
    assert version_of(paths.CHAMPION) == champions()[-1]
    assert dvc.is_pinned(paths.CHAMPION)


def run(*command: str) -> None:
    subprocess.run([sys.executable, "-m", *command], check=True, capture_output=True)
