"""One module a stage of dvc.yaml, same name: load, think, write."""

import os

# Read once, when XGBoost loads its threads: spinning ones make a fit on a shared machine several times slower.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
