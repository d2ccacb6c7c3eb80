"""What the last run left in reports/ and in the ledger, typed for the page.

Each part is read on its own: one that is missing or damaged says what makes it, and the others are shown all the same.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from churn_drift import paths
from churn_drift.data import files
from churn_drift.errors import PipelineError
from churn_drift.schema import BY_NAME
from churn_drift.serving.file_mark import file_mark
from churn_drift.tracking import ledger

T = TypeVar("T")
Row = Mapping[str, str]

REMEDY = "`dvc repro` makes it anew"


@dataclass(frozen=True)
class Batch:
    """One batch of the timeline, scored by the champion as it stood before it. Rates and shares are 0 to 1.

    name          as the page shows it, such as 09
    auc           of that champion, with its interval; None without labels of both classes
    never         AUC, had the first model been kept
    drifted       share of features that drifted from what that champion was fitted on
    """

    name: str
    customers: int
    churn: float | None
    verdict: str
    drifted: float | None
    worst: str
    auc: float | None
    low: float | None
    high: float | None
    never: float | None
    gain: float | None
    version: str
    decision: str
    reason: str

    @property
    def promoted(self) -> bool:
        """Whether a challenger took over after it."""
        return self.decision == "promote"


@dataclass(frozen=True)
class Timeline:
    """Every batch after the reference, oldest first, and what the policy amounts to (reports/evaluate)."""

    batches: tuple[Batch, ...]
    summary: Mapping[str, Any]

    @property
    def newest_judged(self) -> Batch | None:
        """The last batch whose labels tell an AUC."""
        return next((batch for batch in reversed(self.batches) if batch.auc is not None), None)


@dataclass(frozen=True)
class Feature:
    """How far a feature lay from the first model's reference, batch by batch."""

    name: str
    about: str
    psi: tuple[float | None, ...]
    drifted: tuple[bool, ...]

    @property
    def most(self) -> float:
        """Its largest PSI; 0 where none is defined."""
        return max((psi for psi in self.psi if psi is not None), default=0.0)


@dataclass(frozen=True)
class Drift:
    """The features, those that moved most first, at the batches."""

    batches: tuple[str, ...]
    features: tuple[Feature, ...]

    def newest(self, count: int) -> "Drift":
        """The last so many batches; the order of the features stays."""
        features = (Feature(f.name, f.about, f.psi[-count:], f.drifted[-count:]) for f in self.features)
        return Drift(self.batches[-count:], tuple(features))


Distributions = Mapping[str, Mapping[str, Any]]
"""Feature to {"cells": names, "reference": shares, "batches": {batch: shares}}."""


@dataclass(frozen=True)
class Part(Generic[T]):
    """A part of the page, or why it cannot be shown and what mends that."""

    value: T | None
    why: str = ""


class Kept(Generic[T]):
    """A part that is read again only where one of its files is another than before. Safe to share between threads."""

    def __init__(self, read: Callable[[], T], *files: Path) -> None:
        self._read, self._files = read, files
        self._last: tuple[object, Part[T]] | None = None

    def __call__(self) -> Part[T]:
        """The part as its files have it now."""
        mark, last = [file_mark(path) for path in self._files], self._last
        if last is None or last[0] != mark:
            self._last = last = mark, _part(self._read)
        return last[1]


def _part(read: Callable[[], T]) -> Part[T]:
    try:
        return Part(read())
    except PipelineError as error:
        return Part(None, str(error))


def timeline() -> Timeline:
    """What `evaluate` wrote. Raises PipelineError naming what is missing or damaged."""
    needed = ("batch", "rows", "churn_rate", "auc_never", "auc_policy", "version", "decision", "reason")
    rows = files.read_table(paths.TIMELINE, columns=needed)
    summary = files.read_json(paths.SUMMARY)
    if not rows or not isinstance(summary, dict):
        raise PipelineError(f"{paths.EVALUATION}: tells of no batch; {REMEDY}")
    return Timeline(tuple(_batch(row) for row in rows), summary)


def drift() -> Drift:
    """What `drift_check` wrote: PSI by feature and batch. Raises PipelineError naming what is missing or damaged."""
    source = paths.DRIFT_FEATURES
    psi: dict[str, list[float | None]] = defaultdict(list)
    drifted: dict[str, list[bool]] = defaultdict(list)
    batches: dict[str, None] = {}
    for row in files.read_table(source, columns=("batch", "feature", "psi", "drifted")):
        batches[shown(row["batch"])] = None
        psi[row["feature"]].append(_number(row, "psi", source))
        drifted[row["feature"]].append(row["drifted"] == "True")
    if any(len(values) != len(batches) for values in psi.values()):
        raise PipelineError(f"{source}: not every feature has every batch; {REMEDY}")
    features = [Feature(name, about(name), tuple(psi[name]), tuple(drifted[name])) for name in psi]
    return Drift(tuple(batches), tuple(sorted(features, key=lambda feature: -feature.most)))


def distributions() -> Distributions:
    """What `drift_check` wrote: shares of customers in each cell. Raises PipelineError as the others."""
    source = paths.DRIFT_DISTRIBUTIONS
    found: dict[str, dict[str, Any]] = {}
    for row in files.read_table(source, columns=("feature", "place", "cell", "reference")):
        name = row["feature"]
        of = found.setdefault(name, {"about": about(name), "cells": [], "reference": [], "batches": defaultdict(list)})
        of["cells"].append(row["cell"])
        of["reference"].append(_number(row, "reference", source))
        for batch in [name for name in row if name not in ("feature", "place", "cell", "reference")]:
            of["batches"][shown(batch)].append(_number(row, batch, source))
    return found


def reigns() -> list[dict[str, Any]]:
    """The ledger's lines, newest first; none where nothing was ever promoted."""
    return ledger.entries(paths.LEDGER)[::-1]


def shown(batch: str) -> str:
    """A batch's name without what all of them have in common.

    >>> shown("batch_09")
    '09'
    """
    return batch.removeprefix("batch_")


def _batch(row: Row) -> Batch:
    def number(name: str) -> float | None:
        return _number(row, name, paths.TIMELINE)

    customers = number("rows")
    return Batch(
        name=shown(row["batch"]),
        customers=int(customers or 0),
        churn=number("churn_rate"),
        verdict=row["verdict"],
        drifted=number("drifted_share"),
        worst=row["worst_feature"],
        auc=number("auc_policy"),
        low=number("auc_policy_low"),
        high=number("auc_policy_high"),
        never=number("auc_never"),
        gain=number("gain"),
        version=row["version"],
        decision=row["decision"],
        reason=row["reason"],
    )


def _number(row: Row, name: str, source: Path) -> float | None:
    cell = row[name]
    if cell in ("NA", ""):
        return None
    try:
        return float(cell)
    except ValueError:
        raise PipelineError(f"{source}: {name}: {cell[:40]!r} is no number; {REMEDY}") from None


def about(name: str) -> str:
    """A feature in words, with its unit."""
    column = BY_NAME.get(name)
    if column is None:
        return "the churn probability" if name == "score" else ""
    return f"{column.description} ({column.unit})" if column.unit else column.description


def parts() -> Mapping[str, Kept[Any]]:
    """Every part of the page that a run leaves, by its name in the template."""
    read: Sequence[tuple[str, Callable[[], Any], tuple[Path, ...]]] = (
        ("timeline", timeline, (paths.TIMELINE, paths.SUMMARY)),
        ("drift", drift, (paths.DRIFT_FEATURES,)),
        ("distributions", distributions, (paths.DRIFT_DISTRIBUTIONS,)),
        ("reigns", reigns, (paths.LEDGER,)),
    )
    return {name: Kept(how, *sources) for name, how, sources in read}
