"""The policy against never, paired, into reports/evaluate; the timeline's last champion into models/candidate."""

from churn_drift import paths
from churn_drift.config import Evaluate, load_section
from churn_drift.data import files
from churn_drift.data.scores import read_scores
from churn_drift.model.bundle import load, save
from churn_drift.policy import pictures, tables
from churn_drift.policy.comparison import compare, metrics


def main() -> None:
    """Compare, draw, propose a candidate. Decides nothing new."""
    confidence = load_section(Evaluate, "evaluate").confidence
    never, policy = read_scores(paths.DRIFT_SCORES), read_scores(paths.RETRAIN_SCORES)
    records = files.read_json(paths.RETRAIN_EVENTS)
    retrained = files.read_json(paths.RETRAIN_SUMMARY)

    comparison = compare(never, policy, confidence=confidence)
    curves = pictures.curves(never, policy, confidence=confidence)
    last = [r["promoted"] for r in records if r["promoted"]]
    source = next(paths.RETRAINED.glob(f"*_{last[-1]}")) if last else paths.BASELINE
    candidate = save(load(source), paths.CANDIDATE)

    scores = metrics(comparison, policy, promotions=retrained["promotions"])
    files.write_json(scores, paths.METRICS)
    files.write_json(
        {"verdict": comparison.verdict, "candidate": candidate, "policy": retrained["policy"], **scores}, paths.SUMMARY
    )
    files.write_table(tables.timeline(comparison, records), paths.TIMELINE)
    for name, curve in curves.items():
        files.write_table(curve, paths.CURVES / f"{name}.csv")
    pictures.draw(comparison, records, curves, paths.FIGURES, policy=retrained["policy"], confidence=confidence)
