"""The inbox in the bucket: what arrived, fetched; what has landed or was refused, moved, each exactly once.

An object is whole as soon as it is there. Moving is copying, then deleting what was copied: whoever is killed between
the two copies the same once more. Keys are those of aws.layout.
"""

import hashlib
import json
import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import IO, Any

from churn_drift.aws import layout
from churn_drift.aws.client import code
from churn_drift.aws.services import FAULTS, failure, service
from churn_drift.data import files
from churn_drift.errors import PipelineError

SUFFIXES = (".csv", ".csv.gz")
ERROR, REPORT = ".error.txt", ".drift.json"
SETTLED_LATER = "CHURN_DRIFT_SETTLED_LATER"
"""Set by `remote_run` for its run: the file of `S3Inbox.noted`."""
_SOURCE = "inbox-etag"
"""In the metadata of what was moved: the ETag that it had in the inbox."""
_GONE = frozenset({"404", "NoSuchKey"})
_CHANGED = frozenset({"PreconditionFailed", "ConditionalRequestConflict", "412", "409"})
_MD5 = re.compile(r"[0-9a-f]{32}")
_CHUNK = 1 << 20
_LONGEST = 200
"""Bytes of a file's name."""


class S3Inbox:
    """The port ports.Inbox on a bucket. A name is the key below inbox/, folders included.

    noted  where a machine that may be gone tomorrow notes what it would settle; `settle_noted` does it once its
           commit is kept. Until then the inbox has the file, and another machine can take it in

    Every method raises PipelineError with what S3 said.
    """

    def __init__(self, bucket: str, *, client: Any = None, noted: Path | None = None) -> None:
        self._bucket, self._noted = bucket, noted
        self._given = client
        self._fetched: dict[str, str] = {}

    @property
    def _client(self) -> Any:
        self._given = self._given or service("s3")
        return self._given

    def waiting(self) -> Sequence[str]:
        """Names of the CSV files, plain or gz, in order of name."""
        prefix = f"{layout.INBOX}/"
        try:
            pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=prefix)
            keys = [entry["Key"] for page in pages for entry in page.get("Contents", ())]
        except FAULTS as error:
            raise failure(f"s3://{self._bucket}/{prefix}", error) from None
        return sorted(key.removeprefix(prefix) for key in keys if key.endswith(SUFFIXES))

    def fetch(self, name: str, folder: Path) -> Path:
        """A copy below the folder, whatever the name holds, checked against its length and its checksum."""
        place = folder / hashlib.sha256(name.encode()).hexdigest()[:12] / _file_name(name)
        key = f"{layout.INBOX}/{name}"
        try:
            answer = self._client.get_object(Bucket=self._bucket, Key=key, ChecksumMode="ENABLED")
            files.replace(place, lambda stream: _receive(answer, stream, self._url(key)))
        except FAULTS as error:
            raise failure(self._url(key), error) from None
        self._fetched[name] = answer["ETag"]
        return place

    def settle(self, name: str) -> None:
        """Moved to landed/. Where other content has come under this name since it was fetched, that waits."""
        if self._noted is None:
            self._move(name, layout.LANDED)
            return
        self._noted.parent.mkdir(parents=True, exist_ok=True)
        with self._noted.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps([name, self._fetched[name]]) + "\n")

    def settle_noted(self, noted: Path) -> None:
        """All that was noted there is settled."""
        for line in noted.read_text(encoding="utf-8").splitlines() if noted.exists() else ():
            name, self._fetched[name] = json.loads(line)
            self._move(name, layout.LANDED)
        noted.unlink(missing_ok=True)

    def refuse(self, name: str, reason: str) -> str:
        """Moved to quarantine/, the reason beside it as NAME.error.txt; its URL there."""
        return self._url(self._move(name, layout.QUARANTINE, reason))

    def _move(self, name: str, to: str, reason: str | None = None) -> str:
        """The key that it has now: the inbox's where something newer has come under the name."""
        source = f"{layout.INBOX}/{name}"
        try:
            head = self._head(source)
            if head is None:
                return f"{to}/{_plain(name)}"
            etag = head["ETag"]
            if self._fetched.get(name, etag) != etag:
                return source
            target = self._copy(source, etag, f"{to}/{_plain(name)}", head["ContentType"])
            if reason is not None:
                self._client.put_object(
                    Bucket=self._bucket,
                    Key=f"{target}{ERROR}",
                    Body=f"{reason}\n".encode(),
                    ContentType="text/plain; charset=utf-8",
                )
            self._follow(_report_of(source), _report_of(target))
            self._client.delete_object(Bucket=self._bucket, Key=source, IfMatch=etag)
        except FAULTS as error:
            if code(error) in _CHANGED:
                return source
            raise failure(self._url(source), error) from None
        return target

    def _copy(self, source: str, etag: str, plain: str, content_type: str) -> str:
        """The key of the copy: the plain one, or where that has other content, one that the ETag makes its own."""
        mark = etag.strip('"')
        there = self._head(plain)
        if there is not None and there["Metadata"].get(_SOURCE) == mark:
            return plain
        target = plain if there is None else _marked(plain, mark)
        if there is None or self._head(target) is None:
            self._client.copy_object(
                Bucket=self._bucket,
                Key=target,
                CopySource={"Bucket": self._bucket, "Key": source},
                CopySourceIfMatch=etag,
                IfNoneMatch="*",
                MetadataDirective="REPLACE",
                TaggingDirective="REPLACE",
                Metadata={_SOURCE: mark},
                ContentType=content_type,
            )
        return target

    def _follow(self, report: str, target: str) -> None:
        """The Lambda's report, where there is one, goes along with its batch."""
        if self._head(report) is None:
            return
        source = {"Bucket": self._bucket, "Key": report}
        self._client.copy_object(Bucket=self._bucket, Key=target, CopySource=source, TaggingDirective="REPLACE")
        self._client.delete_object(Bucket=self._bucket, Key=report)

    def _head(self, key: str) -> Any:
        """None where there is no such object."""
        try:
            return self._client.head_object(Bucket=self._bucket, Key=key)
        except FAULTS as error:
            if code(error) in _GONE:
                return None
            raise

    def _url(self, key: str) -> str:
        return f"s3://{self._bucket}/{key}"


def _receive(answer: Any, stream: IO[bytes], url: str) -> None:
    """Raises PipelineError where other bytes arrive than were promised."""
    digest, size = hashlib.md5(usedforsecurity=False), 0
    for chunk in answer["Body"].iter_chunks(_CHUNK):
        stream.write(chunk)
        digest.update(chunk)
        size += len(chunk)
    etag = answer["ETag"].strip('"')
    is_md5 = _MD5.fullmatch(etag) and answer.get("ServerSideEncryption", "AES256") == "AES256"
    if size != answer["ContentLength"] or (is_md5 and digest.hexdigest() != etag):
        raise PipelineError(f"{url}: arrived damaged; run it again")


def _plain(name: str) -> str:
    """The name as part of a key that no tool takes for a way out of its folder.

    >>> _plain("a b/../ü.csv")
    'a b/%2E%2E/ü.csv'
    """
    return "/".join("%2E" * len(part) if part in (".", "..") else part for part in name.split("/"))


def _marked(key: str, mark: str) -> str:
    """
    >>> _marked("landed/a.b/day.csv.gz", "0123456789abcdef")
    'landed/a.b/day.01234567.csv.gz'
    """
    suffix = next(suffix for suffix in sorted(SUFFIXES, key=len, reverse=True) if key.endswith(suffix))
    return f"{key.removesuffix(suffix)}.{mark[:8]}{suffix}"


def _report_of(key: str) -> str:
    """Where the Lambda writes (batch_report.Batch.report_key).

    >>> _report_of("inbox/day.csv"), _report_of("inbox/day.csv.gz")
    ('inbox/day.drift.json', 'inbox/day.gz.drift.json')
    """
    plain, _, packed = key.rpartition(".csv")
    return f"{plain}{packed}{REPORT}"


def _file_name(name: str) -> str:
    """The last part of a name, as far as a file system takes it."""
    return PurePosixPath(name).name.encode()[-_LONGEST:].decode(errors="ignore")
