"""One module a stage of dvc.yaml, same name: load, think, write. `python -m churn_drift.stages NAME` runs one."""
