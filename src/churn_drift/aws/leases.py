"""Leases in the bucket: at most one holder of a name, on any machine, until it ends or no longer renews.

A lease is one small object, locks/NAME.json. It is made by `If-None-Match: *`, and renewed, taken over and given back
by `If-Match`: of two writers, S3 refuses one with 412. Its age is the server's own time less the server's own time of
the last write, so that no clock of ours counts. Given back, it stays, with 0 seconds and its note.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html
"""

import json
import os
import random
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any

from botocore.exceptions import ClientError

from churn_drift.aws.asking import asked
from churn_drift.aws.client import code
from churn_drift.aws.layout import LOCKS
from churn_drift.errors import PipelineError

Note = Mapping[str, str]

_REFUSED = {"PreconditionFailed", "ConditionalRequestConflict", "NoSuchKey", "412", "409"}
"""Codes of a conditional write that another one has forestalled."""


@dataclass(frozen=True)
class Lease:
    """A lease as it stands in the bucket.

    seconds  that it holds from its last write; age: seconds since then
    note     what the holder remembers in it, across holders
    """

    name: str
    owner: str
    token: str
    seconds: float
    age: float
    note: Note
    etag: str

    @property
    def is_free(self) -> bool:
        """Whether anybody may take it over. The server tells whole seconds, so an age is up to one too long."""
        return self.seconds == 0 or self.age >= self.seconds + 1


class Leases:
    """The leases of a bucket.

    s3  boto3's client
    """

    def __init__(self, s3: Any, bucket: str) -> None:
        self._s3, self._bucket = s3, bucket

    def url(self, name: str) -> str:
        """Where it lies."""
        return f"s3://{self._bucket}/{_key(name)}"

    def take(self, name: str, *, seconds: float) -> Lease | None:
        """The lease, ours, with the note of who had it before; None where somebody holds it.

        Raises PipelineError where the bucket is not reached, or its server does not know conditional writes.
        """
        token = uuid.uuid4().hex
        with asked(self.url(name)):
            before = self.find(name)
            if before is not None and not before.is_free:
                return None
            note = before.note if before else {}
            condition = {"IfMatch": before.etag} if before else {"IfNoneMatch": "*"}
            written = self._write(name, token=token, seconds=seconds, note=note, **condition)
            taken = written or self._ours(name, token)
            if taken and not before:
                self._check_conditions(name, taken)
            return taken

    def find(self, name: str) -> Lease | None:
        """The lease as it stands; None where there never was one."""
        try:
            answer = self._s3.get_object(Bucket=self._bucket, Key=_key(name))
        except ClientError as error:
            if code(error) == "NoSuchKey":
                return None
            raise
        said = _read(answer["Body"].read(), self.url(name))
        now = parsedate_to_datetime(answer["ResponseMetadata"]["HTTPHeaders"]["date"])
        age = (now - answer["LastModified"]).total_seconds()
        return Lease(name, said["owner"], said["token"], said["seconds"], age, said["note"], answer["ETag"])

    def renew(self, lease: Lease, *, seconds: float | None = None, note: Note | None = None) -> Lease | None:
        """The lease, held from now on, with more in its note; 0 seconds give it back. None: another has it by now."""
        kept = {**lease.note, **(note or {})}
        lasts = lease.seconds if seconds is None else seconds
        with asked(self.url(lease.name)):
            written = self._write(lease.name, token=lease.token, seconds=lasts, note=kept, IfMatch=lease.etag)
            return written or self._ours(lease.name, lease.token)

    def _write(self, name: str, *, token: str, seconds: float, note: Note, **condition: str) -> Lease | None:
        """The lease as written; None where the condition does not hold."""
        owner = f"{socket.gethostname()} {os.getpid()}"
        said = {"owner": owner, "token": token, "seconds": seconds, "note": dict(note)}
        body = json.dumps({**said, "write": uuid.uuid4().hex}).encode()  # else a renewed lease had the ETag of before
        try:
            answer = self._s3.put_object(
                Bucket=self._bucket, Key=_key(name), Body=body, ContentType="application/json", **condition
            )
        except ClientError as error:
            if code(error) in _REFUSED:
                return None
            raise
        return Lease(name, owner, token, seconds, 0.0, dict(note), answer["ETag"])

    def _ours(self, name: str, token: str) -> Lease | None:
        """What stands there, where we wrote it: an answer was lost, and the repeated request was refused."""
        found = self.find(name)
        return found if found and found.token == token else None

    def _check_conditions(self, name: str, lease: Lease) -> None:
        """The same write again must be refused: a server that takes it would give a lease to everybody."""
        again = self._write(name, token=lease.token, seconds=lease.seconds, note=lease.note, IfNoneMatch="*")
        if again is not None:
            raise PipelineError(
                f"{self._s3.meta.endpoint_url}: this S3 server ignores conditional writes, so nothing keeps two runs "
                "apart; use AWS's own, or moto's server to try things out"
            )


class Hold:
    """A lease that a thread renews, and what the holder may note in it."""

    def __init__(self, leases: Leases, lease: Lease) -> None:
        self._leases, self._lease = leases, lease
        self._lock = threading.Lock()
        self._renewed, self._lost = time.monotonic(), False

    @property
    def name(self) -> str:
        """Of the lease."""
        return self._lease.name

    @property
    def note(self) -> Note:
        """What it remembers."""
        return self._lease.note

    def remember(self, **note: str) -> None:
        """Note something before it is done. Raises PipelineError where the lease is lost."""
        self.check()
        with self._lock:
            self._renew(note=note)

    def check(self) -> None:
        """Raises PipelineError where another may hold it by now: do nothing more."""
        if self._lost or time.monotonic() - self._renewed > self._lease.seconds:
            raise PipelineError(f"{_key(self._lease.name)}: lost meanwhile; run this again, it goes on from there")

    def beat(self) -> None:
        """Renew it. That it is lost is told by `check`; where nobody answers, the next beat may be answered."""
        with self._lock, suppress(PipelineError):
            self._renew()

    def end(self) -> None:
        """Give it back; one that was lost, or cannot be reached, ends by itself."""
        with self._lock, suppress(PipelineError):
            if not self._lost:
                self._renew(seconds=0)

    def _renew(self, *, seconds: float | None = None, note: Note | None = None) -> None:
        now = time.monotonic()
        renewed = self._leases.renew(self._lease, seconds=seconds, note=note)
        if renewed is None:
            self._lost = True
            self.check()
        else:
            self._lease, self._renewed = renewed, now


@contextmanager
def held(
    leases: Leases, name: str, *, seconds: float, patience: float, tell: Callable[[str], object] = str
) -> Iterator[Hold]:
    """The lease for the length of a block, renewed every third of its time.

    patience  seconds to wait for who holds it
    tell      takes a line when the waiting begins

    Raises PipelineError naming the holder where it is not free in time.
    """
    end, told = time.monotonic() + patience, False
    while (lease := leases.take(name, seconds=seconds)) is None:
        if time.monotonic() > end:
            with asked(leases.url(name)):
                found = leases.find(name)
            who = f"{found.owner}, seen {found.age:.0f} s ago" if found else "another"
            raise PipelineError(f"{_key(name)}: held by {who}; it ends by itself, run this again then")
        if not told:
            tell(f"{leases.url(name)}: held by another; waiting for at most {patience:.0f} s")
            told = True
        time.sleep(random.uniform(0.2, 1) * min(5.0, max(patience / 20, 0.05)))  # noqa: S311  only to spread them
    hold, done = Hold(leases, lease), threading.Event()
    beats = threading.Thread(target=_beat, args=(hold, done, seconds / 3), name=f"lease-{name}", daemon=True)
    beats.start()
    try:
        yield hold
    finally:
        done.set()
        beats.join()
        hold.end()


def _beat(hold: Hold, done: threading.Event, every: float) -> None:
    while not done.wait(every):
        hold.beat()


def _read(body: bytes, url: str) -> dict[str, Any]:
    try:
        said = json.loads(body)
        return {name: said[name] for name in ("owner", "token", "seconds", "note")}
    except (ValueError, KeyError, TypeError):
        raise PipelineError(f"{url}: no lease of ours; delete it, and what it kept is done anew") from None


def _key(name: str) -> str:
    return f"{LOCKS}/{name}.json"
