"""The one commit that a run makes: some files as they lie here, and nothing else of the user's."""

import os
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

from churn_drift.errors import ConfigError, PipelineError
from churn_drift.ports import STATE

_SIGNERS = ("AUTHOR", "COMMITTER")

_BEGUN = STATE / "committing"
"""There while git commits for us."""
_LOCKS = ("index.lock", "HEAD.lock")
_AT_ONCE = 60.0
"""Seconds within which git makes its locks: a later one is somebody else's."""


def check_ready() -> None:
    """Raises ConfigError where no commit can be made here: no repository, nobody to sign it, a merge that waits."""
    if _git("rev-parse", "--git-dir").returncode:
        raise ConfigError("--commit: this is no git repository; `git init`, or leave --commit out")
    if any(_git("-c", "user.useConfigOnly=true", "var", f"GIT_{who}_IDENT").returncode for who in _SIGNERS):
        raise ConfigError("--commit: git has no author; `git config user.name NAME && git config user.email ADDRESS`")
    for name in ("MERGE_HEAD", "CHERRY_PICK_HEAD", "REVERT_HEAD", "rebase-merge", "rebase-apply"):
        if Path(_git("rev-parse", "--git-path", name).stdout.decode().strip()).exists():
            raise ConfigError("--commit: a merge, rebase or pick is not finished; finish it, or `git status` says how")


def changed(files: Sequence[str]) -> list[str]:
    """Those of some files and folders that differ from the commit, each file by its name; no ignored ones."""
    listed = _git("status", "--porcelain=v1", "-z", "--no-renames", "--untracked-files=all", "--", *files).stdout
    below = _git("rev-parse", "--show-prefix").stdout.decode().strip()
    return [entry[3:].removeprefix(below) for entry in os.fsdecode(listed).split("\0") if entry]


def require_committed(files: Sequence[str]) -> None:
    """Raises PipelineError naming the first that differs from the commit."""
    differing = changed(files)
    if differing:
        raise PipelineError(
            f"{differing[0]} is not committed, and the results rest on it; commit it, then the next run commits them"
        )


def commit(files: Sequence[str], message: str) -> None:
    """Commit these files as they lie here and nothing else: what is staged otherwise stays staged.

    Raises PipelineError with what git said.
    """
    _BEGUN.parent.mkdir(parents=True, exist_ok=True)
    _BEGUN.touch()
    new = os.fsdecode(_git("ls-files", "-z", "--others", "--exclude-standard", "--", *files).stdout).split("\0")[:-1]
    if new:
        _insist("add", "--intent-to-add", "--", *new)
    _insist("commit", "--quiet", "--only", "--message", message, "--", *files)
    _BEGUN.unlink()


def unlock() -> Iterator[str]:
    """Take away the locks that git has left where it was killed while it committed for us; one line for each.

    Call it with the run's lease, which git held too.
    """
    if not _BEGUN.exists():
        return
    for name in _LOCKS:
        path = Path(_git("rev-parse", "--git-path", name).stdout.decode().strip())
        if path.is_file() and 0 <= path.stat().st_mtime - _BEGUN.stat().st_mtime < _AT_ONCE:
            path.unlink()
            yield f"{path}: was left by a commit that was cut off; taken away"
    _BEGUN.unlink()


def _insist(*arguments: str) -> None:
    done = _git(*arguments)
    if done.returncode:
        said = " ".join((done.stderr or done.stdout).decode(errors="replace").split())
        raise PipelineError(f"`git {arguments[0]}` failed: {said[:300]}")


def _git(*arguments: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(["git", *arguments], capture_output=True, check=False)
