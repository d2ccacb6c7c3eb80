"""What has landed and is not in the reports yet: landed batches less those of the timeline. It has no state.

No pandas here, whose import costs more than a run with nothing to do.
"""

import csv
from pathlib import Path

from churn_drift import paths
from churn_drift.config import load_params


def waiting() -> list[Path]:
    """Landed batches that the next `dvc repro` takes in, in order of landing."""
    known = set(_judged())
    return [path for name, path in landed().items() if name not in known]


def landed() -> dict[str, Path]:
    """Every landed batch by its name in the timeline: they continue the batches that the history is cut into."""
    files = sorted((paths.LANDED / "batches").glob("*.csv"))
    first = load_params(paths.PARAMS).split_batches.batches
    return {f"batch_{number:02d}": path for number, path in enumerate(files, start=first)}


def _judged() -> list[str]:
    """Names of the batches in the timeline; none before the first run."""
    if not paths.TIMELINE.exists():
        return []
    with paths.TIMELINE.open(encoding="utf-8", newline="") as stream:
        return [row["batch"] for row in csv.DictReader(stream)]
