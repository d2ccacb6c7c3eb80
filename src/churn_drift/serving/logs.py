"""The server's log: one line a record on stderr, JSON or for people. No customer's field, no header and no query in it.

An exception is told by its type and where it was raised, never by its message: that may quote what a customer sent.
"""

import logging
import os
import select
import sys
import threading
import traceback
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson

FIELDS = "fields"
"""The name under which a record carries more than its message."""

_OWN = ("churn_drift", "gunicorn.error")
_LATER = 0.1
"""Seconds that a request's line waits for others: what a killed process does not tell any more."""
_MOST = 10_000


def start(*, style: str) -> "Stderr":
    """Send every logger's lines to stderr, this package's and gunicorn's from INFO on, others' from WARNING.

    style  json, text, or "" for text on a terminal and json elsewhere
    """
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False  # no line tells any of them
    text = style == "text" or (not style and sys.stderr.isatty())
    handler = Stderr()
    handler.setFormatter(Text() if text else Json())
    logging.getLogger().handlers = [handler]
    logging.captureWarnings(capture=True)
    for name in _OWN:
        log = logging.getLogger(name)
        log.handlers, log.propagate = [], True
        log.setLevel(logging.INFO)
    return handler


def tell(log: logging.Logger, message: str, fields: Mapping[str, Any]) -> None:
    """`log.info` with fields, for what is told of every request: half the time, as it does not look for its caller."""
    if log.isEnabledFor(logging.INFO):
        record = logging.LogRecord(log.name, logging.INFO, "", 0, message, None, None)
        setattr(record, FIELDS, fields)
        log.handle(record)


class Stderr(logging.Handler):
    """Writes records in the order in which they came, whole lines at a time: those of several processes do not mix.

    What is told of every request is formed and written by a thread beside, once `begin` was called; all else at once.
    """

    def __init__(self) -> None:
        super().__init__()
        self._waiting: deque[logging.LogRecord] = deque()
        self._writing = threading.Lock()
        self._some, self._ended = threading.Event(), threading.Event()
        self._thread: threading.Thread | None = None

    def createLock(self) -> None:  # noqa: N802  logging's name
        """A queue needs none, and a request does not wait for another's line."""
        self.lock = None

    def begin(self) -> None:
        """Write requests' lines beside from now on; in the process that answers them, after the fork."""
        self._thread = threading.Thread(target=self._write_later, name="log", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Write what waits; from now on everything is written at once."""
        if self._thread:
            self._ended.set()
            self._some.set()
            self._thread.join()
            self._thread = None
        self._write()
        super().close()

    def emit(self, record: logging.LogRecord) -> None:
        """Take it. Where nobody reads what is written, requests wait as soon as much of it waits."""
        self._waiting.append(record)
        if self._thread and hasattr(record, FIELDS) and len(self._waiting) < _MOST:
            self._some.set()
        else:
            self._write()

    def _write_later(self) -> None:
        while not self._ended.is_set():
            self._some.wait()
            self._ended.wait(_LATER)
            self._some.clear()
            self._write()

    def _write(self) -> None:
        """A log that nobody reads any more stops no request."""
        with self._writing:
            taken = [self._waiting.popleft() for _ in range(len(self._waiting))]
            try:
                for piece in _pieces(map(self._line, taken)):
                    os.write(2, piece)
            except OSError:
                self.handleError(taken[0])

    def _line(self, record: logging.LogRecord) -> bytes:
        try:
            return f"{self.format(record)}\n".encode(errors="backslashreplace")
        except (TypeError, ValueError):  # its arguments do not fit its message, or are no Unicode
            self.handleError(record)
            return b""


def _pieces(lines: Iterable[bytes]) -> Iterator[bytes]:
    """Whole lines together, as many as a pipe takes in one go; a longer line alone."""
    held = b""
    for line in lines:
        if held and len(held) + len(line) > select.PIPE_BUF:
            yield held
            held = b""
        held += line
    if held:
        yield held


class Json(logging.Formatter):
    """A record as a JSON object."""

    def format(self, record: logging.LogRecord) -> str:
        """One line: time in UTC, level, logger, message, process, then what the record carries."""
        told = {
            "time": datetime.fromtimestamp(record.created, UTC),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            "process": os.getpid(),
            **_more(record),
        }
        return orjson.dumps(told, default=str).decode()


class Text(logging.Formatter):
    """A record for people."""

    def format(self, record: logging.LogRecord) -> str:
        """Local time, level, message, then what the record carries as name=value."""
        time = datetime.fromtimestamp(record.created).astimezone().strftime("%H:%M:%S")
        more = "".join(f"  {name}={value}" for name, value in _more(record).items())
        return f"{time} {record.levelname.lower():<8}{record.getMessage()}{more}"


def _more(record: logging.LogRecord) -> Mapping[str, Any]:
    fields: Mapping[str, Any] = getattr(record, FIELDS, {})
    if record.exc_info and record.exc_info[1] is not None:
        return {**fields, "raised": list(_raised(record.exc_info[1]))}
    return fields


def _raised(error: BaseException) -> Iterator[dict[str, Any]]:
    """The exception and those that it came from, the last one first: type and frames, innermost last."""
    seen: list[BaseException] = []
    now: BaseException | None = error
    while now is not None and now not in seen:
        seen.append(now)
        frames = [f"{_short(f.filename)}:{f.lineno} {f.name}" for f in traceback.extract_tb(now.__traceback__)]
        yield {"type": type(now).__name__, "frames": frames}
        now = now.__cause__ or (None if now.__suppress_context__ else now.__context__)


def _short(file: str) -> str:
    return "/".join(Path(file).parts[-2:])
