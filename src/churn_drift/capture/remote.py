"""Sealed files at s3://bucket/prefix: sent, listed and fetched. Settings and credentials are those of DVC's S3.

boto3's relatives are imported where they are used: a log in a folder needs none of them.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from churn_drift.capture import place

_PATIENCE = {"connect_timeout": 5, "read_timeout": 20, "retries": {"total_max_attempts": 2}}
_LOCK = "sending.lock"
_Result = TypeVar("_Result")


class Bucket:
    """A prefix of a bucket. Every method raises OSError, in one line, where S3 refuses or does not answer."""

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        self._s3: Any = None

    def keys(self) -> list[str]:
        """The keys below the prefix that are sealed files."""
        found = self._asked(lambda s3: s3.find(self.url))
        prefix = self.url.partition("://")[2] + "/"
        keys = sorted(name.removeprefix(prefix) for name in found)
        return [key for key in keys if place.hour_of_key(key) is not None]

    def fetch(self, key: str) -> bytes:
        """What lies under a key."""
        return bytes(self._asked(lambda s3: s3.cat_file(f"{self.url}/{key}")))

    def send(self, path: Path, key: str) -> None:
        """Put a file there. Returns once all of it is there."""
        there = f"{self.url}/{key}"
        self._asked(lambda s3: s3.put_file(str(path), there))
        size = self._asked(lambda s3: s3.info(there)["size"])
        if size != path.stat().st_size:
            raise OSError(f"{there}: {size} bytes arrived of {path.stat().st_size}")

    def _asked(self, question: Callable[[Any], _Result]) -> _Result:
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            if self._s3 is None:
                import fsspec  # type: ignore[import-untyped]

                self._s3 = fsspec.filesystem(
                    "s3", use_listings_cache=False, skip_instance_cache=True, config_kwargs=_PATIENCE
                )
            return question(self._s3)
        except (BotoCoreError, ClientError) as error:
            raise OSError(f"{self.url}: {' '.join(str(error).split()).rstrip('.')}") from None


def send_sealed(folder: Path, bucket: Bucket, *, wait: bool = False) -> int:
    """Move what is sealed in a folder to the bucket; how many files went. A file goes only once it is there.

    wait  for another process that sends; else it is left to that

    Raises OSError where S3 is away; what could not be sent stays.
    """
    sent = 0
    with _alone(folder, wait=wait) as ours:
        for key, path in place.sealed(folder).items() if ours else ():
            bucket.send(path, key)
            path.unlink()
            sent += 1
    return sent


@contextmanager
def _alone(folder: Path, *, wait: bool) -> Iterator[bool]:
    lock = os.open(place.private(folder) / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        yield place.flocked(lock, wait=wait)
    finally:
        os.close(lock)
