"""Runs that wait to be published: a folder each in .outbox, whatever happens to server, process or workspace.

A run is put here first, then delivered, then removed. What was delivered where is remembered, so that a run without
a change needs to ask no store.
"""

import fcntl
import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from churn_drift.data import files
from churn_drift.publishing import lock, record
from churn_drift.publishing.record import Lineage

FOLDER = Path(".outbox")
DELIVERED = FOLDER / "delivered.json"
_LOCK = Path(".dvc/tmp/publish.lock")


@contextmanager
def alone() -> Iterator[None]:
    """One publisher at a time on this machine; the lock goes with the process. What a killed one left goes too."""
    _LOCK.parent.mkdir(parents=True, exist_ok=True)
    with _LOCK.open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        for left in FOLDER.glob(".*.part"):
            shutil.rmtree(left)
        yield


def put(copy: Callable[[Path], None], lineage: Lineage) -> None:
    """Keep a run: `copy` fills the folder of its tree. Written beside, then renamed. Call it `alone`.

    A run that waits already stays as it is, but for a better lineage.
    """
    beside = FOLDER / f".{os.getpid()}.part"
    beside.mkdir(parents=True)
    try:
        copy(beside / record.TREE)
        record.write_lineage(lineage, beside)
        folder = FOLDER / lock.key_of((beside / record.TREE / lock.LOCK).read_bytes())
        if folder.exists():
            record.write_lineage(lineage.merged(record.read_lineage(folder)), folder)
        else:
            beside.rename(folder)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def waiting() -> list[Path]:
    """The folder of each run that waits, oldest first."""
    trees = FOLDER.glob(f"[!.]*/{record.TREE}")
    return [tree.parent for tree in sorted(trees, key=lambda tree: (tree.stat().st_mtime_ns, tree))]


def remove(folder: Path) -> None:
    """Forget a run that was delivered."""
    gone = folder.with_name(f".{folder.name}.part")
    folder.rename(gone)
    shutil.rmtree(gone)


def delivered(store: str, key: str) -> Lineage | None:
    """The lineage with which a run was last seen in a store; None where it was not, as far as is known here."""
    return _delivered().get(store, {}).get(key)


def remember(store: str, key: str, lineage: Lineage) -> None:
    """A run is in a store, with this lineage."""
    known = _delivered()
    known.setdefault(store, {})[key] = lineage
    written = {name: {key: asdict(seen) for key, seen in runs.items()} for name, runs in known.items()}
    files.write_json(written, DELIVERED)


def _delivered() -> dict[str, dict[str, Lineage]]:
    """Nothing where the memory is absent or damaged: then the store is asked."""
    try:
        read = json.loads(DELIVERED.read_bytes())
        return {store: {key: Lineage(**seen) for key, seen in runs.items()} for store, runs in read.items()}
    except (FileNotFoundError, ValueError, TypeError, AttributeError):
        return {}
