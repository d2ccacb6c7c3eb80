"""Where the log's files lie, below a folder and under the same keys at s3://bucket/prefix.

open/<worker>/<hour>_<worker>-<n>.rows                   journals of a process; its `lock` is held while it lives
date=2026-11-23/hour=22/<worker>-<n>.parquet             sealed: complete, never changed again; hours are UTC

Folders are for their owner only (0700), files too (0600): this is customer data.
"""

import fcntl
import os
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

FOLDER = Path("data/inference")
"""The log of this machine; of a log at S3 the staging folder, where its journals and unsent files lie."""

OFF = "off"
OPEN = "open"
JOURNAL = ".rows"
HOUR = 3600
_KEY = re.compile(r"date=(\d{4}-\d\d-\d\d)/hour=(\d\d)/[^/]+\.parquet")


def place_of(environment: Mapping[str, str]) -> str:
    """Where SERVE_LOG says that the log is, a folder or s3://bucket/prefix; FOLDER where it says nothing or `off`."""
    said = environment.get("SERVE_LOG", "").strip()
    return str(FOLDER) if said in ("", OFF) else said


def is_remote(place: str) -> bool:
    """Whether it is a URL, not a folder."""
    return "://" in place


def hour_of(at: float) -> int:
    """The UTC hour of a moment (unix seconds), counted from 1970."""
    return int(at // HOUR)


def journal_name(hour: int, stem: str) -> str:
    """A journal's file: its hour, and the stem of the sealed file that it becomes."""
    return f"{_moment(hour):%Y-%m-%dT%H}_{stem}{JOURNAL}"


def key_of(journal: Path) -> str:
    """The key of the sealed file that a journal becomes: always the same, so that sealing twice is sealing once."""
    hour, _, stem = journal.stem.partition("_")
    day, _, of_day = hour.partition("T")
    return f"date={day}/hour={of_day}/{stem}.parquet"


def hour_of_key(key: str) -> int | None:
    """The UTC hour of a sealed file's rows; None for what is no sealed file."""
    found = _KEY.fullmatch(key)
    return None if found is None else hour_of(datetime.fromisoformat(f"{found[1]}T{found[2]}:00:00+00:00").timestamp())


def sealed(folder: Path) -> dict[str, Path]:
    """The sealed files below a folder, by key, in order of hour."""
    found = {path.relative_to(folder).as_posix(): path for path in folder.glob("date=*/hour=*/*.parquet")}
    return {key: found[key] for key in sorted(found) if hour_of_key(key) is not None}


def journals(folder: Path) -> dict[str, Path]:
    """The journals below a folder, living ones included, by the key that each will have."""
    return {key_of(path): path for path in sorted((folder / OPEN).glob(f"[!.]*/*{JOURNAL}"))}


def private(folder: Path) -> Path:
    """The folder, made for its owner only where it is not there."""
    for missing in reversed([each for each in (folder, *folder.parents) if not each.exists()]):
        missing.mkdir(mode=0o700, exist_ok=True)
    return folder


def settle(folder: Path) -> None:
    """A rename in the folder outlives the machine's end."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def flocked(lock: int, *, wait: bool = False) -> bool:
    """Whether the lock of an open file is ours now; it stays so until the file is closed."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        return False
    return True


def _moment(hour: int) -> datetime:
    return datetime.fromtimestamp(hour * HOUR, UTC)
