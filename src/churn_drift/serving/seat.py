"""The seat of the model that serves, and how the champion comes to it."""

import time
from dataclasses import dataclass
from pathlib import Path

from churn_drift import paths
from churn_drift.errors import ModelError, PipelineError, VersionError
from churn_drift.model.bundle import version_of
from churn_drift.serving.file_mark import file_mark
from churn_drift.serving.model import ServedModel
from churn_drift.tracking import dvc, pin, versions

Mark = tuple[tuple[str, int, int, int], ...]
"""Name, inode, time of change and size of every file that makes a model: another mark, perhaps another model."""


@dataclass
class Seat:
    """What serves now. A request takes `model` once and keeps it to its end; a change is one assignment.

    model  None before one is loaded
    alarm  why the champion that lies there is refused, while another serves; None where all is well
    """

    model: ServedModel | None = None
    alarm: str | None = None


def champion() -> ServedModel:
    """models/champion, verified by its manifest, and by its pin where the repository is there.

    Raises ModelError naming the command that mends it.
    """
    model = ServedModel.of_folder(paths.CHAMPION)
    if paths.CHAMPION_PIN.exists() and Path(".dvc").exists():
        pinned = dvc.is_pinned(paths.CHAMPION)
        if not pinned or version_of(paths.CHAMPION) != model.version:  # the files that were loaded are those hashed
            raise ModelError(
                f"{paths.CHAMPION}: holds version {model.version}, which is not what {paths.CHAMPION_PIN} pins; "
                "`churn-drift models verify` mends it"
            )
    return model


def settled_champion(*, patience: float) -> ServedModel:
    """The champion, waiting for one that is being replaced just now. Raises what `champion` does, then."""
    end = time.monotonic() + patience
    while True:
        try:
            return champion()
        except (ModelError, PipelineError, OSError):
            if not (paths.CHAMPION_PIN.exists() and paths.CHAMPION.exists()) or time.monotonic() > end:
                raise
            time.sleep(0.2)


def named(name: str) -> ServedModel:
    """A version, by role or id (see `versions.resolve`): from models/, DVC's cache or its remote."""
    version = versions.resolve(name)
    with pin.alone(), versions.folder_of(version) as folder:
        return ServedModel.of_folder(folder, expected=version)


def as_of(revision: str) -> ServedModel:
    """The champion of a git revision. Raises VersionError where it had none, or no line of a ledger knows it."""
    entry = versions.as_of(revision)
    if entry is None:
        raise VersionError(
            f"{revision}: no champion yet in it; `churn-drift models list` shows since when there is one"
        )
    return named(entry["version"])


def mark() -> Mark:
    """Of the champion that lies there and its pin; empty where there is none."""
    return mark_of(paths.CHAMPION) + ((_stat(paths.CHAMPION_PIN),) if paths.CHAMPION_PIN.exists() else ())


def mark_of(folder: Path) -> Mark:
    """Of the model that lies in a folder."""
    return tuple(_stat(path) for path in _listed(folder))


def _listed(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError:
        return []


def _stat(path: Path) -> tuple[str, int, int, int]:
    return path.name, *(file_mark(path) or (0, 0, 0))
