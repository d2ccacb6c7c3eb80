"""`churn-drift land`: a validated batch, or labels, into data/landed."""

from collections.abc import Collection
from pathlib import Path

from churn_drift import paths, schema
from churn_drift.data import io
from churn_drift.data.landing import land_batch, land_labels
from churn_drift.tracking import dvc


def land(path: str) -> int:
    """Land the file; labels are told from records by their two columns."""
    raw = io.read_raw(path)
    labels = set(raw.columns) == {schema.ID, schema.LABEL}
    landed = land_labels(raw, source=path) if labels else land_batch(raw, source=path, history=_history())
    _pin(landed.path.parent)
    what = "labels" if labels else "customers"
    if landed.new:
        print(f"landed {landed.rows:,} {what} in {landed.path}; `churn-drift run` takes them in")
    else:
        print(f"these {landed.rows:,} {what} have landed before, in {landed.path}; nothing to do")
    return 0


def _pin(folder: Path) -> None:
    """The folder as data that DVC versions and pushes; once pinned, `dvc repro` keeps the pin."""
    if folder.is_dir() and not folder.with_suffix(".dvc").exists():
        dvc.add(folder)


def _history() -> dict[str, Collection[int]]:
    """The customers that the history already holds; none before the first run."""
    if not paths.PROCESSED.exists():
        return {}
    return {str(paths.PROCESSED): set(io.read_frame(paths.PROCESSED)[schema.ID])}
