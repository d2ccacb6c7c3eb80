"""Serve the champion over HTTP: `python serve-model.py`, see `--help`."""

import sys

from churn_drift.serving.server import main

if __name__ == "__main__":
    sys.exit(main())
