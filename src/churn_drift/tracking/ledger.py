"""One append-only text file in git: a line a promotion, oldest first."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from churn_drift.errors import PipelineError


def entries(path: Path) -> list[dict[str, Any]]:
    """Every line, oldest first; none where nothing was ever promoted. Raises PipelineError naming a damaged line."""
    if not path.exists():
        return []
    with path.open("rb") as lines:
        return [_entry(line, where=f"{path}: line {number}", path=path) for number, line in enumerate(lines, start=1)]


def append(entry: Mapping[str, Any], path: Path) -> None:
    """Add one line, in a single write; a last line that an editor left without its end is ended first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    before = path.read_bytes() if path.exists() else b""
    end = b"\n" if before and not before.endswith(b"\n") else b""
    with path.open("ab") as stream:
        stream.write(end + json.dumps(entry, ensure_ascii=False).encode() + b"\n")


def _entry(line: bytes, *, where: str, path: Path) -> dict[str, Any]:
    try:
        entry = json.loads(line)
    except ValueError as error:
        raise PipelineError(f"{where}: not JSON ({error}); `git checkout {path}`") from None
    if not isinstance(entry, dict) or "version" not in entry:
        raise PipelineError(f"{where}: names no version; `git checkout {path}`")
    return entry
