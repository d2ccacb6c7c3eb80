"""The reference batches into models/baseline."""

from churn_drift import paths
from churn_drift.config import Train, load_section
from churn_drift.data import files
from churn_drift.data.batches import BatchFolder
from churn_drift.model.bundle import save
from churn_drift.model.fit_cache import FitCache
from churn_drift.model.metrics import evaluate
from churn_drift.model.window import fit_window
from churn_drift.stages import entry


def main() -> None:
    """Fit the first model with its calibration, threshold and reference profile."""
    settings = load_section(Train, "train")
    batches = BatchFolder(paths.BATCHES)
    batches.require_labels(batches.reference)

    bundle, fitted = fit_window(
        batches,
        batches.reference,
        parent=None,
        reason="first model, of the reference batches",
        settings=settings,
        cache=FitCache(entry.cache_folder()),
    )
    labels = batches.labelled(batches.reference).labels
    scores = evaluate(labels, fitted.out_of_fold, threshold=bundle.threshold, confidence=0.95)

    save(bundle, paths.BASELINE)
    found = {
        "baseline_auc": scores.auc.value,
        "baseline_pr_auc": scores.pr_auc.value,
        "baseline_brier": scores.brier.value,
        "baseline_threshold": bundle.threshold,
    }
    rounded = {name: None if value is None else round(value, 4) for name, value in found.items()}
    files.write_json(rounded, paths.BASELINE_METRICS)
