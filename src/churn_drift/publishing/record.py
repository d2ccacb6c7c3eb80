"""What one pipeline run was, as plain values and files: read from a folder that holds a tree and where it comes from.

MLflow is not known here: the same record could go to any store.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from churn_drift import paths
from churn_drift.data import files
from churn_drift.errors import PipelineError
from churn_drift.model import bundle
from churn_drift.publishing import lock

TREE = "tree"
LINEAGE = "lineage.json"

Points = list[tuple[int, float]]
"""Batch number and value. A batch whose value is not known has no point."""

PREFIXES = {paths.METRICS: "", paths.BASELINE_METRICS: "", paths.DRIFT_METRICS: "drift_check/"}
"""What stands before the numbers of each metrics file, where their own names do not say what of."""

PLACES = {
    paths.FIGURES: "plots",
    paths.CURVES: "curves",
    paths.TIMELINE: "decisions",
    paths.SUMMARY: "decisions",
    paths.RETRAIN_EVENTS: "decisions",
    paths.DRIFT_EVENTS.parent: "decisions/never_retrained",
    paths.INGEST_REPORT: "data",
    paths.PREPROCESS_REPORT: "data",
    paths.SCENARIO_TRUTH: "data",
    lock.LOCK: "pipeline",
}
"""Files of the tree that belong to the run, and the folder of the run's artifacts where they go."""


@dataclass(frozen=True)
class Lineage:
    """Where a tree comes from.

    at          when it was recorded (an experiment: committed), ISO 8601
    commit      git's commit; None outside of git
    dirty       whether git follows, or does not ignore, something that is not in that commit
    experiment  DVC's name of the experiment; None for a run of the workspace
    """

    at: str
    commit: str | None
    dirty: bool
    experiment: str | None = None

    def betters(self, known: "Lineage") -> bool:
        """Whether it says more of the same run: the commit that holds it, or its name as an experiment."""
        return (known.dirty and not self.dirty) or (known.experiment is None and self.experiment is not None)

    def merged(self, known: "Lineage") -> "Lineage":
        """The best of what both say of the same run."""
        best = self if known.dirty and not self.dirty else known
        return Lineage(known.at, best.commit, best.dirty, known.experiment or self.experiment)


@dataclass(frozen=True)
class Retraining:
    """One promotion within the timeline.

    batch    at whose step it was decided
    version  of the model that was fitted; it serves from the next batch on
    params   what it replaces, why, and what it was fitted on
    metrics  the evidence for it and the size of what it was fitted on
    series   how it did on the batches that it served, test-then-train
    """

    batch: str
    version: str
    params: dict[str, str]
    metrics: dict[str, float]
    series: dict[str, Points]


@dataclass(frozen=True)
class Record:
    """One pipeline run.

    key        names it: trees with the same dvc.lock are the same run
    lineage    where its tree comes from
    summary    its verdict, as `evaluate` wrote it
    timeline   a row a batch, as `evaluate` wrote it
    params     of all stages, flattened, as the stages had them
    metrics    one number each
    series     one number a batch each
    retrainings  in order
    artifacts  file, and the folder of the run's artifacts where it goes
    candidate  the directory of the model that it proposes; `version` is its id
    hashes     of dvc.lock (sha256), candidate (DVC's), data and params (the candidate's own facts)
    """

    key: str
    lineage: Lineage
    summary: dict[str, Any]
    timeline: list[dict[str, str]]
    params: dict[str, str]
    metrics: dict[str, float]
    series: dict[str, Points]
    retrainings: tuple[Retraining, ...]
    artifacts: tuple[tuple[Path, str], ...]
    candidate: Path
    version: str
    hashes: dict[str, str]

    @property
    def data_name(self) -> str:
        """For people: the file that the customers came from, or from whose statistics they were simulated."""
        return Path(self.params["ingest.source"]).name

    @property
    def name(self) -> str:
        """For people: DVC's name of the experiment, else the policy and the key."""
        return self.lineage.experiment or f"{self.summary['policy']} {self.key[:7]}"


def read(folder: Path) -> Record:
    """The record in a folder. Raises PipelineError or ModelError where something in it is absent or damaged."""
    try:
        return _read(folder)
    except (OSError, KeyError, ValueError, StopIteration) as error:
        raise PipelineError(f"{type(error).__name__}: {error}") from None


def _read(folder: Path) -> Record:
    tree = folder / TREE
    locked = (tree / lock.LOCK).read_bytes()
    model = bundle.load(tree / paths.CANDIDATE)
    timeline = files.read_table(tree / paths.TIMELINE)
    return Record(
        key=lock.key_of(locked),
        lineage=read_lineage(folder),
        summary=files.read_json(tree / paths.SUMMARY),
        timeline=timeline,
        params=_params(lock.parse(locked)),
        metrics=_metrics(tree),
        series={**_timeline_series(timeline), **_never_series(files.read_table(tree / paths.DRIFT_BATCHES))},
        retrainings=tuple(_retrainings(tree, timeline)),
        artifacts=tuple(_artifacts(tree)),
        candidate=tree / paths.CANDIDATE,
        version=bundle.version_of(tree / paths.CANDIDATE),
        hashes={
            "dvc_lock": lock.digest_of(locked),
            "candidate_dvc_hash": lock.outs(lock.parse(locked))[paths.CANDIDATE.as_posix()],
            "data": model.facts["data"],
            "params": model.facts["params"],
        },
    )


def read_lineage(folder: Path) -> Lineage:
    """Where the tree of a record's folder comes from."""
    return Lineage(**files.read_json(folder / LINEAGE))


def write_lineage(lineage: Lineage, folder: Path) -> None:
    """Beside the tree."""
    files.write_json(asdict(lineage), folder / LINEAGE)


def _params(locked: Mapping[str, Any]) -> dict[str, str]:
    """Of dvc.lock, not of params.yaml: that may have been changed since."""
    found: dict[str, str] = {}
    for stage in locked["stages"].values():
        for sections in stage.get("params", {}).values():
            found.update(_flat(sections))
    return found


def _flat(section: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for name, value in section.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value if isinstance(value, str) else json.dumps(value)


def _metrics(tree: Path) -> dict[str, float]:
    return {
        f"{prefix}{name}": float(value)
        for path, prefix in PREFIXES.items()
        for name, value in files.read_json(tree / path).items()
        if isinstance(value, int | float)
    }


def _timeline_series(timeline: Iterable[Mapping[str, str]]) -> dict[str, Points]:
    known = _series(timeline, skip=("batch", "verdict", "worst_feature", "version", "decision", "reason"))
    return {**known, "by_batch/promoted": [(_step(r["batch"]), float(r["decision"] == "promote")) for r in timeline]}


def _never_series(batches: Iterable[Mapping[str, str]]) -> dict[str, Points]:
    """What the first model sees drift; the timeline's own series are those of the champion that served."""
    found = _series(batches, skip=("batch", "verdict", "worst_feature"))
    return {f"{name}_never": points for name, points in found.items()}


def _series(rows: Iterable[Mapping[str, str]], *, skip: Iterable[str]) -> dict[str, Points]:
    found: dict[str, Points] = {}
    for row in rows:
        for name, cell in row.items():
            if name not in skip and cell not in ("NA", ""):
                found.setdefault(f"by_batch/{name}", []).append((_step(row["batch"]), float(cell)))
    return found


def _retrainings(tree: Path, timeline: list[dict[str, str]]) -> Iterator[Retraining]:
    for event in files.read_json(tree / paths.RETRAIN_EVENTS):
        if event["promoted"]:
            facts = next((tree / paths.RETRAINED).glob(f"*_{event['promoted']}/facts.json"))
            yield _retraining(event, files.read_json(facts), timeline)


def _retraining(event: Mapping[str, Any], facts: Mapping[str, Any], timeline: list[dict[str, str]]) -> Retraining:
    evidence = event["evidence"]
    numbers = {
        "evidence/z": evidence["z"],
        "evidence/customers": evidence["rows"],
        "evidence/log_loss_gain": evidence["log_loss_gain"],
        "evidence/auc_gain_sum": evidence["auc_gain_sum"],
        "fitted_on/customers": facts["rows"],
        "fitted_on/batches": len(facts["batches"]),
        "fitted_on/churn_rate": facts["churn_rate"],
    }
    served = [row for row in timeline if row["version"] == event["promoted"]]
    return Retraining(
        batch=event["batch"],
        version=event["promoted"],
        params={
            "decided_at": event["batch"],
            "version": event["promoted"],
            "replaces": facts["parent"],
            "reason": event["reason"],
            "data": facts["data"],
        },
        metrics={name: float(value) for name, value in numbers.items() if value is not None},
        series={name: points for name, points in _timeline_series(served).items() if "/auc_" in name},
    )


def _artifacts(tree: Path) -> Iterator[tuple[Path, str]]:
    for place, target in PLACES.items():
        found = tree / place
        yield from ((file, target) for file in (sorted(found.iterdir()) if found.is_dir() else [found]))


def _step(batch: str) -> int:
    return int(batch.rpartition("_")[2])
