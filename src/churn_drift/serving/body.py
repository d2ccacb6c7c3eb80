"""A request's body, unpacked and never larger than its limit."""

import gzip
import tempfile
import zlib
from collections.abc import Iterator
from typing import IO, Any

import orjson
from flask import Request

from churn_drift.serving.problems import Problem, problem
from churn_drift.serving.settings import MEBIBYTE

_PIECE = 64 * 1024
_GZIP = b"\x1f\x8b"


def json_of(request: Request, *, limit: int) -> Any:
    """The JSON document. Raises Problem where it is none, NaN and Infinity included, or larger than `limit` bytes."""
    try:
        return orjson.loads(b"".join(_pieces(request, limit=limit)))
    except orjson.JSONDecodeError as error:
        raise problem("malformed", f"the body is not JSON: {error}") from None


def spooled(request: Request, *, limit: int) -> IO[bytes]:
    """The body as a file of at most `limit` bytes, on disk where it is large; the caller closes it."""
    stored = _filled(_pieces(request, limit=limit))
    packed = stored.read(len(_GZIP)) == _GZIP  # a file that was packed before it was sent
    stored.seek(0)
    if not packed:
        return stored
    with stored:
        return _filled(_unpacked(stored, limit=limit))


def _pieces(request: Request, *, limit: int) -> Iterator[bytes]:
    """The body, unpacked. Werkzeug's own limit is not used: it ends a chunked body there as if it were whole."""
    encoding = (request.content_encoding or "identity").lower()
    if encoding not in ("identity", "gzip"):
        raise problem("wrong-type", f"Content-Encoding {encoding!r} is not known here; send it plain or as gzip")
    told = request.content_length
    if told is not None and told > limit:
        raise _too_large(limit)
    if encoding == "gzip":
        return _unpacked(request.stream, limit=limit)
    return _bounded(request.stream, limit=limit, told=told)


def _bounded(source: IO[bytes] | gzip.GzipFile, *, limit: int, told: int | None = None) -> Iterator[bytes]:
    """told: bytes that must come, where that is known."""
    size = 0
    while not (told and size == told) and (piece := _read(source)):
        size += len(piece)
        if size > limit:
            raise _too_large(limit)
        yield piece
    if told is not None and size < told:
        raise problem("malformed", f"the body broke off after {size:,} of {told:,} bytes")


def _read(source: IO[bytes] | gzip.GzipFile) -> bytes:
    """What came next. gunicorn's readers tell a body that broke off, or was badly cut into chunks, by an OSError."""
    try:
        return source.read(_PIECE)
    except TimeoutError:
        raise problem("too-slow", "the body did not arrive in the time that this server waits for one") from None
    except gzip.BadGzipFile:
        raise
    except OSError:
        raise problem("malformed", "the body broke off before its end") from None


def _unpacked(packed: IO[bytes], *, limit: int) -> Iterator[bytes]:
    try:
        yield from _bounded(gzip.GzipFile(fileobj=packed, mode="rb"), limit=limit)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise problem("malformed", f"the gzip body cannot be unpacked to its end: {error}") from None


def _filled(pieces: Iterator[bytes]) -> IO[bytes]:
    stored = tempfile.SpooledTemporaryFile(max_size=MEBIBYTE)  # noqa: SIM115  the caller closes it
    try:
        for piece in pieces:
            stored.write(piece)
    except BaseException:
        stored.close()
        raise
    stored.seek(0)
    return stored


def _too_large(limit: int) -> Problem:
    return problem("too-large", f"the body is larger than {limit:,} bytes, unpacked")
