"""Batches in order of arrival into data/batches; landed ones continue the history."""

from churn_drift import paths
from churn_drift.config import Preprocess, SplitBatches, load_section
from churn_drift.data import files, io
from churn_drift.data.batch_files import write_batches
from churn_drift.data.batch_generator import split
from churn_drift.data.landing import landed_frames


def main() -> None:
    """Split, inject the scenario's drift, append what has landed."""
    settings = load_section(SplitBatches, "split_batches")
    customers = io.read_frame(paths.PROCESSED)
    zero_is_missing = load_section(Preprocess, "preprocess").zero_is_missing
    landed = landed_frames(zero_is_missing=zero_is_missing)

    history = split(customers, settings)

    write_batches(
        [*history.frames, *(batch.frame for batch in landed)],
        paths.BATCHES,
        reference_batches=settings.reference_batches,
        landed=len(landed),
        zero_is_missing=zero_is_missing,
    )
    files.write_json(history.truth, paths.SCENARIO_TRUTH)
