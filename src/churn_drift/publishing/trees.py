"""A finished run's files, copied out of the workspace or of any revision that DVC knows, compared with dvc.lock."""

import hashlib
import shutil
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import yaml

from churn_drift import paths
from churn_drift.errors import PipelineError
from churn_drift.publishing import lock
from churn_drift.tracking import dvc

REPORTS = paths.EVALUATION.parent
FACTS = f"{paths.RETRAINED}/*/facts.json"

Fetch = Callable[[str, Path], None]
"""Copies a file or a directory of the tree."""


def from_workspace(folder: Path) -> None:
    """Copy the run of the working directory. Raises PipelineError where it is not finished, or was altered."""

    def fetch(path: str, target: Path) -> None:
        if not Path(path).exists():
            raise PipelineError(f"{path}: not there; `dvc repro` makes it")
        (shutil.copytree if Path(path).is_dir() else shutil.copyfile)(path, target)

    facts = [path.as_posix() for path in Path().glob(FACTS)]
    _copy(fetch, facts, folder, where="this run", remedy="`dvc repro` finishes it")


def from_revision(revision: str, folder: Path, *, name: str) -> None:
    """Copy the run of a git revision: git's files, and DVC's out of its cache, else of its remote.

    Raises PipelineError where it is not finished, or a file lies in neither.
    """
    from dvc.api import DVCFileSystem
    from dvc_data.index import DataIndexError

    tree = DVCFileSystem(rev=revision)
    again = f"`dvc exp apply {name} && dvc repro`"
    asked: list[str] = []

    def fetch(path: str, target: Path) -> None:
        asked.append(path)
        tree.get(path, str(target), recursive=tree.isdir(path))

    def facts() -> Iterator[str]:
        asked.append(str(paths.RETRAINED))
        yield from tree.glob(FACTS)

    try:
        _copy(fetch, facts(), folder, where=name, remedy=f"{again} finishes it")
    except (OSError, DataIndexError):
        raise PipelineError(
            f"{name}: {asked[-1]} lies neither in DVC's cache nor in its remote; {again} makes it"
        ) from None


def _copy(fetch: Fetch, facts: Iterable[str], folder: Path, *, where: str, remedy: str) -> None:
    def into_folder(path: str) -> Path:
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        fetch(path, target)
        return target

    locked = lock.parse(into_folder(str(lock.LOCK)).read_bytes())
    stages = yaml.safe_load(into_folder(str(lock.STAGES)).read_text(encoding="utf-8"))
    for gap in lock.gaps(locked, stages):
        raise PipelineError(f"{where}: not finished: {gap}; {remedy}")
    for path, expected in _wanted(locked).items():
        if _hash(into_folder(path)) != expected:
            raise PipelineError(f"{where}: {path} is not what {lock.LOCK} says; {remedy}")
    for path in facts:
        into_folder(path)


def _wanted(locked: dict[str, Any]) -> dict[str, str]:
    """The outputs that belong to a record, with DVC's hashes."""
    outs = lock.outs(locked)
    return {path: outs[path] for path in outs if Path(path).is_relative_to(REPORTS) or Path(path) == paths.CANDIDATE}


def _hash(path: Path) -> str:
    if path.is_dir():
        return dvc.hash_of(path)
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
