"""Writes what `batches` reads: one Parquet file a batch, and the index."""

from pathlib import Path

import pandas as pd

from churn_drift.data import files, io
from churn_drift.data.batches import INDEX, BatchFolder


def extended(folder: Path, frame: pd.DataFrame, scratch: Path) -> BatchFolder:
    """The batches of a folder and one more, in a scratch folder; the folder itself stays as it is."""
    index = files.read_json(folder / INDEX)
    for entry in index["batches"]:
        source = folder / f"{entry['name']}.parquet"
        (scratch / source.name).symlink_to(source.resolve())
    path = scratch / f"batch_{len(index['batches']):02d}.parquet"
    io.write_frame(frame, path)
    entry = {"name": path.stem, "rows": len(frame), "origin": "landed", "sha256": files.sha256(path)}
    files.write_json({**index, "batches": [*index["batches"], entry]}, scratch / INDEX)
    return BatchFolder(scratch)


def write_batches(
    frames: list[pd.DataFrame], folder: Path, *, reference_batches: int, landed: int, zero_is_missing: bool
) -> None:
    """One Parquet file a batch, and the index.

    landed           how many of the last batches came after the history
    zero_is_missing  how the frames were typed; a model that is fitted on them types the records it scores alike
    """
    entries = []
    for number, frame in enumerate(frames):
        path = folder / f"batch_{number:02d}.parquet"
        io.write_frame(frame, path)
        origin = "landed" if number >= len(frames) - landed else "history"
        entries.append({"name": path.stem, "rows": len(frame), "origin": origin, "sha256": files.sha256(path)})
    files.write_json(
        {"reference_batches": reference_batches, "zero_is_missing": zero_is_missing, "batches": entries},
        folder / INDEX,
    )
