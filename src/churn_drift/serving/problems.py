"""What is wrong with a request, as RFC 9457 problem documents: never a stack trace, never a 5xx for input."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import orjson

from churn_drift.serving.contract import Fault

MEDIA_TYPE = "application/problem+json"
MOST_ERRORS = 100
"""Faults that one document lists; the detail tells how many there are."""


@dataclass(frozen=True)
class Kind:
    """One kind of problem: its status, its title, and what the caller can do about it.

    name   the fragment of /docs that its `type` points to
    """

    name: str
    status: int
    title: str
    remedy: str


KINDS = {
    kind.name: kind
    for kind in (
        Kind("malformed", 400, "The body cannot be read", "Send complete, well-formed JSON, CSV or Parquet."),
        Kind("bad-parameter", 400, "A query parameter is wrong", "Give it one of the values that its detail names."),
        Kind("bad-request", 400, "The request cannot be understood", "Look at this page for what is."),
        Kind("no-key", 401, "A key is needed", "Send a living one: `Authorization: Bearer KEY`."),
        Kind("forbidden", 403, "The key does not open this path", "Ask for one with the scope that its detail names."),
        Kind("not-found", 404, "There is no such path", "Look at this page for those that are."),
        Kind("wrong-method", 405, "The path does not know this method", "Use one of those in the header Allow."),
        Kind("too-slow", 408, "The request took too long to arrive", "Send it faster, or in several parts."),
        Kind("too-large", 413, "The body is larger than this server takes", "Send it in several parts."),
        Kind("wrong-type", 415, "The body is of a type that this path does not take", "Set Content-Type."),
        Kind("invalid-record", 422, "Fields are not what a customer record holds", "Mend the fields in `errors`."),
        Kind("too-often", 429, "The key asks too often", "Wait as many seconds as `Retry-After` says."),
        Kind("header-too-large", 431, "The request's header is too large", "Send fewer or shorter header fields."),
        Kind("failed", 500, "The server failed", "Report the request id; the server's log has the rest."),
        Kind("no-keys", 503, "The server cannot read its keys", "See the server's log."),
        Kind("not-kept", 404, "What is answered is not kept", "Start the server with SERVE_LOG."),
        Kind("no-model", 503, "No model is loaded", "See the server's log; `/ready` tells when there is one."),
    )
}
"""Every problem that this server answers, by name."""

_BY_STATUS = {kind.status: kind for kind in reversed(KINDS.values())} | {400: KINDS["bad-request"]}


@dataclass(eq=False)
class Problem(Exception):  # noqa: N818  the word of RFC 9457
    """A request that cannot be answered, and why."""

    kind: Kind
    detail: str
    faults: Sequence[Fault] = ()
    headers: Mapping[str, str] = field(default_factory=dict)


def problem(
    name: str, detail: str, faults: Sequence[Fault] = (), *, headers: Mapping[str, str] = MappingProxyType({})
) -> Problem:
    """The problem of a kind in KINDS."""
    return Problem(KINDS[name], detail, faults, headers)


def invalid(faults: Sequence[Fault]) -> Problem:
    """The problem of records with faults, each told with its place."""
    listed = f"; the first {MOST_ERRORS} are listed" if len(faults) > MOST_ERRORS else ""
    return problem(
        "invalid-record", f"{len(faults)} field{'s are' if len(faults) > 1 else ' is'} wrong{listed}", faults
    )


def of_status(status: int, detail: str, headers: Mapping[str, str]) -> Problem:
    """The problem that an HTTP status of Flask or Werkzeug stands for."""
    kind = _BY_STATUS.get(status) or _BY_STATUS[400 if status < 500 else 500]
    return Problem(kind, detail, headers=headers)


def document(found: Problem, *, request_id: str) -> bytes:
    """The problem as JSON, ready to send."""
    body: dict[str, Any] = {
        "type": f"/docs#{found.kind.name}",
        "title": found.kind.title,
        "status": found.kind.status,
        "detail": found.detail,
        "instance": request_id,
    }
    if found.faults:
        body["errors"] = [{"pointer": f.pointer, "detail": f.detail} for f in found.faults[:MOST_ERRORS]]
    return orjson.dumps(body)
