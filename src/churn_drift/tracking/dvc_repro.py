"""`dvc repro` as a run needs it: without hints that the run's own summary gives, with an exit code that says why.

    python -m churn_drift.tracking.dvc_repro [STAGE ...]

A process of its own that writes straight to the user's terminal: DVC and the stages draw their bars there.
"""

import logging
import signal
import sys
from collections.abc import Sequence

REFUSED = 2
"""A stage refused its input: the exit code of the stage, and of this."""


def main(targets: Sequence[str]) -> int:
    """0, REFUSED, or 1 where anything else failed."""
    from dvc.cli import main as dvc
    from dvc.ui import ui

    ui.enable = lambda: None  # it would say: use `dvc push`
    logging.getLogger("dvc.repo.scm_context").setLevel(logging.WARNING)  # and in eight lines: use `git add`
    ends = _Ends()
    logging.getLogger("dvc").addHandler(ends)
    if not dvc(["repro", *targets]):
        return 0
    return REFUSED if ends.refused else 1


class _Ends(logging.Handler):
    """Whether a stage refused its input: DVC's own exit code does not tell, but the error that it logs does."""

    refused = False

    def emit(self, record: logging.LogRecord) -> None:
        """Look at why the error came."""
        error = record.exc_info[1] if record.exc_info else None
        self.refused |= error is not None and str(error.__cause__).endswith(f"exited with {REFUSED}")


if __name__ == "__main__":
    try:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})  # `tracking.dvc` holds it until here
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:  # while DVC is imported: afterwards it ends by itself, as quietly
        sys.exit(130)
