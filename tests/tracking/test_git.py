from pathlib import Path

import pytest

from churn_drift.errors import VersionError
from churn_drift.tracking import git
from tests.tracking.conftest import git as run


def commit(text: str) -> str:
    Path("note.txt").write_text(text)
    run("add", ".")
    run("-c", "user.name=t", "-c", "user.email=t@t", "commit", "--quiet", "--message", text)
    return run("rev-parse", "HEAD")


def test_a_file_reads_as_it_stood_in_a_commit(repository: Path) -> None:
    first, second = commit("one"), commit("two")
    assert git.read(first, Path("note.txt")) == b"one"
    assert git.read(second, Path("note.txt")) == b"two"
    assert git.read(first, Path("other.txt")) is None


def test_a_file_reads_from_a_repository_that_is_not_gits_root(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("below").mkdir()
    monkeypatch.chdir("below")
    assert git.read(commit("one"), Path("note.txt")) == b"one"


def test_a_branch_a_tag_and_a_short_hash_name_their_commit(repository: Path) -> None:
    made = commit("one")
    run("tag", "v1")
    run("branch", "side")
    assert {git.commit_of(name) for name in ("v1", "side", "HEAD", made[:8], made)} == {made}


@pytest.mark.parametrize("name", ["nothing", "HEAD~99", "--all", "", "HEAD:note.txt"])
def test_any_other_name_is_no_revision(repository: Path, name: str) -> None:
    commit("one")
    with pytest.raises(VersionError, match="git knows no such revision"):
        git.commit_of(name)


def test_the_tree_is_dirty_while_anything_differs_from_the_commit(repository: Path) -> None:
    commit("one")
    assert not git.is_dirty()
    Path("new.txt").touch()
    assert git.is_dirty()
    Path("new.txt").unlink()
    Path("note.txt").write_text("two")
    assert git.is_dirty()


def test_outside_of_git_there_is_no_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert git.head() is None
