"""Who became champion, when and why: one append-only text file in git, a line a change, oldest first.

A line's keys:

at        UTC, ISO 8601
action    promote: the experiment's proposal; rollback: an older version on purpose; pin: found pinned, without a line
version   what became champion
pin       its hash in DVC
replaces  the version that was champion before; null for the first
reason    why
commit    git's, checked out at the time (what was promoted may not have been committed yet)
data      digest of the batches it was fitted on
params    digest of the settings it was fitted with
metrics   of the run that proposed it
"""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from churn_drift.errors import PipelineError

Entry = Mapping[str, Any]


def entries(path: Path) -> list[dict[str, Any]]:
    """Every line, oldest first; none where nothing was ever promoted. Raises PipelineError naming a damaged line."""
    return parse(path.read_bytes(), source=path) if path.exists() else []


def parse(content: bytes, *, source: Path) -> list[dict[str, Any]]:
    """The lines of a ledger's text. Raises PipelineError naming a damaged one."""
    lines = content.splitlines()
    return [_entry(line, where=f"{source}: line {number}", path=source) for number, line in enumerate(lines, start=1)]


def append(entry: Entry, path: Path) -> None:
    """Add one line, in a single write; a last line that an editor left without its end is ended first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    before = path.read_bytes() if path.exists() else b""
    end = b"\n" if before and not before.endswith(b"\n") else b""
    with path.open("ab") as stream:
        stream.write(end + json.dumps(entry, ensure_ascii=False).encode() + b"\n")


def as_of(entries: Sequence[Entry], moment: datetime) -> Entry | None:
    """The line in force at a moment; None before the first."""
    return next((entry for entry in reversed(entries) if time_of(entry) <= moment), None)


def time_of(entry: Entry) -> datetime:
    """When the line was written, UTC. Raises ValueError where it names no zone."""
    moment = datetime.fromisoformat(entry["at"])
    if moment.tzinfo is None:
        raise ValueError("no time zone")
    return moment.astimezone(UTC)


def standing(entries: Sequence[Entry]) -> list[str]:
    """The versions that a rollback goes back through, the champion last.

    A rollback withdraws what had come after the version that it brings back.

    >>> standing([{"version": "a"}, {"version": "b"}, {"version": "c"}, {"version": "b"}])
    ['a', 'b']
    """
    stack: dict[str, None] = {}
    for entry in entries:
        version = entry["version"]
        if version in stack:
            while next(reversed(stack)) != version:
                stack.popitem()
        stack[version] = None
    return list(stack)


def _entry(line: bytes, *, where: str, path: Path) -> dict[str, Any]:
    try:
        entry = json.loads(line)
    except ValueError as error:
        raise PipelineError(f"{where}: not JSON ({error}); `git checkout {path}`") from None
    if not isinstance(entry, dict) or not isinstance(entry.get("version"), str):
        raise PipelineError(f"{where}: names no version; `git checkout {path}`")
    try:
        time_of(entry)
    except (KeyError, TypeError, ValueError):
        raise PipelineError(f"{where}: at: no time ({entry.get('at')!r}); `git checkout {path}`") from None
    return entry
