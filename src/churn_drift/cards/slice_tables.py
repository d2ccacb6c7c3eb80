"""The model card's figures by slice, and which slices stand out."""

from churn_drift.cards.by_slice import LEAST, LEAST_COMPARED, SliceFigures
from churn_drift.cards.markdown import UNDEFINED, escaped, interval, number, table
from churn_drift.cards.slices import OTHERS, UNKNOWN
from churn_drift.cards.subject import Subject, batches


def slices(s: Subject) -> str:
    """The section by slice."""
    if not s.served:
        return "## By slice\n\nNothing to tell: no batch after the reference has labels."
    everybody = s.sliced.everybody
    dimensions = list(dict.fromkeys(figures.dimension for figures in s.sliced.slices[1:]))
    tables = "\n\n".join(_dimension(s, dimension) for dimension in dimensions)
    return f"""\
## By slice

{batches(s.sliced.batches, capital=True)}: {everybody.rows:,} labelled customers as they were served, each in exactly
one slice of each table. Bands are fixed; which credit classes and markets (the first three letters of ServiceArea)
stand for themselves was settled by the reference batches alone. An AUC is computed within each batch and averaged, a
batch weighing as many customers as the slice has in it; the other columns are as above. Fewer than {LEAST} customers
behind a share, or fewer than {LEAST} churned or kept ones behind an AUC: {UNDEFINED}.

{_standing_out(s)}

{tables}

The intervals are of one look each. Ranking is harder within a narrow slice: in a band of tenure, tenure cannot help any
more. That alone is no defect of the model and no unfairness. The intervals of the shares, the difference of every
slice from the rest, and all of it for the newest batch alone: [slices.csv](evaluate/slices.csv)."""


def _standing_out(s: Subject) -> str:
    if not s.sliced.looks:
        return (
            f"No slice is compared with the rest: that takes {LEAST_COMPARED} churned and {LEAST_COMPARED} kept "
            "customers on both sides."
        )
    alpha = 1 - s.confidence
    looks = (
        f"Each slice with {LEAST_COMPARED} churned and {LEAST_COMPARED} kept customers was compared with all others of "
        f"the same batches, in AUC and in observed less predicted: {s.sliced.looks} looks. Without any difference "
        f"{alpha * s.sliced.looks:.2g} of them would come out below p {alpha:.2g} all the same. "
    )
    found = [row for figures in s.sliced.slices for row in _marks(s, figures)]
    if not found:
        return f"{looks}After Holm's correction for the number of looks none stands out."
    names = ("slice", "beside the rest", f"difference [{s.level}]", "p, corrected")
    return f"""\
{looks}After Holm's correction these remain:

{table(names, found, numbers=2)}

Where more left than predicted the probabilities are too low: fewer customers are flagged than should be, and money
computed from them comes out too little. Where fewer left it is the other way round."""


def _marks(s: Subject, figures: SliceFigures) -> list[tuple[str, ...]]:
    looks = (
        (figures.calibration_rest, figures.calibration_p, "left more than predicted", "left less than predicted"),
        (figures.auc_rest, figures.auc_p, "ranked better (AUC)", "ranked worse (AUC)"),
    )
    return [
        (
            f"{figures.dimension}: {escaped(figures.name)}",
            above if (difference.value or 0) > 0 else below,
            interval(difference, "+.3f"),
            "< 0.0001" if p < 0.0001 else f"{p:.4f}",
        )
        for difference, p, above, below in looks
        if p is not None and stands_out(p, s)
    ]


def _dimension(s: Subject, dimension: str) -> str:
    names = (
        dimension,
        "customers",
        "churn",
        f"AUC [{s.level}]",
        f"observed less predicted [{s.level}]",
        "flagged",
        "precision",
        "recall",
    )
    found = [f for f in s.sliced.of(dimension) if f.rows or f.name not in (OTHERS, UNKNOWN)]
    return table(names, [_slice_row(figures) for figures in found], numbers=1)


def _slice_row(figures: SliceFigures) -> tuple[str, ...]:
    return (
        escaped(figures.name),
        f"{figures.rows:,}",
        number(figures.churn_rate.value, ".3f"),
        interval(figures.auc),
        interval(figures.calibration, "+.3f"),
        number(figures.flagged.value, ".1%"),
        number(figures.precision.value, ".3f"),
        number(figures.recall.value, ".3f"),
    )


def stands_out(p: float | None, s: Subject) -> bool:
    """Whether a comparison is sure after the correction for the number of looks."""
    return p is not None and p < 1 - s.confidence
