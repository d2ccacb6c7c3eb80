"""The two pins: models/candidate is what the experiment proposes, models/champion is what serves.

Only `promote` writes the champion: copy, verify, `dvc add`, one ledger line. The pin in git is the truth; a crash
between two of these steps is healed by the next call, because each step looks at what is there.
"""

import fcntl
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from churn_drift import paths
from churn_drift.errors import ModelError, PipelineError
from churn_drift.model.bundle import Bundle, load, save, version_of
from churn_drift.tracking import dvc, ledger


def promote(metrics: Mapping[str, Any]) -> dict[str, Any] | None:
    """The candidate as champion, where its version was never in the ledger; the ledger's new line, or None.

    metrics  of the run that proposes it, for the ledger
    """
    with _alone():
        version = version_of(paths.CANDIDATE)
        candidate = load(paths.CANDIDATE, expected=version)
        past = ledger.entries(paths.LEDGER)
        if not is_new():
            return None
        _check_golden(candidate)
        save(candidate, paths.CHAMPION)
        dvc.add(paths.CHAMPION)
        entry = {
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
            "action": "promote",
            "version": version,
            "replaces": past[-1]["version"] if past else None,
            "reason": candidate.facts["reason"],
            "commit": _commit(),
            "data": candidate.facts["data"],
            "params": candidate.facts["params"],
            "metrics": dict(metrics),
        }
        ledger.append(entry, paths.LEDGER)
        return entry


def restore_champion() -> str | None:
    """The pinned champion's version; None where nothing is pinned.

    Brought back from the cache where the folder is missing, or holds another model than the pin names (a pin that git
    has moved, a promotion that was cut off). Raises ModelError where the folder was altered: that is for a person to
    look at, or where a missing one is in no cache; PipelineError where the cache lacks another, which then stays.
    """
    if not paths.CHAMPION.with_suffix(".dvc").exists():
        return None
    with _alone():
        if not paths.CHAMPION.exists():
            _bring_back()
        version = version_of(paths.CHAMPION)
        if dvc.is_pinned(paths.CHAMPION):
            return version
        with _aside(paths.CHAMPION):
            dvc.checkout(paths.CHAMPION)
        return version_of(paths.CHAMPION)


def is_new() -> bool:
    """Whether the candidate was never in the ledger."""
    version = version_of(paths.CANDIDATE)
    return all(entry["version"] != version for entry in ledger.entries(paths.LEDGER))


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


def _check_golden(candidate: Bundle) -> None:
    from churn_drift.model.inference import check_golden

    check_golden(candidate)


@contextmanager
def _alone() -> Iterator[None]:
    """One promotion at a time; the lock goes with the process. What a killed one left beside the champion goes too."""
    lock = Path(".dvc/tmp/promote.lock")
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        for left in paths.CHAMPION.parent.glob(f".{paths.CHAMPION.name}.*"):
            shutil.rmtree(left)
        yield


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


def _commit() -> str | None:
    done = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=False)
    return done.stdout.strip() or None if done.returncode == 0 else None
