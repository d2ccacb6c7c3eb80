"""One append-only text file in git: a line a promotion, oldest first."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from churn_drift.errors import PipelineError


def entries(path: Path) -> list[dict[str, Any]]:
    """Every line, oldest first; none where nothing was ever promoted."""
    if not path.exists():
        return []
    lines = path.read_text(encoding="utf-8").splitlines()
    try:
        return [json.loads(line) for line in lines]
    except json.JSONDecodeError as error:
        raise PipelineError(f"{path}: line {len(lines)}: not JSON ({error.msg}); `git checkout {path}`") from None


def append(entry: Mapping[str, Any], path: Path) -> None:
    """Add one line, in a single write."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as stream:
        stream.write(json.dumps(entry, ensure_ascii=False) + "\n")
