"""The never-retrain timeline into reports/drift_check: what the first model sees of every later batch."""

from churn_drift import paths
from churn_drift.config import DriftCheck, load_section
from churn_drift.data import files
from churn_drift.data.batches import BatchFolder
from churn_drift.data.scores import write_scores
from churn_drift.model.bundle import load, version_of
from churn_drift.policy import distributions, tables
from churn_drift.policy.history import OBSERVE, fold_history
from churn_drift.stages import entry


def main() -> None:
    """Fold `step` with the policy "observe, never retrain"."""
    settings = load_section(DriftCheck, "drift_check")
    batches = BatchFolder(paths.BATCHES)
    baseline = version_of(paths.BASELINE), load(paths.BASELINE)

    history = fold_history(
        batches,
        baseline,
        policy=OBSERVE,
        drift_check=settings,
        progress=entry.progress("drift_check"),
    )
    records = history.records(batches)
    spread = distributions.table(distributions.profiles(history, batches, baseline[1]))

    files.write_json(records, paths.DRIFT_EVENTS)
    files.write_json(tables.drift_metrics(records), paths.DRIFT_METRICS)
    files.write_table(tables.drift_by_batch(records), paths.DRIFT_BATCHES)
    files.write_table(tables.drift_by_feature(records), paths.DRIFT_FEATURES)
    files.write_table(spread, paths.DRIFT_DISTRIBUTIONS)
    write_scores(history.scores, paths.DRIFT_SCORES)
