"""The policy against never, paired, into reports/evaluate; the timeline's last champion into models/candidate.

And what people read before they use it: figures by slice, the model card, the data sheet.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from churn_drift import paths
from churn_drift.cards import by_slice
from churn_drift.cards.data_sheet import arrivals, data_sheet, origin
from churn_drift.cards.model_card import model_card
from churn_drift.cards.slices import dimensions
from churn_drift.cards.subject import Subject
from churn_drift.config import DriftCheck, Evaluate, Retrain, SplitBatches, load_section
from churn_drift.data import files
from churn_drift.data.batches import BatchFolder
from churn_drift.data.scores import Scored, read_scores
from churn_drift.errors import PipelineError
from churn_drift.model.bundle import load, save, version_of
from churn_drift.policy import pictures, tables
from churn_drift.policy.comparison import Comparison, compare, metrics

Records = Sequence[Mapping[str, Any]]


def main() -> None:
    """Compare, draw, propose a candidate, describe it. Decides nothing new."""
    confidence = load_section(Evaluate, "evaluate").confidence
    never, policy = read_scores(paths.DRIFT_SCORES), read_scores(paths.RETRAIN_SCORES)
    records, retrained = files.read_json(paths.RETRAIN_EVENTS), files.read_json(paths.RETRAIN_SUMMARY)
    models = _models(records)

    comparison = compare(never, policy, confidence=confidence)
    curves = pictures.curves(never, policy, confidence=confidence)
    last = [r["promoted"] for r in records if r["promoted"]]
    candidate = save(load(models[last[-1]] if last else paths.BASELINE), paths.CANDIDATE)

    scores = metrics(comparison, policy, promotions=retrained["promotions"])
    files.write_json(scores, paths.METRICS)
    files.write_json(
        {"verdict": comparison.verdict, "candidate": candidate, "policy": retrained["policy"], **scores}, paths.SUMMARY
    )
    files.write_table(tables.timeline(comparison, records), paths.TIMELINE)
    for name, curve in curves.items():
        files.write_table(curve, paths.CURVES / f"{name}.csv")
    pictures.draw(comparison, records, curves, paths.FIGURES, policy=retrained["policy"], confidence=confidence)
    _describe(candidate, comparison, records, policy, models, confidence=confidence)


def _models(records: Records) -> dict[str, Path]:
    """The directory of every version that scored or was promoted. Raises PipelineError where one is missing."""
    folders = {folder.name.partition("_")[2]: folder for folder in paths.RETRAINED.glob("*_*")}
    folders[version_of(paths.BASELINE)] = paths.BASELINE
    for version in (v for r in records for v in (r["champion"], r["promoted"]) if v):
        if version not in folders:
            raise PipelineError(
                f"{paths.RETRAINED}: version {version} is not there; `dvc checkout {paths.RETRAINED}` brings it back, "
                "`dvc repro` makes it"
            )
    return folders


def _describe(
    candidate: str,
    comparison: Comparison,
    records: Records,
    scores: Sequence[Scored],
    models: Mapping[str, Path],
    *,
    confidence: float,
) -> None:
    """Figures by slice, the model card and the data sheet."""
    batches, split = BatchFolder(paths.BATCHES), load_section(SplitBatches, "split_batches")
    source = origin(files.read_json(paths.INGEST_REPORT), files.read_json(paths.PREPROCESS_REPORT))

    thresholds = {scored.version: load(models[scored.version]).threshold for scored in scores}
    served = by_slice.served(batches, scores, thresholds)
    ways = dimensions(batches.labelled(batches.reference).columns)
    judged = by_slice.by_slice(by_slice.judged(served, batches.later[0]), ways, confidence=confidence)
    newest = by_slice.by_slice(served[-1:], ways, confidence=confidence, compare=False)
    subject = Subject(
        version=candidate,
        bundle=load(paths.CANDIDATE),
        simulated=source.simulated,
        drift=split.scenario.kind,
        shuffled=split.order == "shuffled",
        policy=load_section(Retrain, "retrain"),
        label_delay=load_section(DriftCheck, "drift_check").label_delay,
        records=records,
        comparison=comparison,
        served=served,
        sliced=judged,
        confidence=confidence,
    )
    sheet = data_sheet(
        source,
        arrivals(batches, confidence=confidence),
        split,
        zero_is_missing=batches.zero_is_missing,
        confidence=confidence,
    )

    files.write_table(by_slice.table({"timeline": judged, "newest": newest}), paths.SLICES)
    files.write_bytes(model_card(subject).encode(), paths.MODEL_CARD)
    files.write_bytes(sheet.encode(), paths.DATA_SHEET)
