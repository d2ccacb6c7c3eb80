"""One at a time: a lease on a lock file, which ends with the last process that the holder has started.

The lock is flock's, so it needs no expiry: where nobody holds it, its owner has ended, and it is taken over at once.
Beside it lies a JSON file with owner and heartbeat, for people and for hosts that share the disk; no decision
depends on it.
"""

import fcntl
import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from churn_drift.data import files
from churn_drift.errors import PipelineError
from churn_drift.ports import STATE

RUN = STATE / "run.lock"
"""Whoever changes what the pipeline reads or writes: a run, or a landing by hand."""

BEAT = 5.0
"""Seconds between two heartbeats."""

_TRIES, _PAUSE = 20, 0.05
"""Somebody who asks for the owner holds the lock for a moment."""

_STDIN = 0


@dataclass(frozen=True)
class Owner:
    """Who holds a lease, or held it and ended without giving it back.

    what   it does
    since  UTC, ISO 8601
    at     of its last heartbeat
    """

    pid: int
    host: str
    what: str
    since: str
    at: str

    def is_here(self) -> bool:
        """Whether it is a process of this machine that has not ended."""
        return self.host == socket.gethostname() and Path(f"/proc/{self.pid}").exists()

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host} since {self.since}"


_UNKNOWN = Owner(pid=0, host="unknown", what="run", since="unknown", at="unknown")


@contextmanager
def taken(path: Path, *, what: str, children: bool = True) -> Iterator[Owner | None]:
    """Hold the lease for the block; who held it before, where that one ended without giving it back.

    children  whether every process that the block starts holds it too: a run that is killed keeps it until its
              `dvc repro` and the stage of it have ended. They inherit it as their standard input, the one descriptor
              that DVC hands on to its stages; it reads as empty.

    Raises PipelineError where somebody holds it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    _open_stdin()
    lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        if not _locked(lock):
            raise PipelineError(_busy(_read(path), what))
        before = _read(path)
        with _beating(path, what), _as_stdin(lock) if children else nullcontext():
            yield before
        fcntl.flock(lock, fcntl.LOCK_UN)
    finally:
        os.close(lock)


def owner(path: Path) -> Owner | None:
    """Who holds the lease; None where nobody does."""
    with suppress(FileNotFoundError):
        lock = os.open(path, os.O_RDONLY)
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return _read(path) or _UNKNOWN
        finally:
            os.close(lock)
    return None


def _locked(lock: int) -> bool:
    for tries in range(_TRIES):
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(_PAUSE if tries < _TRIES - 1 else 0)
        else:
            return True
    return False


def _busy(held: Owner | None, what: str) -> str:
    if held is None:
        return f"a {what} is running; wait until it has ended"
    if held.host == socket.gethostname() and not held.is_here():
        return f"a {held.what} was running ({held}); it has ended, but what it started still runs; wait for that"
    return f"a {held.what} is running ({held}, last heartbeat {held.at}); wait until it has ended"


@contextmanager
def _beating(path: Path, what: str) -> Iterator[None]:
    now = _now()
    holder = Owner(os.getpid(), socket.gethostname(), what, since=now, at=now)
    told, ended = _told(path), threading.Event()
    files.write_json(asdict(holder), told)

    def beat() -> None:
        while not ended.wait(BEAT):
            with suppress(OSError):  # a full disk costs a heartbeat, which nothing depends on
                files.write_json(asdict(replace(holder, at=_now())), told)

    thread = threading.Thread(target=beat, name="heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        told.unlink(missing_ok=True)


@contextmanager
def _as_stdin(lock: int) -> Iterator[None]:
    """The lock as the standard input that child processes inherit."""
    own = os.dup(_STDIN)
    os.dup2(lock, _STDIN)
    try:
        yield
    finally:
        os.dup2(own, _STDIN)
        os.close(own)


def _open_stdin() -> None:
    """A process that was started without standard input gets an empty one, so that no other file takes its place."""
    try:
        os.fstat(_STDIN)
    except OSError:
        os.open(os.devnull, os.O_RDONLY)


def _read(path: Path) -> Owner | None:
    """Nothing where no owner has left his name; unknown where that was cut off by a loss of power."""
    try:
        return Owner(**json.loads(_told(path).read_bytes()))
    except FileNotFoundError:
        return None
    except (ValueError, TypeError):
        return _UNKNOWN


def _told(path: Path) -> Path:
    return path.with_suffix(".json")


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
