"""models/champion and its pin, models/champion.dvc: git's pin is the truth, the folder follows it."""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from churn_drift import paths
from churn_drift.errors import ModelError, PipelineError
from churn_drift.model.bundle import Bundle, load, save, version_of
from churn_drift.tracking import dvc


@contextmanager
def alone() -> Iterator[None]:
    """One change of champion at a time; the lock goes with the process. What a killed one left behind goes too."""
    lock = Path(".dvc/tmp/promote.lock")
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        for left in paths.CHAMPION.parent.glob(f".{paths.CHAMPION.name}.*"):
            shutil.rmtree(left)
        yield


def install(bundle: Bundle) -> str:
    """The bundle as champion, folder first, then the pin; the pin's hash. Call it `alone`."""
    save(bundle, paths.CHAMPION)
    dvc.add(paths.CHAMPION)
    return pinned()


def pinned() -> str:
    """DVC's hash of the directory that is pinned."""
    return dvc.pinned_hash(paths.CHAMPION_PIN.read_bytes(), source=paths.CHAMPION_PIN)


def restore() -> str | None:
    """The pinned champion's version; None where nothing is pinned.

    Brought back from the cache where the folder is missing, or holds another model than the pin names (a pin that git
    has moved, a promotion that was cut off). Raises ModelError where the folder was altered: that is for a person to
    look at, or where a missing one is in no cache; PipelineError where the cache lacks another, which then stays.
    """
    if not paths.CHAMPION_PIN.exists():
        return None
    with alone():
        if not paths.CHAMPION.exists():
            _bring_back()
        version = version_of(paths.CHAMPION)
        if dvc.is_pinned(paths.CHAMPION):
            return version
        with _aside(paths.CHAMPION):
            dvc.checkout(paths.CHAMPION)
        return version_of(paths.CHAMPION)


def _bring_back() -> None:
    """The pinned champion from the cache, or, where no cache has it, from the models that the run has just made."""
    try:
        dvc.checkout(paths.CHAMPION)
    except PipelineError:
        for folder in (paths.CANDIDATE, paths.BASELINE, *sorted(paths.RETRAINED.glob("*"))):
            if folder.is_dir() and dvc.is_pinned(folder, pin=paths.CHAMPION):
                save(load(folder), paths.CHAMPION)
                return
        raise ModelError(
            f"{paths.CHAMPION}: the pinned model is in no cache here and this run did not make it; "
            f"`dvc pull {paths.CHAMPION}` fetches it from the remote"
        ) from None


@contextmanager
def _aside(folder: Path) -> Iterator[None]:
    """The folder out of the way, and back where the block fails: `dvc checkout --force` deletes before it looks."""
    aside = folder.with_name(f".{folder.name}.{os.getpid()}.old")
    folder.rename(aside)
    try:
        yield
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        aside.rename(folder)
        raise
    shutil.rmtree(aside)
