"""`churn-drift schedule run-now`: a file that says so, until the scheduler takes it. Asking twice is once."""

from churn_drift.ports import STATE

FILE = STATE / "run-now"


def ask() -> None:
    """Whatever scheduler is or will be here starts a run at once, or as soon as the present one has ended."""
    FILE.parent.mkdir(parents=True, exist_ok=True)
    FILE.touch()


def waits() -> bool:
    """Whether somebody asks."""
    return FILE.exists()


def take() -> None:
    """A run begins: nobody asks any more."""
    FILE.unlink(missing_ok=True)
