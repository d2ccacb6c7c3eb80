"""`churn-drift step`: what the pipeline would decide about a batch, without landing it."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

from churn_drift import paths, schema
from churn_drift.config import Params, load_params
from churn_drift.data import io
from churn_drift.data.batch_files import extended
from churn_drift.data.batches import BatchFolder
from churn_drift.data.preprocess import preprocess
from churn_drift.errors import DataError
from churn_drift.model.bundle import Bundle, load, save, version_of
from churn_drift.model.fit_cache import FitCache
from churn_drift.policy.history import fold_history
from churn_drift.policy.timeline import Event
from churn_drift.policy.workshop import Fitting
from churn_drift.stages import entry
from churn_drift.terminal import say, working


def step(path: str) -> int:
    """Fold the timeline over one batch more, in a scratch folder; print the last event."""
    with tempfile.TemporaryDirectory() as scratch:
        with working(f"reading {path}"):
            raw = io.read_raw(path)
            if schema.LABEL not in raw:
                raw = raw.assign(**{schema.LABEL: ""})
            params = load_params(paths.PARAMS)
            clean = preprocess(raw, source=path, zero_is_missing=params.preprocess.zero_is_missing)
            batches = extended(paths.BATCHES, clean.frame, Path(scratch))
        event = _last_event(batches, params, Path(scratch))
    say("\n".join(_lines(event, clean.duplicates)), hang=10)
    say("Nothing was written. `churn-drift land FILE` lands the batch, `churn-drift run` takes it in.")
    return 0


def _last_event(batches: BatchFolder, params: Params, scratch: Path) -> Event:
    def keep(bundle: Bundle) -> str:
        return save(bundle, scratch / "model")

    history = fold_history(
        batches,
        (version_of(paths.BASELINE), load(paths.BASELINE)),
        policy=params.retrain,
        drift_check=params.drift_check,
        fitting=Fitting(params.train, params.retrain.folds, FitCache(entry.cache_folder()), keep),
        progress=entry.progress("timeline"),
    )
    if not history.events:
        raise DataError("the timeline has no batches")
    return history.events[-1]


def _lines(event: Event, duplicates: int) -> Iterator[str]:
    report = event.observation.report
    yield f"batch     {report['rows_batch']:,} customers, {duplicates} identical duplicates dropped"
    yield f"champion  {event.champion}"
    yield f"drift     {report['verdict']}: {report['reason']}"
    if report["score"]:
        yield f"score     {report['score']['reason']}"
    for arrived in event.arrived:
        auc = arrived["performance"]["auc"]
        yield f"labels    of {arrived['batch']}: AUC {auc['value']} [{auc['low']}, {auc['high']}]"
    yield f"decision  {'promote' if event.decision.promote else 'hold'}: {event.decision.reason}"
