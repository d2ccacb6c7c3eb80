"""Journals: rows appended whole or not at all by a living process, and sealed as Parquet when their hour has ended.

A journal is a row of frames: length and CRC-32 of what follows, then one Arrow message; the first holds the schema.
What a killed process left is whole frames and at most one torn one, which the CRC tells.
"""

import contextlib
import errno
import fcntl
import os
import secrets
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import pyarrow
from pyarrow import ipc, parquet

from churn_drift.capture import place
from churn_drift.data import files

_FRAME = struct.Struct("<II")
_LOCK = "lock"


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
        content = b"".join(map(_framed, messages if self.size else [table.schema.serialize(), *messages]))
        try:
            if os.write(self._file, content) < len(content):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.path))
        except OSError:
            os.ftruncate(self._file, self.size)
            raise
        self.size += len(content)

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
    batches, torn = read_frames(journal.read_bytes())
    if batches:
        _write(pyarrow.Table.from_batches(batches).combine_chunks(), folder / place.key_of(journal))
    journal.unlink()
    return Sealed(sum(batch.num_rows for batch in batches), torn)


def recover(folder: Path) -> Iterator[Sealed]:
    """Seal what processes have left that live no more; of several who try at once, one does."""
    for desk in sorted((folder / place.OPEN).glob("[!.]*")):
        with _taken(desk) as ours:
            if ours:
                yield from [seal(journal, folder) for journal in sorted(desk.glob(f"*{place.JOURNAL}"))]
                _clear(desk)


def read_frames(content: bytes) -> tuple[list[pyarrow.RecordBatch], bool]:
    """The rows of a journal, as far as its frames are whole; and whether something is behind them."""
    messages, at = [], 0
    while len(content) >= at + _FRAME.size:
        length, crc = _FRAME.unpack_from(content, at)
        message = memoryview(content)[at + _FRAME.size : at + _FRAME.size + length]
        if not length or len(message) < length or zlib.crc32(message) != crc:
            break
        messages.append(pyarrow.py_buffer(message))
        at += _FRAME.size + length
    if not messages:
        return [], at < len(content)
    form = ipc.read_schema(messages[0])
    return [ipc.read_record_batch(message, form) for message in messages[1:]], at < len(content)


def _framed(message: pyarrow.Buffer) -> bytes:
    return b"".join([_FRAME.pack(len(message), zlib.crc32(message)), message])


def _write(table: pyarrow.Table, path: Path) -> None:
    place.private(path.parent)
    for left in path.parent.glob(f".{path.name}.*.part"):
        left.unlink()

    def write(stream: IO[bytes]) -> None:
        os.fchmod(stream.fileno(), 0o600)
        parquet.write_table(table, stream, compression="zstd")
        stream.flush()
        os.fsync(stream.fileno())

    files.replace(path, write)
    place.settle(path.parent)


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
