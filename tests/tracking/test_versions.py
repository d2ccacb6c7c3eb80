"""Names of versions, and where their directories come from."""

import shutil
from pathlib import Path

import pytest

from churn_drift import paths
from churn_drift.errors import ModelError, VersionError
from churn_drift.model.bundle import Bundle, version_of
from churn_drift.tracking import ledger, promotion, versions
from tests.tracking.conftest import propose

AT = "2026-11-23T18:03:46+00:00"


def became_champion(*names: str) -> None:
    for name in names:
        ledger.append({"version": name, "at": AT, "pin": f"{name}.dir"}, paths.LEDGER)


def test_a_role_names_the_version_that_holds_it(repository: Path, bundle: Bundle) -> None:
    candidate = propose(bundle)
    became_champion("aaaa00000001", "bbbb00000002")
    assert versions.resolve("champion") == "bbbb00000002"
    assert versions.resolve("previous") == "aaaa00000001"
    assert versions.resolve("challenger") == versions.resolve("candidate") == candidate


def test_a_candidate_that_was_champion_once_challenges_nobody(repository: Path, bundle: Bundle) -> None:
    became_champion(propose(bundle), "bbbb00000002")
    assert versions.roles().challenger is None


def test_a_role_that_nobody_holds_is_refused(repository: Path) -> None:
    with pytest.raises(VersionError, match="previous: no version holds this role"):
        versions.resolve("previous")


@pytest.mark.parametrize("name", ["aaaa", "aaaa0000", "aaaa00000001"])
def test_the_first_four_digits_name_a_version(repository: Path, name: str) -> None:
    became_champion("aaaa00000001", "bbbb00000002")
    assert versions.resolve(name) == "aaaa00000001"


@pytest.mark.parametrize("name", ["", "aaa", "cccc", "Champion", "../champion"])
def test_any_other_name_is_refused_with_the_command_that_lists_them(repository: Path, name: str) -> None:
    became_champion("aaaa00000001")
    with pytest.raises(VersionError, match="no such version or role; `churn-drift models list`"):
        versions.resolve(name)


def test_digits_that_several_begin_with_name_none(repository: Path) -> None:
    became_champion("aaaa00000001", "aaaa00000002")
    with pytest.raises(VersionError, match="could be aaaa00000001 or aaaa00000002; give more digits"):
        versions.resolve("aaaa")


def test_a_retrained_model_is_known_before_any_promotion(repository: Path, bundle: Bundle) -> None:
    version = propose(bundle)
    paths.CANDIDATE.rename(paths.CANDIDATE.with_name("retrained"))
    folder = paths.RETRAINED / f"03_{version}"
    paths.RETRAINED.rename("model")
    folder.parent.mkdir()
    Path("model").rename(folder)
    assert versions.resolve(version[:4]) == version
    with versions.folder_of(version) as found:
        assert found == folder


@pytest.mark.slow
def test_a_version_that_no_folder_holds_comes_from_the_cache_and_leaves_nothing_behind(
    repository: Path, bundle: Bundle
) -> None:
    first = propose(bundle)
    promotion.promote({})
    propose(bundle, reason="z 4.00 > 2.33")
    promotion.promote({})
    before = sorted(paths.CHAMPION.parent.iterdir())
    with versions.folder_of(first) as folder:
        assert version_of(folder) == first
    assert sorted(paths.CHAMPION.parent.iterdir()) == before

    shutil.rmtree(".dvc/cache")
    with (
        pytest.raises(ModelError, match=f"{first}: is in no cache here, and no remote gives it"),
        versions.folder_of(first),
    ):
        pass
    assert sorted(paths.CHAMPION.parent.iterdir()) == before


def test_a_version_that_nothing_leads_to_is_refused(repository: Path) -> None:
    with (
        pytest.raises(ModelError, match="never champion, so nothing says where it lies"),
        versions.folder_of("aaaa00000001"),
    ):
        pass
