"""Journals: rows appended whole or not at all by a living process, and sealed as Parquet when their hour has ended.

A journal is a row of frames: length and CRC-32 of what follows, then one Arrow message; the first holds the schema.
What a killed process left is whole frames and at most one torn one, which the CRC tells.
"""

import contextlib
import errno
import fcntl
import io
import os
import secrets
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import IO

import pyarrow
from pyarrow import ipc, parquet

from churn_drift.capture import place
from churn_drift.data import files

_FRAME = struct.Struct("<II")
_LOCK = "lock"
_PART = 2**23
"""Bytes of a journal that are in memory at a time, and become one row group, while it is sealed."""


class Journal:
    """The rows of one UTC hour, in the file of a process that lives."""

    def __init__(self, path: Path) -> None:
        """Raises OSError where the file cannot be made."""
        self.path = path
        self.size = 0
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600)

    def append(self, table: pyarrow.Table) -> None:
        """All rows, by one write; with OSError none of them."""
        messages = [batch.serialize() for batch in table.combine_chunks().to_batches()]
        pieces = [*chain.from_iterable(map(_framed, messages if self.size else [table.schema.serialize(), *messages]))]
        size = sum(map(len, pieces))
        try:
            if os.writev(self._file, pieces) < size:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.path))
        except OSError:
            os.ftruncate(self._file, self.size)
            raise
        self.size += size

    def sync(self) -> None:
        """From now on these rows outlive the machine's end."""
        os.fdatasync(self._file)

    @property
    def removed(self) -> bool:
        """Whether somebody has removed the file."""
        return not os.fstat(self._file).st_nlink

    def close(self) -> None:
        """No rows come any more."""
        os.close(self._file)


@dataclass(frozen=True)
class Sealed:
    """What became of a journal.

    rows  in the Parquet file; without any there is no file
    torn  True where its end was cut off
    """

    rows: int
    torn: bool


class Desk:
    """The folder of one living process, where its journals lie; others finish what it leaves when it is killed."""

    def __init__(self, folder: Path) -> None:
        """Below the log's folder. Raises OSError where it cannot be made."""
        self.worker = f"{os.getpid()}-{secrets.token_hex(4)}"
        self._made = 0
        hidden = place.private(folder / place.OPEN) / f".{self.worker}"
        hidden.mkdir(mode=0o700)
        self._lock = os.open(hidden / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        # Only now under the name by which others look for what has been left: it is never seen without its lock.
        self.path = hidden.rename(hidden.with_name(self.worker))

    def journal(self, hour: int) -> Journal:
        """A new one, for rows of a UTC hour."""
        self._made += 1
        return Journal(self.path / place.journal_name(hour, f"{self.worker}-{self._made}"))

    def leave(self) -> None:
        """Nobody works here any more; whatever lies here still is for others to seal."""
        if not list(self.path.glob(f"*{place.JOURNAL}")):
            _clear(self.path)
        os.close(self._lock)


def seal(journal: Path, folder: Path) -> Sealed:
    """The journal as Parquet below the log's folder, complete or not there; then the journal goes.

    Its caller holds the desk's lock. Raises OSError, and keeps the journal, where the file cannot be written.
    """
    rows = 0
    with journal.open("rb") as stream:
        parts = _parts(stream)
        first = next(parts, None)
        if first is not None:
            rows = _write(first, parts, folder / place.key_of(journal))
        torn = bool(stream.read(1))
    journal.unlink()
    return Sealed(rows, torn)


def recover(folder: Path) -> Iterator[Sealed]:
    """Seal what processes have left that live no more; of several who try at once, one does."""
    for desk in sorted((folder / place.OPEN).glob("[!.]*")):
        with _taken(desk) as ours:
            if ours:
                yield from [seal(journal, folder) for journal in sorted(desk.glob(f"*{place.JOURNAL}"))]
                _clear(desk)


def read_frames(stream: IO[bytes]) -> Iterator[pyarrow.RecordBatch]:
    """The rows of a journal, as far as its frames are whole; the stream then stands behind the last of these."""
    messages = _messages(stream)
    first = next(messages, None)
    if first is not None:
        form = ipc.read_schema(first)
        yield from (ipc.read_record_batch(message, form) for message in messages)


def _messages(stream: IO[bytes]) -> Iterator[pyarrow.Buffer]:
    end = stream.seek(0, io.SEEK_END)
    at = stream.seek(0)
    while end - at >= _FRAME.size:
        length, crc = _FRAME.unpack(stream.read(_FRAME.size))
        message = stream.read(min(length, end - at - _FRAME.size))
        if not length or len(message) < length or zlib.crc32(message) != crc:
            break
        at += _FRAME.size + length
        yield pyarrow.py_buffer(message)
    stream.seek(at)


def _framed(message: pyarrow.Buffer) -> tuple[bytes, pyarrow.Buffer]:
    return _FRAME.pack(len(message), zlib.crc32(message)), message


def _parts(stream: IO[bytes]) -> Iterator[pyarrow.Table]:
    """The rows of a journal, as many at a time as take some _PART bytes of it."""
    batches: list[pyarrow.RecordBatch] = []
    start = 0
    for batch in read_frames(stream):
        batches.append(batch)
        if stream.tell() - start >= _PART:
            start = stream.tell()
            yield pyarrow.Table.from_batches(batches).combine_chunks()
            batches = []
    if batches:
        yield pyarrow.Table.from_batches(batches).combine_chunks()


def _write(first: pyarrow.Table, others: Iterator[pyarrow.Table], path: Path) -> int:
    """One file of them all; how many rows it has."""
    place.private(path.parent)
    for left in path.parent.glob(f".{path.name}.*.part"):
        left.unlink()
    rows = 0

    def write(stream: IO[bytes]) -> None:
        nonlocal rows
        os.fchmod(stream.fileno(), 0o600)
        with parquet.ParquetWriter(stream, first.schema, compression="zstd") as writer:
            for part in chain([first], others):
                writer.write_table(part)
                rows += part.num_rows
        stream.flush()
        os.fsync(stream.fileno())

    files.replace(path, write)
    place.settle(path.parent)
    return rows


@contextlib.contextmanager
def _taken(desk: Path) -> Iterator[bool]:
    """Whether its lock is ours, for the time of the block: no living process has it, and nobody else finishes it."""
    try:
        lock = os.open(desk / _LOCK, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:  # whoever finished it was stopped between the lock and the folder
        with contextlib.suppress(OSError):
            desk.rmdir()
        yield False
        return
    try:
        yield place.flocked(lock)
    finally:
        os.close(lock)


def _clear(desk: Path) -> None:
    """The lock goes last but one: without it nobody takes the folder for a desk."""
    (desk / _LOCK).unlink(missing_ok=True)
    with contextlib.suppress(FileNotFoundError):
        desk.rmdir()
