"""Pins of what has landed: data/landed/*.dvc, which git follows, for the folders that it does not."""

from churn_drift import paths
from churn_drift.tracking import dvc

FOLDERS = (paths.LANDED / "batches", paths.LANDED / "labels")


def pin() -> None:
    """As data that DVC versions and pushes; once pinned, `dvc repro` keeps the pin."""
    for folder in FOLDERS:
        if folder.is_dir() and not folder.with_suffix(".dvc").exists():
            dvc.add(folder)


def bring() -> None:
    """What is pinned and not here, as in a fresh clone: a batch that landed now would take the place of all others.

    Raises PipelineError where neither DVC's cache nor its remote has it.
    """
    for folder in FOLDERS:
        path = folder.with_suffix(".dvc")
        if path.exists() and not folder.is_dir():
            dvc.pull(path)
