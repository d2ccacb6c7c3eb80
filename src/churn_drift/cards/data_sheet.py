"""The data sheet: where a run's customers come from, what a row and a batch are, what was mended, who may use it.

Sections after Gebru et al., Datasheets for Datasets, 2021. Every figure comes from the run.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from churn_drift import paths, schema
from churn_drift.cards.markdown import escaped, flowed, history, interval, table
from churn_drift.cards.subject import batches as named
from churn_drift.cards.subject import short_name
from churn_drift.config import Scenario, SplitBatches
from churn_drift.data.batches import BatchFolder
from churn_drift.errors import PipelineError
from churn_drift.model.features import LEFT_OUT
from churn_drift.model.metrics import Estimate
from churn_drift.model.ranks import quantile, wilson
from churn_drift.schema import Column

DIGITS = 12
"""Digits of a batch's sha256 that are shown."""


@dataclass(frozen=True)
class Origin:
    """Where the history came from and what was mended in it, as the stages ingest and preprocess reported.

    seed           of the simulator; None of a file
    missing_share  column to its share of cells without a value, where there are some
    sentinels      column to its cells that said "unknown" in the file's own code
    """

    simulated: bool
    seed: int | None
    rows: int
    duplicates: int
    reordered: bool
    unlabelled: int
    missing_share: Mapping[str, float]
    sentinels: Mapping[str, int]


def origin(ingested: Mapping[str, Any], cleaned: Mapping[str, Any]) -> Origin:
    """From the reports of ingest and preprocess. Raises PipelineError where one lacks something."""
    source, clean = _Report(ingested, paths.INGEST_REPORT), _Report(cleaned, paths.PREPROCESS_REPORT)
    return Origin(
        simulated=source["simulated"],
        seed=source["seed"],
        rows=clean["rows"],
        duplicates=clean["duplicates_dropped"],
        reordered=clean["rows_reordered"],
        unlabelled=clean["unlabelled"],
        missing_share=clean["missing_share"],
        sentinels=clean["sentinels"],
    )


@dataclass(frozen=True)
class _Report:
    document: Mapping[str, Any]
    path: Path

    def __getitem__(self, key: str) -> Any:
        if key not in self.document:
            raise PipelineError(f"{self.path}: {key!r} is missing; `dvc repro` makes it anew")
        return self.document[key]


@dataclass(frozen=True)
class Arrived:
    """One batch as it arrived."""

    batch: str
    role: str
    rows: int
    labelled: int
    churn_rate: Estimate
    sha256: str


def arrivals(folder: BatchFolder, *, confidence: float) -> tuple[Arrived, ...]:
    """Every batch, oldest first."""
    return tuple(_arrived(folder, name, confidence=confidence) for name in folder.names)


def data_sheet(
    origin: Origin, arrived: Sequence[Arrived], split: SplitBatches, *, zero_is_missing: bool, confidence: float
) -> str:
    """The whole sheet as Markdown."""
    sections = [
        _title(origin),
        _short(origin, arrived, split),
        _composition(origin),
        _order(arrived, split, level=f"{100 * confidence:g} %"),
        _cleaning(origin, zero_is_missing=zero_is_missing),
        _uses(),
        _licence(origin),
        _upkeep(),
    ]
    return flowed(sections)


def _arrived(folder: BatchFolder, name: str, *, confidence: float) -> Arrived:
    labels = folder.rows(name).labels
    known = labels[~np.isnan(labels)]
    churned, rows = int(known.sum()), len(known)
    return Arrived(
        batch=name,
        role="reference" if name in folder.reference else "landed" if name in folder.landed else "history",
        rows=len(labels),
        labelled=rows,
        churn_rate=Estimate(churned / rows, *wilson(churned, rows, z=quantile(confidence))) if rows else Estimate(),
        sha256=folder.sha256(name),
    )


def _title(origin: Origin) -> str:
    what = "simulated customers" if origin.simulated else "the customers of a file"
    return f"""\
# Data sheet: {what}

Written by the stage `evaluate` from one run of the pipeline; every figure is that run's. What is made of these
customers is in the [model card](model_card.md)."""


def _short(origin: Origin, arrived: Sequence[Arrived], split: SplitBatches) -> str:
    labelled = sum(batch.labelled for batch in arrived)
    churned = sum(round((batch.churn_rate.value or 0) * batch.labelled) for batch in arrived)
    source = (
        f"simulated from the statistics that `ingest.source` names, seed {origin.seed}; no row is a real customer"
        if origin.simulated
        else "a CSV with the columns of Cell2Cell, given as `ingest.source` or by `churn-drift run --data`"
    )
    landed = [batch for batch in arrived if batch.role == "landed"]
    rows = [
        ("customers", _counted(arrived)),
        ("a row is", "one customer of a mobile operator at one moment"),
        ("source", source),
        ("of these landed later", _counted(landed) if landed else "none"),
        ("columns", f"{len(schema.COLUMNS)}, of which a model may see {len(schema.RECORD)}"),
        ("label", f"`{schema.LABEL}`: {schema.BY_NAME[schema.LABEL].description}"),
        ("churn rate", f"{churned / labelled:.4f} of {labelled:,} labelled customers"),
        ("injected drift", _scenario(split.scenario)),
        ("licence", "see [Licence](#licence)"),
    ]
    return f"## In short\n\n{table(rows[0], rows[1:])}"


def _counted(arrived: Sequence[Arrived]) -> str:
    return f"{sum(batch.rows for batch in arrived):,} in {len(arrived)} batch{'es' * (len(arrived) > 1)}"


def _scenario(scenario: Scenario) -> str:
    if scenario.kind == "none":
        return "none"
    return (
        f"{scenario.kind}, {scenario.shape}, of size {scenario.size:g} from batch {scenario.onset:02d} on "
        "(`split_batches.scenario` in params.yaml): these batches are not as they came"
    )


def _composition(origin: Origin) -> str:
    rows = [_column_row(column, origin) for column in schema.COLUMNS]
    return f"""\
## What is in it

Use, bill, handset and account of each customer as monthly means before a snapshot, what a marketing file says of the
household, and whether the customer left in the two months after. There are no names, addresses or telephone numbers.
But in a file of real customers age, income band, credit class and area together may be enough to recognise one: treat
it as personal data.

Missing: share of the history's cells without a value. Role: what the pipeline does with the column; *too late* is known
only once a customer has shown the risk, so no model may see it.

{table(("column", "type", "meaning", "missing", "role"), rows)}"""


def _column_row(column: Column, origin: Origin) -> tuple[str, ...]:
    share = origin.missing_share.get(column.name, 0.0)
    return (
        column.name,
        _type(column),
        _meaning(column),
        f"{share:.1%}" if share >= 0.0005 else "< 0.1%" if share else "0",
        _role(column),
    )


def _type(column: Column) -> str:
    kind = {"id": "whole number", "label": "yes or no"}.get(column.kind, column.kind)
    if column.levels == ("No", "Yes"):
        return "yes or no"
    return f"{kind}, {column.unit}" if column.unit else kind


def _meaning(column: Column) -> str:
    told = column.kind == "category" and column.levels and column.levels != ("No", "Yes")
    return f"{column.description}: {', '.join(column.levels)}" if told else column.description


def _role(column: Column) -> str:
    if column.kind in ("id", "label"):
        return {"id": "order of arrival", "label": "label"}[column.kind]
    if column.after_risk:
        return "too late"
    return "drift only" if column.name in LEFT_OUT else "feature"


def _order(arrived: Sequence[Arrived], split: SplitBatches, *, level: str) -> str:
    reference = [batch.batch for batch in arrived if batch.role == "reference"]
    order = (
        f"There is no time column. {schema.ID} was given in the order in which customers were acquired, and that order "
        "stands for time: a batch is the next group of customers in it, not a month. So tenure, handset age and credit "
        "class move from batch to batch, and the early batches do not hold what the late ones are made of."
        if split.order == "acquisition"
        else f"The order of acquisition was given up: the customers were shuffled (seed {split.seed}), so that batches "
        "differ by chance alone."
    )
    rows = history(
        ("batch", "came as", "sha256", "customers", "labelled", f"churn rate [{level}]"),
        arrived,
        lambda batch: (
            short_name(batch.batch),
            batch.role,
            f"`{batch.sha256[:DIGITS]}`",
            f"{batch.rows:,}",
            f"{batch.labelled:,}",
            interval(batch.churn_rate),
        ),
        numbers=3,
        rest="`data/batches/index.json`, their churn rates in [timeline.csv](evaluate/timeline.csv)",
    )
    return f"""\
## Order and batches

{order} The history is cut into {split.batches} batches of equal size. The reference is {named(reference)}: on it the
first model is fitted, and all is settled that must not look ahead. Batches that land later continue the row.

{rows}"""


def _cleaning(origin: Origin, *, zero_is_missing: bool) -> str:
    coded = ", ".join(column.name for column in schema.COLUMNS if column.zero_is_missing)
    sentinels = table(
        ("column", "cells that said unknown", "share"),
        [(escaped(name), f"{count:,}", f"{count / origin.rows:.1%}") for name, count in origin.sentinels.items()],
        numbers=1,
    )
    zero = f"0 in {coded} means unknown and is missing" if zero_is_missing else f"0 in {coded} was left a number"
    return f"""\
## Cleaning

Cells are typed by `src/churn_drift/schema.py`; a value outside its column's range is refused, not mended. Nothing is
imputed, scaled or re-weighted, no class is over-sampled here. In the history of {origin.rows:,} customers:

- identical rows dropped: {origin.duplicates:,}; two different rows of one customer are refused;
- rows put into the order of {schema.ID}: {"yes" if origin.reordered else "not needed"};
- customers without a label: {origin.unlabelled:,};
- {zero}.

{sentinels if origin.sentinels else "No cell says unknown in the file's own code."}"""


def _uses() -> str:
    return """\
## Uses

Made for studying how a churn model ages and when to retrain it. Not for money as it is: 28.8 % of Cell2Cell's customers
churn because leavers were over-sampled, the monthly rate behind it is about 2 % (the model card says how to correct for
that). Not for statements about a market today, about persons, or about what makes people leave: who was offered what is
known only in part."""


def _licence(origin: Origin) -> str:
    own = (
        "These customers were simulated by this repository and are, like it, under the MIT licence (LICENSE). The "
        "simulator knows statistics of an 80 % sample of Cell2Cell and no more; every number in them describes ten "
        "customers or more. A simulated row can resemble a real one by chance only."
        if origin.simulated
        else "The file was given by whoever ran the pipeline. The terms under which they got it hold for what is made "
        "of its rows, models included; they are not known here. What follows applies where the file is Cell2Cell."
    )
    return f"""\
## Licence

{own}

Cell2Cell is a made-up name. The data is of an anonymous US wireless operator of the early 2000s and was handed out by
the Teradata Center for Customer Relationship Management at Duke University for teaching and research, among others
with the case *Cell2Cell: The Churn Game* (Neslin 2002): 71,047 customers in a calibration and a validation part. The
file of 51,047 labelled customers and 58 columns that circulates today, on Kaggle for one
(jpacse/datasets-for-churn-telecom), is a later arrangement of them. No licence text was found for either, and no page
of the center that still offers the data: take it as *not* openly licensed, and ask whoever gave you the file before you
pass it on. This repository holds no row of it."""


def _upkeep() -> str:
    return """\
## Upkeep

`dvc repro` writes this sheet anew whenever the data changes; git holds its history, DVC the data itself. New customers
and labels come by `churn-drift land`. A customer who is to be forgotten must be taken out of the source, of
`data/landed`, of the inference log, and of DVC's cache and remote; then every model that was fitted on the row must be
made anew. Nothing here does that by itself.

## References

- T. Gebru et al., Datasheets for Datasets, Communications of the ACM 64 (12), 2021: the sections of this sheet.
- S. Neslin, Cell2Cell: The Churn Game, Tuck School of Business, Dartmouth College, 2002.
- S. Neslin et al., Defection Detection, Journal of Marketing Research 43, 2006: the center's tournament, on data of the
  same kind."""
