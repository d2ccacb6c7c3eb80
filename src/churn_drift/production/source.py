"""params.yaml with another ingest.source, for one run: `churn-drift run --data`."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import yaml

from churn_drift import paths
from churn_drift.data import files
from churn_drift.errors import ConfigError
from churn_drift.ports import STATE

_KEY = "  source:"
_BEFORE = STATE / paths.PARAMS
"""The user's own, while another source stands in its place."""


@contextmanager
def other(path: str) -> Iterator[None]:
    """Another source for the block; its bytes are put back whatever happens, where it is killed by `put_back`."""
    before = paths.PARAMS.read_bytes()
    changed = _with_source(before.decode(), path).encode()
    files.write_bytes(before, _BEFORE)
    files.write_bytes(changed, paths.PARAMS)
    try:
        yield
    finally:
        files.write_bytes(before, paths.PARAMS)
        _BEFORE.unlink()


def put_back() -> Iterator[str]:
    """The user's own params.yaml, where a run with another source was killed; a line that says so.

    One that the user has changed since then in any other line stays. Call it with the run's lease.
    """
    if not _BEFORE.exists():
        return
    before, now = _BEFORE.read_bytes(), paths.PARAMS.read_bytes()
    if before != now and _without_source(before) == _without_source(now):
        files.write_bytes(before, paths.PARAMS)
        yield f"{paths.PARAMS}: its ingest.source was that of a run with --data; put back"
    _BEFORE.unlink()


def _with_source(text: str, path: str) -> str:
    """The text with ingest.source replaced, comments kept."""
    lines = text.splitlines(keepends=True)
    place = next((n for n, line in enumerate(lines) if line.startswith(_KEY)), None)
    if place is None:
        raise ConfigError(f"{paths.PARAMS}: ingest.source: no line of its own; `git checkout {paths.PARAMS}`")
    absolute = path if "://" in path else str(Path(path).resolve())
    lines[place] = f"{_KEY} {yaml.safe_dump(absolute, default_flow_style=True, width=10**6).splitlines()[0]}\n"
    return "".join(lines)


def _without_source(content: bytes) -> list[bytes]:
    return [line for line in content.splitlines() if not line.startswith(_KEY.encode())]
