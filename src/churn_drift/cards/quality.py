"""How well the model ranks and how far its probabilities and its threshold can be trusted, batch by batch."""

from churn_drift.cards.by_slice import Served
from churn_drift.cards.markdown import history, interval, number, table
from churn_drift.cards.subject import Subject, same_model, short_name
from churn_drift.model.curves import calibration as calibration_curve
from churn_drift.model.metrics import Estimate, calibration, calibration_slope, top_lift
from churn_drift.policy.comparison import BatchComparison


def ranking(s: Subject) -> str:
    """The section of AUCs."""
    rows = history(
        (
            *("batch", "scored by", "customers", "churn"),
            *(f"AUC [{s.level}]", f"gain over never [{s.level}]", f"lift [{s.level}]"),
        ),
        s.comparison.batches,
        lambda batch: _ranking_row(batch, s),
        numbers=2,
        rest="[timeline.csv](evaluate/timeline.csv)",
    )
    return f"""\
## How well it ranks

Test, then train: each batch is scored by the champion as it stood before the batch came, so on customers whom it was
not fitted on. Labels arrive {_delay(s.label_delay)}; only then may a successor learn from them. Rows that different
models scored are never ranked together: an AUC is of one batch and one model, then batches are averaged. Its interval
is DeLong's; the gain over never retraining is paired, on the same customers.
Lift: the churn rate of the tenth that scores highest, over that of all.

{rows}

Pictures, once `dvc pull` or `dvc repro` has brought them: [AUC by batch](figures/timeline.png),
[PSI by feature and batch](figures/drift.png), [calibration and gain](figures/models.png)."""


def _ranking_row(b: BatchComparison, s: Subject) -> tuple[str, ...]:
    part = next((part for part in s.served if part.batch == b.batch), None)
    lift = top_lift(part.labels, part.probabilities, confidence=s.confidence) if part else Estimate()
    labelled = "" if b.labelled == b.rows else f" ({b.labelled:,} labelled)"
    return (
        short_name(b.batch),
        f"`{b.version[:7]}`",
        f"{b.rows:,}{labelled}",
        number(b.churn_rate, ".3f"),
        interval(b.policy),
        "same model" if same_model(b.difference) else interval(b.difference, "+.3f"),
        interval(lift, ".2f"),
    )


def probabilities(s: Subject) -> str:
    """The section of calibration and threshold."""
    title = "## Probabilities and threshold"
    if not s.served:
        return f"{title}\n\nNothing to compare with: no batch after the reference has labels."
    rows = history(
        (
            "batch",
            f"observed less predicted [{s.level}]",
            f"slope [{s.level}]",
            "threshold",
            "flagged",
            "precision",
            "recall",
        ),
        s.served,
        lambda part: _probabilities_row(part, s.confidence),
        numbers=1,
        rest="not shown",
    )
    newest = s.served[-1]
    curve = calibration_curve(newest.labels, newest.probabilities, confidence=s.confidence)
    bins = table(
        ("predicted", f"observed [{s.level}]", "customers"),
        [
            (f"{p['predicted']:.3f}", f"{p['observed']:.3f} [{p['low']:.3f}, {p['high']:.3f}]", f"{p['rows']:,.0f}")
            for p in curve
        ],
        numbers=0,
    )
    return f"""\
{title}

Observed less predicted churn rate: above 0, too little was predicted. The slope is of a logistic regression of the
label on the log odds: 1 is right, below 1 the probabilities are too extreme. A model knows the churn rate of older
batches, so where the rate moves the first column does, too. Flagged: the share of customers at or above the threshold;
precision: how many of them left; recall: how many of the leavers they are.

{rows}

The newest labelled batch, {newest.batch}, in tenths of its customers by predicted probability:

{bins}"""


def _probabilities_row(part: Served, confidence: float) -> tuple[str, ...]:
    labels, probabilities = part.labels, part.probabilities
    flagged, churned = int(part.flagged.sum()), int(labels.sum())
    caught = int(labels[part.flagged].sum())
    return (
        short_name(part.batch),
        interval(calibration(labels, probabilities, confidence=confidence), "+.3f"),
        interval(calibration_slope(labels, probabilities, confidence=confidence), ".2f"),
        f"{part.threshold:.3f}",
        f"{flagged / len(labels):.1%}",
        number(caught / flagged if flagged else None, ".3f"),
        number(caught / churned if churned else None, ".3f"),
    )


def _delay(label_delay: int) -> str:
    if label_delay == 0:
        return "just after it is scored"
    return f"{label_delay} {'batch' if label_delay == 1 else 'batches'} later"
