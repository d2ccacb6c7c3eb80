"""`churn-drift upload` and `download`: copies of data, models, reports and the inference log in the bucket."""

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn, TransferSpeedColumn

from churn_drift.aws import s3_upload, settings
from churn_drift.aws.s3_upload import Moved
from churn_drift.terminal import complain, is_moving, moving, say


def upload(folders: Sequence[str]) -> int:
    """0: the bucket holds what lies here."""
    with _bar("uploading") as progress:
        moved = s3_upload.upload(os.environ, folders or s3_upload.FOLDERS, progress=progress)
    return _tell(f"uploaded to s3://{settings.bucket(os.environ)}", moved)


def download(folders: Sequence[str]) -> int:
    """0: what the bucket holds lies here."""
    with _bar("downloading") as progress:
        moved = s3_upload.download(os.environ, folders or s3_upload.FOLDERS, progress=progress)
    return _tell(f"downloaded from s3://{settings.bucket(os.environ)}", moved)


def _tell(what: str, moved: Moved) -> int:
    say(f"{what}: {moved.text()}")
    if moved.warning:
        complain(moved.warning, kind="warning")
    return 0


@contextmanager
def _bar(what: str) -> Iterator[Callable[[int, int], None]]:
    """A bar on a terminal, on stderr; nothing elsewhere."""
    columns = ("{task.description}", BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    off = not is_moving(sys.stderr)
    with Progress(*columns, console=moving(), transient=True, redirect_stdout=False, disable=off) as bar:
        task = bar.add_task(what, total=None)
        yield lambda count, total: bar.update(task, total=total, advance=count)
