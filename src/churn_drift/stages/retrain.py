"""The configured policy's timeline into models/retrained and reports/retrain."""

import shutil
from pathlib import Path

from churn_drift import paths
from churn_drift.config import DriftCheck, Retrain, Train, load_section
from churn_drift.data import files
from churn_drift.data.batches import BatchFolder
from churn_drift.data.scores import write_scores
from churn_drift.model.bundle import Bundle, load, save, version_of
from churn_drift.model.fit_cache import FitCache
from churn_drift.policy import tables
from churn_drift.policy.history import fold_history, observed
from churn_drift.policy.workshop import Fitting
from churn_drift.stages import entry


def main() -> None:
    """Fold `step` with the policy; every promoted version is kept, in order."""
    policy, batches = load_section(Retrain, "retrain"), BatchFolder(paths.BATCHES)
    baseline = version_of(paths.BASELINE), load(paths.BASELINE)
    shutil.rmtree(paths.RETRAINED, ignore_errors=True)
    paths.RETRAINED.mkdir(parents=True)

    history = fold_history(
        batches,
        baseline,
        policy=policy,
        drift_check=load_section(DriftCheck, "drift_check"),
        fitting=Fitting(load_section(Train, "train"), policy.folds, FitCache(entry.cache_folder()), _keep),
        observed=observed(files.read_json(paths.DRIFT_EVENTS)),
        progress=entry.progress("retrain"),
    )
    records = history.records(batches)

    if not any(event.promoted for event in history.events):
        save(baseline[1], paths.RETRAINED / f"00_{baseline[0]}")
    files.write_json(records, paths.RETRAIN_EVENTS)
    files.write_json(tables.retrain_summary(records, policy=policy.policy), paths.RETRAIN_SUMMARY)
    write_scores(history.scores, paths.RETRAIN_SCORES)


def _keep(bundle: Bundle) -> str:
    number = sum(1 for _ in paths.RETRAINED.iterdir()) + 1
    fresh = paths.RETRAINED / f"{number:02d}"
    version = save(bundle, fresh)
    fresh.rename(Path(f"{fresh}_{version}"))
    return version
