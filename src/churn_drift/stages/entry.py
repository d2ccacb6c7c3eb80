"""How a stage starts and ends: an error of ours is one line on stderr and exit code 2, Ctrl-C is silent."""

import os
import sys
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from churn_drift.errors import ChurnDriftError

if TYPE_CHECKING:
    from rich.console import Console

REFUSED, INTERRUPTED = 2, 130

_spinner = ExitStack()


def run(main: Callable[[], None], *, name: str = "") -> None:
    """Run a stage's main. On a terminal a spinner with its name turns, until it ends or draws a bar."""
    try:
        with _spinner:
            if sys.stderr.isatty():
                _spinner.enter_context(_console().status(name, spinner_style="none"))
            main()
    except ChurnDriftError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(REFUSED)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


def progress(description: str) -> Callable[[Sequence[str]], Iterable[str]]:
    """Wraps a list of batches: a progress bar where stderr is a terminal, nothing elsewhere."""
    if not sys.stderr.isatty():
        return iter
    from rich.progress import track

    def bar(items: Sequence[str]) -> Iterable[str]:
        _spinner.close()
        return track(items, description=description, console=_console(), transient=True)

    return bar


def _console() -> "Console":
    from rich.console import Console

    return Console(stderr=True)


def cache_folder() -> Path | None:
    """Where fits are remembered: CHURN_DRIFT_CACHE, `off` for nowhere."""
    folder = os.environ.get("CHURN_DRIFT_CACHE", ".cache/fits")
    return None if folder == "off" else Path(folder)
