"""The one commit of a run: its files, and none of the user's."""

import os
import subprocess
from pathlib import Path

import pytest

from churn_drift.errors import ConfigError, PipelineError
from churn_drift.production import commits


def git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A git repository with three committed files; the working directory."""
    for name in ("GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL", "GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL", "EMAIL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    monkeypatch.setenv("GIT_CONFIG_SYSTEM", "/dev/null")
    monkeypatch.chdir(tmp_path)
    git("init", "--quiet", "--initial-branch=main")
    git("config", "user.name", "A User")
    git("config", "user.email", "user@example.org")
    Path(".gitignore").write_text("/out/ignored\n")
    for name in ("lock", "out/old", "mine"):
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).write_text("before")
    git("add", ".")
    git("commit", "--quiet", "--message", "Start")
    return tmp_path


def test_it_holds_what_was_changed_added_and_removed_and_leaves_what_the_user_has_staged_or_changed(repository):
    Path("lock").write_text("after")
    Path("out/new").write_text("new")
    Path("out/ignored").write_text("ignored")
    Path("out/old").unlink()
    Path("mine").write_text("staged")
    git("add", "mine")
    Path("mine").write_text("staged and changed")
    Path("also_mine").write_text("new")
    changed = commits.changed(["lock", "out"])
    commits.commit(changed, "Take in batch_10\n\nbatch_10: stable")
    assert sorted(changed) == ["lock", "out/new", "out/old"]
    assert git("show", "--no-patch", "--format=%s|%b|%an") == "Take in batch_10|batch_10: stable\n|A User"
    assert git("show", "--name-status", "--format=").split() == ["M", "lock", "A", "out/new", "D", "out/old"]
    assert git("status", "--short").splitlines() == ["MM mine", "?? also_mine"]
    assert git("show", ":mine") == "staged"


def test_below_the_root_of_a_larger_repository_the_names_are_those_of_the_folder(repository, monkeypatch):
    monkeypatch.chdir(repository / "out")
    Path("old").write_text("after")
    assert commits.changed(["old"]) == ["old"]
    commits.commit(["old"], "Run")
    assert git("show", "--name-only", "--format=").split() == ["out/old"]


def test_what_the_results_rest_on_must_be_committed(repository):
    commits.require_committed(["lock", "mine"])
    Path("mine").write_text("changed")
    with pytest.raises(PipelineError, match="mine is not committed, and the results rest on it"):
        commits.require_committed(["lock", "mine"])


def test_without_an_author_it_is_refused_before_anything_is_run(repository):
    commits.check_ready()
    git("config", "--unset", "user.email")
    with pytest.raises(ConfigError, match=r"git has no author; `git config user\.name"):
        commits.check_ready()


def test_in_the_middle_of_a_merge_it_is_refused(repository):
    Path(".git/MERGE_HEAD").write_text(git("rev-parse", "HEAD"))
    with pytest.raises(ConfigError, match="not finished"):
        commits.check_ready()


def test_outside_of_git_it_is_refused(tmp_path_factory, monkeypatch):
    monkeypatch.chdir(tmp_path_factory.mktemp("bare"))
    with pytest.raises(ConfigError, match="no git repository"):
        commits.check_ready()


def test_what_git_says_against_it_is_told(repository):
    hook = repository / ".git/hooks/pre-commit"
    hook.write_text("#!/bin/sh\necho not today >&2\nexit 1\n")
    hook.chmod(0o755)
    Path("lock").write_text("after")
    with pytest.raises(PipelineError, match="`git commit` failed: not today"):
        commits.commit(["lock"], "Run")


def test_a_lock_that_a_killed_commit_has_left_is_taken_away_and_that_of_somebody_else_is_not(repository):
    Path("lock").write_text("after")
    lock, begun = Path(".git/index.lock"), commits._BEGUN
    lock.touch()
    with pytest.raises(PipelineError, match=r"index\.lock"):
        commits.commit(["lock"], "Run")
    os.utime(lock, (begun.stat().st_mtime + 3600,) * 2)
    assert list(commits.unlock()) == []
    assert lock.exists()
    begun.touch()
    lock.touch()
    assert list(commits.unlock()) == [".git/index.lock: was left by a commit that was cut off; taken away"]
    assert list(commits.unlock()) == []
    commits.commit(["lock"], "Run")
