"""The master script: `python run_pipeline.py` is `churn-drift run`, with the same options."""

import sys

from churn_drift.cli import main

if __name__ == "__main__":
    sys.exit(main(["run", *sys.argv[1:]], prog="python run_pipeline.py"))
