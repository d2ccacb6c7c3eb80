"""Every model version that is known here: by the ledger, or because its directory lies in models/."""

import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from churn_drift import paths
from churn_drift.errors import ModelError, PipelineError, VersionError
from churn_drift.model.bundle import version_of
from churn_drift.tracking import dvc, git, ledger

SHORTEST = 4
"""Digits of a version that name it, where no other begins with them."""


@dataclass(frozen=True)
class Roles:
    """Who holds which role; None where nobody does.

    champion    what serves, by the ledger
    previous    what a rollback brings back
    candidate   what the experiment proposes
    challenger  the candidate, while it was never champion
    baseline    the experiment's first model
    """

    champion: str | None
    previous: str | None
    candidate: str | None
    challenger: str | None
    baseline: str | None


def roles() -> Roles:
    """The roles as pin, ledger and experiment have them now."""
    past = ledger.entries(paths.LEDGER)
    standing = ledger.standing(past)
    candidate = version_of(paths.CANDIDATE) if paths.CANDIDATE.exists() else None
    return Roles(
        champion=standing[-1] if standing else None,
        previous=standing[-2] if len(standing) > 1 else None,
        candidate=candidate,
        challenger=None if any(entry["version"] == candidate for entry in past) else candidate,
        baseline=version_of(paths.BASELINE) if paths.BASELINE.exists() else None,
    )


def folders() -> dict[str, Path]:
    """The directory of each version that lies in models/; the champion's own where several hold the same."""
    present = [paths.CHAMPION, paths.CANDIDATE, *sorted(paths.RETRAINED.glob("*_*")), paths.BASELINE]
    found: dict[str, Path] = {}
    for folder in present:
        if folder.is_dir():
            found.setdefault(version_of(folder), folder)
    return found


def resolve(name: str) -> str:
    """The version that a role, or the first digits of an id, name. Raises VersionError where none or several do."""
    held = vars(roles())
    if name in held:
        if held[name] is None:
            raise VersionError(f"{name}: no version holds this role; `churn-drift models list` shows who holds which")
        return str(held[name])
    known = dict.fromkeys([*(entry["version"] for entry in ledger.entries(paths.LEDGER)), *folders()])
    matching = [version for version in known if version.startswith(name)] if len(name) >= SHORTEST else []
    if len(matching) > 1:
        raise VersionError(f"{name}: could be {' or '.join(matching)}; give more digits")
    if not matching:
        raise VersionError(f"{name}: no such version or role; `churn-drift models list` shows those that are known")
    return str(matching[0])


def as_of(revision: str) -> Mapping[str, Any] | None:
    """The ledger's line of what a git revision pins; None where it pins nothing.

    The ledger of then, else of now, tells the rest. Raises VersionError where neither does.
    """
    commit = git.commit_of(revision)
    pinned = git.read(commit, paths.CHAMPION_PIN)
    if pinned is None:
        return None
    hashed = dvc.pinned_hash(pinned, source=paths.CHAMPION_PIN)
    then = ledger.parse(git.read(commit, paths.LEDGER) or b"", source=paths.LEDGER)
    for entry in [*reversed(then), *reversed(ledger.entries(paths.LEDGER))]:
        if entry.get("pin") == hashed:
            return dict(entry)
    raise VersionError(
        f"{revision}: {paths.CHAMPION_PIN} pins {hashed} there, and no line of the ledger has it; "
        f"`dvc get . {paths.CHAMPION} --rev {revision}` brings the model"
    )


def pin_of(version: str) -> str | None:
    """DVC's hash of a version that was champion; None where no line of the ledger has it."""
    pins = [entry.get("pin") for entry in ledger.entries(paths.LEDGER) if entry["version"] == version]
    return pins[-1] if pins else None


@contextmanager
def folder_of(version: str) -> Iterator[Path]:
    """A directory that holds this version: in models/, else brought from DVC's cache or its remote for the while.

    Raises ModelError where neither has it. Call it `pin.alone`: that also removes what a killed call has left.
    """
    lying = folders().get(version)
    if lying is not None:
        yield lying
        return
    pin = pin_of(version)
    if pin is None:
        raise ModelError(f"{version}: not in models/ and never champion, so nothing says where it lies")
    with tempfile.TemporaryDirectory(prefix=f".{paths.CHAMPION.name}.", dir=paths.CHAMPION.parent) as scratch:
        yield _from_dvc(pin, Path(scratch), version)


def _from_dvc(pin: str, scratch: Path, version: str) -> Path:
    """By a .dvc file of its own: DVC looks in the cache, then in the remote, as for any other."""
    folder = scratch / version
    target = folder.with_suffix(".dvc")
    target.write_text(yaml.safe_dump({"outs": [{"md5": pin, "hash": "md5", "path": version}]}), encoding="utf-8")
    try:
        dvc.checkout(target)
    except PipelineError:
        shutil.rmtree(folder, ignore_errors=True)
        try:
            dvc.pull(target)
        except PipelineError as error:
            raise ModelError(
                f"{version}: is in no cache here, and no remote gives it ({error}); "
                "`churn-drift doctor` says what is wrong with the remote"
            ) from None
    return folder
