"""`churn-drift upload` and `download`: copies of data, models, reports and the inference log in the bucket."""

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn, TransferSpeedColumn

from churn_drift.aws import s3_upload, settings
from churn_drift.aws.s3_upload import Moved


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
    print(f"{what}: {moved.text()}")
    if moved.warning:
        print(f"warning: {moved.warning}", file=sys.stderr)
    return 0


@contextmanager
def _bar(what: str) -> Iterator[Callable[[int, int], None]]:
    """A bar on a terminal, on stderr; nothing elsewhere."""
    columns = ("{task.description}", BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(what)
        yield lambda count, total: bar.update(task, total=total, advance=count)
