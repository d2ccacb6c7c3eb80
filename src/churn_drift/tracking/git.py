"""What git knows: commits, and files as they were."""

import subprocess
from pathlib import Path

from churn_drift.errors import VersionError


def head() -> str | None:
    """The commit that is checked out; None outside of git and before the first commit."""
    done = _git("rev-parse", "--verify", "--quiet", "HEAD")
    return done.stdout.decode().strip() or None if done.returncode == 0 else None


def is_dirty() -> bool:
    """Whether anything that git follows, or does not ignore, differs from the commit."""
    return bool(_git("status", "--porcelain").stdout.strip())


def commit_of(revision: str) -> str:
    """The commit that a branch, tag or hash names. Raises VersionError where it names none."""
    done = _git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
    if done.returncode:
        raise VersionError(f"{revision}: git knows no such revision; `git log --oneline` lists them")
    return done.stdout.decode().strip()


def read(commit: str, path: Path) -> bytes | None:
    """A file as it stood in a commit; None where it was not there."""
    done = _git("show", f"{commit}:./{path.as_posix()}")
    return done.stdout if done.returncode == 0 else None


def _git(*arguments: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(["git", *arguments], capture_output=True, check=False)
