"""How the model does on each slice of the customers, as served: test-then-train scores, never pooled over models."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from churn_drift.cards.slices import Dimension
from churn_drift.columns import Columns, Numbers
from churn_drift.data.batches import BatchFolder
from churn_drift.data.files import Table
from churn_drift.data.scores import Scored
from churn_drift.errors import PipelineError
from churn_drift.model.compare import Difference
from churn_drift.model.metrics import Estimate, calibration
from churn_drift.model.ranks import quantile, rounded, wilson
from churn_drift.model.strata import (
    Mask,
    Stratum,
    auc_difference,
    calibration_difference,
    holm,
    stratified_auc,
)

LEAST = 10
"""Customers behind a share or a mean; an AUC needs as many churned and as many kept. Of fewer only the number is told:
a rate of three customers tells about persons. It is the floor of the simulator's statistics, too."""

LEAST_COMPARED = 100
"""Churned and kept customers, in the slice and outside, for a comparison with the rest. With 30 and 90 a true
difference of 0 is given p < .001 in 0.28 % of 6,000 simulations, with 100 and 300 in 0.13 % of 20,000."""


ALL = "all"
"""The dimension of the slice of all customers."""

MEASURED = (
    "churn_rate",
    "auc",
    "auc_rest",
    "calibration",
    "calibration_rest",
    "flagged",
    "precision",
    "recall",
)
"""Figures with an interval each, as columns NAME, NAME_low and NAME_high."""

COLUMNS = (
    *("scope", "dimension", "slice", "batches", "rows", "churned"),
    *(f"{name}{end}" for name in MEASURED for end in ("", "_low", "_high")),
    *("auc_p", "calibration_p"),
)
"""Columns of the table by slice."""


@dataclass(frozen=True)
class Served:
    """One batch's labelled rows as they were served.

    version, threshold   of the champion that scored it
    """

    batch: str
    version: str
    threshold: float
    labels: Numbers
    probabilities: Numbers
    columns: Columns

    @property
    def flagged(self) -> Mask:
        """Which rows were decided "will churn"."""
        flagged: Mask = self.probabilities >= self.threshold
        return flagged


@dataclass(frozen=True)
class SliceFigures:
    """One slice. None where too few customers, or one class, leave a figure undefined.

    batches      in which the slice has labelled rows
    auc          within a batch, averaged (`model.strata`)
    calibration  churn rate less mean predicted probability
    flagged      share that the threshold flags; precision and recall of the flags
    auc_rest, calibration_rest   less the same of all other customers of the same batches
    auc_p, calibration_p         of no such difference, corrected for all looks (Holm)
    """

    dimension: str
    name: str
    batches: int
    rows: int
    churned: int
    churn_rate: Estimate = field(default=Estimate())
    auc: Estimate = field(default=Estimate())
    calibration: Estimate = field(default=Estimate())
    flagged: Estimate = field(default=Estimate())
    precision: Estimate = field(default=Estimate())
    recall: Estimate = field(default=Estimate())
    auc_rest: Difference = field(default=Difference())
    calibration_rest: Difference = field(default=Difference())
    auc_p: float | None = None
    calibration_p: float | None = None


@dataclass(frozen=True)
class Sliced:
    """The figures of some batches by slice, all customers first.

    batches  their names
    looks    comparisons with the rest that could be made: for so many the p values are corrected
    """

    batches: tuple[str, ...]
    slices: tuple[SliceFigures, ...]
    looks: int

    @property
    def everybody(self) -> SliceFigures:
        """All customers."""
        return self.slices[0]

    def of(self, dimension: str) -> tuple[SliceFigures, ...]:
        """The slices of one dimension, in order."""
        return tuple(figures for figures in self.slices if figures.dimension == dimension)


def served(batches: BatchFolder, scores: Sequence[Scored], thresholds: Mapping[str, float]) -> tuple[Served, ...]:
    """The labelled rows of every scored batch that has some, with the records that were scored.

    thresholds  of every version that scored

    Raises PipelineError where the scores are not of these batches.
    """
    return tuple(_served(batches, scored, thresholds) for scored in scores if not np.isnan(scored.labels).all())


def judged(parts: Sequence[Served], first: str | None) -> Sequence[Served]:
    """The batches that the headline averages, so that both tell of the same customers; all where it has none.

    first  the first batch after the reference, which no decision can have changed
    """
    return [part for part in parts if part.batch != first] or parts


def by_slice(
    parts: Sequence[Served], dimensions: Sequence[Dimension], *, confidence: float, compare: bool = True
) -> Sliced:
    """Figures of all customers and of every slice of every dimension.

    compare  each slice with all others, too, the p values corrected for the number of looks
    """
    everybody = [np.ones(len(part.labels), dtype=bool) for part in parts]
    found = [_figures(parts, everybody, ALL, "all customers", confidence=confidence)]
    for dimension in dimensions:
        places = [dimension.places(part.columns) for part in parts]
        for number, name in enumerate(dimension.names):
            inside = [place == number for place in places]
            figures = _figures(parts, inside, dimension.title, name, confidence=confidence)
            found.append(_compared(figures, parts, inside, confidence=confidence) if compare else figures)
    return _corrected(tuple(part.batch for part in parts), found)


def table(scopes: Mapping[str, Sliced]) -> Table:
    """One row a scope and slice, for `dvc plots` and pages: every figure with its interval, 6 decimals."""
    rows = [{"scope": scope, **_row(figures)} for scope, sliced in scopes.items() for figures in sliced.slices]
    return Table(COLUMNS, rows)


def _served(batches: BatchFolder, scored: Scored, thresholds: Mapping[str, float]) -> Served:
    rows = batches.rows(scored.batch) if scored.batch in batches.names else None
    if rows is None or not np.array_equal(rows.labels, scored.labels, equal_nan=True):
        raise PipelineError(f"{scored.batch}: its scores are not of the rows in data/batches; `dvc repro` makes both")
    labels, probabilities = scored.labelled()
    return Served(
        batch=scored.batch,
        version=scored.version,
        threshold=thresholds[scored.version],
        labels=labels,
        probabilities=probabilities,
        columns=rows.labelled().columns,
    )


def _figures(
    parts: Sequence[Served], insides: Sequence[Mask], dimension: str, name: str, *, confidence: float
) -> SliceFigures:
    strata = _strata(parts, insides)
    labels = _joined([stratum.group()[0] for stratum in strata])
    probabilities = _joined([stratum.group()[1] for stratum in strata])
    flagged = _joined([part.flagged[inside] for part, inside in zip(parts, insides, strict=True)]).astype(bool)
    rows, churned = len(labels), int(labels.sum())
    batches = sum(bool(inside.any()) for inside in insides)
    figures = SliceFigures(dimension=dimension, name=name, batches=batches, rows=rows, churned=churned)
    if rows < LEAST:
        return figures
    caught = int(labels[flagged].sum())
    figures = replace(
        figures,
        churn_rate=_share(churned, rows, confidence=confidence),
        calibration=calibration(labels, probabilities, confidence=confidence),
        flagged=_share(int(flagged.sum()), rows, confidence=confidence),
        precision=_share(caught, int(flagged.sum()), confidence=confidence),
        recall=_share(caught, churned, confidence=confidence),
    )
    if min(churned, rows - churned) >= LEAST:
        figures = replace(figures, auc=stratified_auc(strata, confidence=confidence))
    return figures


def _strata(parts: Sequence[Served], insides: Sequence[Mask]) -> list[Stratum]:
    return [Stratum(part.labels, part.probabilities, inside) for part, inside in zip(parts, insides, strict=True)]


def _compared(
    figures: SliceFigures, parts: Sequence[Served], insides: Sequence[Mask], *, confidence: float
) -> SliceFigures:
    """The slice against all others, where both are large enough."""
    strata = _strata(parts, insides)
    others = sum(len(stratum.others()[0]) for stratum in strata)
    churned = sum(int(stratum.others()[0].sum()) for stratum in strata)
    if min(figures.churned, figures.rows - figures.churned, churned, others - churned) < LEAST_COMPARED:
        return figures
    return replace(
        figures,
        auc_rest=auc_difference(strata, confidence=confidence),
        calibration_rest=calibration_difference(strata, confidence=confidence),
    )


def _corrected(batches: tuple[str, ...], found: Sequence[SliceFigures]) -> Sliced:
    looks = [p for figures in found for p in (figures.auc_rest.p, figures.calibration_rest.p)]
    corrected = holm(looks)
    slices = [
        replace(figures, auc_p=auc_p, calibration_p=calibration_p)
        for figures, auc_p, calibration_p in zip(found, corrected[::2], corrected[1::2], strict=True)
    ]
    return Sliced(batches, tuple(slices), looks=sum(p is not None for p in looks))


def _share(part: int, whole: int, *, confidence: float) -> Estimate:
    """A share with Wilson's interval; undefined of too few."""
    return Estimate(part / whole, *wilson(part, whole, z=quantile(confidence))) if whole >= LEAST else Estimate()


def _joined(values: Sequence[npt.NDArray[Any]]) -> npt.NDArray[Any]:
    return np.concatenate([np.empty(0), *values])


def _row(figures: SliceFigures) -> dict[str, Any]:
    row: dict[str, Any] = {
        "dimension": figures.dimension,
        "slice": figures.name,
        "batches": figures.batches,
        "rows": figures.rows,
        "churned": figures.churned if figures.rows >= LEAST else None,
    }
    for name in MEASURED:
        found = getattr(figures, name)
        row |= {name: rounded(found.value), f"{name}_low": rounded(found.low), f"{name}_high": rounded(found.high)}
    return row | {"auc_p": rounded(figures.auc_p), "calibration_p": rounded(figures.calibration_p)}
