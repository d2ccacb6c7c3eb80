"""Files of this machine and objects of a bucket, moved many at once and only where they differ.

An object carries its file's sha256 in its metadata. Of one that does not, for others put it there or the server keeps
no metadata (juicefs), the ETag tells: the MD5 of a small file, of a large one that of its parts' MD5s.
"""

import fcntl
import hashlib
import json
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from boto3.s3.transfer import ProgressCallbackInvoker, TransferConfig, create_transfer_manager
from s3transfer.exceptions import RetriesExceededError, S3DownloadFailedError  # type: ignore[import-untyped]

from churn_drift.aws.asking import asked
from churn_drift.aws.client import code
from churn_drift.aws.services import FAULTS, failure, service
from churn_drift.data import files
from churn_drift.errors import PipelineError
from churn_drift.ports import STATE

SHA256 = "sha256"
PART = 8 * 2**20
"""Bytes of a part; a file of one part or more goes in parts."""
AT_ONCE = 8
SUFFIX = ".download"
KMS = "aws:kms"

Advance = Callable[[int], None]
"""Told of every so many bytes that have moved."""


@dataclass(frozen=True)
class Copy:
    """A file and its object."""

    path: Path
    key: str
    size: int


class Copies:
    """One bucket. Every method raises PipelineError, naming the object, with what S3 or this machine said.

    encryption  of what is put: arguments of PutObject
    retried     requests that were answered with this, or not at all, and sent again
    """

    def __init__(self, bucket: str, *, encryption: Mapping[str, str]) -> None:
        self.bucket = bucket
        self.retried: Counter[str] = Counter()
        self._encryption = dict(encryption)
        self._lock = threading.Lock()
        self._client = service("s3", max_pool_connections=2 * AT_ONCE)
        events = self._client.meta.events
        events.register("needs-retry.s3", self._count)
        events.register("after-call.s3.CreateMultipartUpload", self._note)

    def is_versioned(self) -> bool | None:
        """None where the server does not tell."""
        try:
            return bool(self._client.get_bucket_versioning(Bucket=self.bucket).get("Status") == "Enabled")
        except FAULTS as error:
            if code(error) in ("AccessDenied", "NotImplemented"):
                return None
            raise failure(f"s3://{self.bucket}", error) from None

    def sizes(self, prefix: str) -> dict[str, int]:
        """Bytes of each object below the prefix, by key."""
        with asked(f"s3://{self.bucket}/{prefix}"):
            pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=prefix)
            return {entry["Key"]: entry["Size"] for page in pages for entry in page.get("Contents", ())}

    def differing(self, copies: Sequence[Copy], *, up: bool) -> list[Copy]:
        """Those whose file is not what the object holds; up: encryption counts, too."""
        with ThreadPoolExecutor(AT_ONCE) as pool:
            same = list(pool.map(lambda each: self._is_same(each, up=up), copies))
        return [each for each, is_same in zip(copies, same, strict=True) if not is_same]

    def put(self, copies: Iterable[Copy], advance: Advance) -> None:
        """Every file into its object, encrypted, its checksum verified by the server."""
        digests = {}

        def begin(manager: Any, each: Copy) -> Any:
            digests[each.key] = files.sha256(each.path)
            extra = {**self._encryption, "ChecksumAlgorithm": "SHA256", "Metadata": {SHA256: digests[each.key]}}
            subscribers = [ProgressCallbackInvoker(advance)]
            return manager.upload(str(each.path), self.bucket, each.key, extra_args=extra, subscribers=subscribers)

        def finish(each: Copy) -> None:
            if files.sha256(each.path) != digests[each.key]:
                raise PipelineError(f"{each.path}: changed while it was sent; run it again")

        self._move(copies, begin, finish)
        _noted().unlink(missing_ok=True)

    def get(self, copies: Iterable[Copy], advance: Advance) -> None:
        """Every object into its file: written beside, verified, renamed."""

        def begin(manager: Any, each: Copy) -> Any:
            each.path.parent.mkdir(parents=True, exist_ok=True)
            subscribers = [ProgressCallbackInvoker(advance)]
            return manager.download(self.bucket, each.key, str(_beside(each.path)), subscribers=subscribers)

        def finish(each: Copy) -> None:
            beside = _beside(each.path)
            if self._is_same(Copy(beside, each.key, each.size), up=False) is False:
                raise PipelineError(f"s3://{self.bucket}/{each.key}: arrived damaged, or is so there; run it again")
            beside.replace(each.path)

        copies = list(copies)
        _sweep(copies)  # what a killed process has left
        try:
            self._move(copies, begin, finish)
        finally:
            _sweep(copies)

    def abort_orphans(self) -> int:
        """End the uploads in parts that a killed process of this machine has left; how many those were."""
        lines = _noted().read_text().splitlines() if _noted().exists() else []
        for place in map(json.loads, filter(_is_whole, lines)):
            try:
                self._client.abort_multipart_upload(**place)
            except FAULTS as error:
                if code(error) not in ("NoSuchUpload", "NoSuchBucket", "404"):
                    raise failure(f"s3://{place['Bucket']}/{place['Key']}", error) from None
        _noted().unlink(missing_ok=True)
        return len(lines)

    def _move(self, copies: Iterable[Copy], begin: Callable[[Any, Copy], Any], finish: Callable[[Copy], None]) -> None:
        """All of them, whatever becomes of one; the first failure is told once the others are through."""
        failed: list[PipelineError] = []
        with create_transfer_manager(self._client, _CONFIG) as manager:
            begun = []
            for each in copies:
                with self._told(each, failed):
                    begun.append((each, begin(manager, each)))
            for each, future in begun:
                with self._told(each, failed):
                    future.result()
                    finish(each)
        if failed:
            more = f" (and {len(failed) - 1} more files)" if len(failed) > 1 else ""
            raise PipelineError(f"{failed[0]}{more}; what has gone stays, run it again for the rest")

    @contextmanager
    def _told(self, each: Copy, failed: list[PipelineError]) -> Iterator[None]:
        try:
            yield
        except RetriesExceededError as error:
            failed.append(failure(f"s3://{self.bucket}/{each.key}", error.last_exception))
        except (*FAULTS, S3DownloadFailedError) as error:
            told = failure(f"s3://{self.bucket}/{each.key}", error)
            deaf = self._encryption and code(error) == "NotImplemented"
            failed.append(PipelineError(f"{told}; {_NO_ENCRYPTION}") if deaf else told)
        except OSError as error:
            failed.append(PipelineError(f"{each.path}: {error.strerror or error}"))
        except PipelineError as error:
            failed.append(error)

    def _is_same(self, each: Copy, *, up: bool) -> bool | None:
        """Whether file and object hold the same; None where the object does not tell."""
        if not each.path.is_file() or each.path.stat().st_size != each.size:
            return False
        with asked(f"s3://{self.bucket}/{each.key}"):
            head = self._client.head_object(Bucket=self.bucket, Key=each.key)
        encrypted, wanted = head.get("ServerSideEncryption"), self._encryption.get("ServerSideEncryption")
        if up and wanted == KMS and encrypted != KMS:
            return False
        if promised := head["Metadata"].get(SHA256):
            return bool(files.sha256(each.path) == promised)
        etag = head["ETag"].strip('"')
        if etag == etag_of(each.path):
            return True
        return None if "-" in etag or encrypted == KMS else False

    def _count(self, response: Any, caught_exception: Any, **_: Any) -> None:
        if caught_exception is not None:
            self._add(type(caught_exception).__name__)
        elif response is not None and response[0].status_code in _AGAIN:
            self._add(str(response[1].get("Error", {}).get("Code", response[0].status_code)))

    def _add(self, what: str) -> None:
        with self._lock:
            self.retried[what] += 1

    def _note(self, parsed: Mapping[str, Any], **_: Any) -> None:
        """Which upload in parts begins: whoever comes after a killed process ends it."""
        if "UploadId" in parsed:
            place = {name: parsed[name] for name in ("Bucket", "Key", "UploadId")}
            with self._lock, _noted().open("a") as stream:
                stream.write(json.dumps(place) + "\n")


@contextmanager
def alone() -> Iterator[None]:
    """One mover at a time in this repository; the second waits. The lock goes with the process."""
    STATE.mkdir(parents=True, exist_ok=True)
    with (STATE / "copies.lock").open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield


def etag_of(path: Path) -> str:
    """The ETag of a file that was put as `put` does it, where S3 itself holds the key."""
    parts = []
    with path.open("rb") as stream:
        while chunk := stream.read(PART):
            parts.append(hashlib.md5(chunk, usedforsecurity=False))
    if path.stat().st_size < PART:
        return (parts or [hashlib.md5(usedforsecurity=False)])[0].hexdigest()
    whole = hashlib.md5(b"".join(part.digest() for part in parts), usedforsecurity=False)
    return f"{whole.hexdigest()}-{len(parts)}"


_NO_ENCRYPTION = "this server does not encrypt: S3_ENCRYPTION=off, where it is not AWS's own"
_AGAIN = frozenset({429, 500, 502, 503, 504})
_CONFIG = TransferConfig(multipart_threshold=PART, multipart_chunksize=PART, max_concurrency=AT_ONCE)


def _noted() -> Path:
    return STATE / "uploads.jsonl"


def _beside(path: Path) -> Path:
    return path.with_name(f".{path.name}{SUFFIX}")


def _sweep(copies: Iterable[Copy]) -> None:
    """Remove what was half received; boto3 puts an ending of its own behind ours."""
    for folder in {each.path.parent for each in copies}:
        for left in folder.glob(f".*{SUFFIX}*"):
            left.unlink()


def _is_whole(line: str) -> bool:
    """Whether a line was written to its end."""
    return line.endswith("}")
