"""`python -m churn_drift.stages NAME`: run one stage, in a process of its own."""

import importlib
import os
import sys

from churn_drift.stages import entry


def main() -> None:
    """Run the stage that the command line names."""
    # Read once, when XGBoost loads its threads: spinning ones slow down everybody on a shared machine.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    # XGBoost imports scikit-learn for its wrappers, which no stage uses: 3 of the 4 seconds that its import takes.
    sys.modules["sklearn"] = None  # type: ignore[assignment]
    name = sys.argv[1]
    entry.run(lambda: importlib.import_module(f"churn_drift.stages.{name}").main(), name=name)


if __name__ == "__main__":
    main()
