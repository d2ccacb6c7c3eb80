"""The server's log: one line a record on stderr, JSON or for people. No customer's field, no header and no query in it.

An exception is told by its type and where it was raised, never by its message: that may quote what a customer sent.
"""

import logging
import os
import sys
import traceback
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson

FIELDS = "fields"
"""The name under which a record carries more than its message."""

_OWN = ("churn_drift", "gunicorn.error")


def start(*, style: str) -> None:
    """Send every logger's lines to stderr, this package's and gunicorn's from INFO on, others' from WARNING.

    style  json, text, or "" for text on a terminal and json elsewhere
    """
    text = style == "text" or (not style and sys.stderr.isatty())
    handler = Stderr()
    handler.setFormatter(Text() if text else Json())
    logging.getLogger().handlers = [handler]
    logging.captureWarnings(capture=True)
    for name in _OWN:
        log = logging.getLogger(name)
        log.handlers, log.propagate = [], True
        log.setLevel(logging.INFO)


def tell(log: logging.Logger, message: str, fields: Mapping[str, Any]) -> None:
    """`log.info` with fields, for what is told of every request: half the time, as it does not look for its caller."""
    if log.isEnabledFor(logging.INFO):
        record = logging.LogRecord(log.name, logging.INFO, "", 0, message, None, None)
        setattr(record, FIELDS, fields)
        log.handle(record)


class Stderr(logging.Handler):
    """Each record by one write, so that the lines of several processes do not mix."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write it; a log that nobody reads any more stops no request."""
        try:
            os.write(2, (self.format(record) + "\n").encode(errors="backslashreplace"))
        except OSError:
            self.handleError(record)


class Json(logging.Formatter):
    """A record as a JSON object."""

    def format(self, record: logging.LogRecord) -> str:
        """One line: time in UTC, level, logger, message, process, then what the record carries."""
        told = {
            "time": datetime.fromtimestamp(record.created, UTC),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            "process": record.process,
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
