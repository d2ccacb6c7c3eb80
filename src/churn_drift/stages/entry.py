"""How a stage starts: an error of ours is one line on stderr and exit code 2."""

import os
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from churn_drift.errors import ChurnDriftError


def run(main: Callable[[], None]) -> None:
    """Run a stage's main."""
    try:
        main()
    except ChurnDriftError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)


def progress(description: str) -> Callable[[Sequence[str]], Iterable[str]]:
    """Wraps a list of batches: a progress bar where stderr is a terminal, nothing elsewhere."""
    if not sys.stderr.isatty():
        return iter
    from rich.console import Console
    from rich.progress import track

    return lambda items: track(items, description=description, console=Console(stderr=True), transient=True)


def cache_folder() -> Path | None:
    """Where fits are remembered: CHURN_DRIFT_CACHE, `off` for nowhere."""
    folder = os.environ.get("CHURN_DRIFT_CACHE", ".cache/fits")
    return None if folder == "off" else Path(folder)
