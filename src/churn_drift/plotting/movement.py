"""How features moved: a second heat map, the reference against batches, and what it did to the model."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from churn_drift.drift.distributions import SCORE
from churn_drift.model.metrics import Estimate
from churn_drift.plotting.heatmap import name_cells
from churn_drift.plotting.house import BLUE, FAINT, INK, MANY, VERMILLION, new_figure, style
from churn_drift.plotting.intervals import whiskers
from churn_drift.plotting.panels import panels
from churn_drift.schema import BY_NAME

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LOOKS: tuple[Mapping[str, Any], ...] = (
    {"color": VERMILLION, "marker": "s", "markerfacecolor": "white", "markeredgewidth": 1.6},
    {"color": BLUE, "marker": "o"},
)


def ks_heatmap(
    *, features: Sequence[str], batches: Sequence[str], ks: Sequence[Sequence[float | None]], top: int = 15
) -> "Figure":
    """Kolmogorov-Smirnov distances of the numeric features that moved most, by batch: 0 the same, 1 apart.

    ks  by feature, then batch; None stays grey. A feature that has none at all (a category) is left out. With more
        than 14 batches the values are not written into the cells.
    """
    largest = [max((v for v in row if v is not None), default=-1.0) for row in ks]
    chosen = sorted((i for i in range(len(features)) if largest[i] >= 0), key=lambda i: (-largest[i], i))[:top]
    with style():
        figure = new_figure(height=1.5 + 0.31 * max(3, len(chosen)))
        axes = figure.subplots()
        cells = [[np.nan if v is None else v for v in ks[i]] for i in chosen]
        values = np.ma.masked_invalid(np.array(cells, dtype=np.float64).reshape(len(chosen), len(batches)))
        axes.set_facecolor("#EFEFEF")
        edges = "white" if len(batches) <= MANY else "face"
        image = axes.pcolormesh(values, cmap="cividis", vmin=0, vmax=1, edgecolors=edges)
        if len(batches) <= 14:
            for (row, column), value in np.ndenumerate(values.filled(np.nan)):
                if not np.isnan(value):
                    shown = f"{value:.2f}".removeprefix("0")
                    colour = INK if value > 0.55 else "white"
                    axes.text(column + 0.5, row + 0.5, shown, ha="center", va="center", fontsize=9, color=colour)
        name_cells(axes, [features[i] for i in chosen], batches)
        axes.set_title("Kolmogorov-Smirnov distance (KS)")
        bar = figure.colorbar(image, ax=axes, pad=0.015, aspect=30)
        bar.set_label("KS (0 the same, 1 apart)")
        bar.outline.set_visible(False)
    return figure


@dataclass(frozen=True)
class Moved:
    """One feature's cells: shares of the reference's rows and of each batch's, 0 to 1, in the order shown."""

    name: str
    unit: str
    cells: Sequence[str]
    reference: Sequence[float]
    batches: Mapping[str, Sequence[float]]


def moved(table: Sequence[Mapping[str, str]], *, features: Sequence[str], batches: Mapping[str, str]) -> list[Moved]:
    """Features of reports/drift_check/distributions.csv; `batches` maps a batch's name there to the name shown.

    A feature that the table does not have is left out; a share that is not defined is NaN.
    """
    rows = {name: [row for row in table if row["feature"] == name] for name in features}
    return [
        Moved(
            name=name,
            unit="predicted probability" if name == SCORE else BY_NAME[name].unit if name in BY_NAME else "",
            cells=[row["cell"] for row in cells],
            reference=[_share(row["reference"]) for row in cells],
            batches={shown: [_share(row[batch]) for row in cells] for batch, shown in batches.items()},
        )
        for name, cells in rows.items()
        if cells
    ]


def overlays(features: Sequence[Moved]) -> "Figure":
    """The reference as bars, up to two batches as markers on them: one panel a feature."""
    return panels(features, _overlay, wide=2, height=3.0, y_label="customers (%)")


def drift_against_loss(
    *, batches: Sequence[str], drifted: Sequence[float | None], change: Sequence[Estimate], confidence: float
) -> "Figure":
    """Whether more drift goes with a worse model: one point a batch.

    drifted  share of drifted features, 0 to 1
    change   AUC within the batch less AUC where the model was fitted, with its interval

    A batch where either is undefined is left out. With more than 24 batches the points carry no name.
    """
    with style():
        figure = new_figure(height=4.4)
        axes = figure.subplots()
        axes.axhline(0, color=FAINT, linewidth=1.2, linestyle=":")
        points = [
            (name, 100 * share, moved)
            for name, share, moved in zip(batches, drifted, change, strict=True)
            if share is not None
        ]
        whiskers(axes, [x for _, x, _ in points], [moved for *_, moved in points], color=BLUE, marker="o")
        if not points:
            axes.text(50, 0, "no batch has both", ha="center", va="bottom")
        if len(batches) <= 24:
            _annotate(axes, [(name, x, moved.value) for name, x, moved in points if moved.value is not None])
        axes.set_xlim(-3, 103)
        axes.set_title(f"Drift and the first model's AUC, a point a batch, {confidence:.0%} intervals")
        axes.set_xlabel("features that drifted from the reference (%)")
        axes.set_ylabel("change of AUC since the reference")
    return figure


def _annotate(axes: "Axes", points: Sequence[tuple[str, float, float]]) -> None:
    """Names right of their points, left of one that would lie on another's name."""
    low, high = axes.get_ylim()
    named: list[tuple[float, float]] = []
    for name, x, y in points:
        crowded = any(abs(x - other) < 4 and abs(y - at) < 0.06 * (high - low) for other, at in named)
        named.append((x, y))
        axes.annotate(
            name,
            (x, y),
            xytext=(-6 if crowded else 6, 5),
            ha="right" if crowded else "left",
            textcoords="offset points",
            fontsize=9.5,
        )


def _overlay(axes: "Axes", feature: Moved) -> None:
    x = np.arange(len(feature.cells))
    axes.bar(x, [100 * share for share in feature.reference], color=FAINT, alpha=0.5, width=0.86, label="reference")
    for place, (name, shares) in enumerate(feature.batches.items()):
        look = LOOKS[place % len(LOOKS)]
        axes.plot(x, [100 * share for share in shares], linestyle="", markersize=6, label=f"batch {name}", **look)
    axes.set_title(f"{feature.name} ({feature.unit})" if feature.unit else feature.name, fontsize=10.5, pad=4)
    axes.set_xticks(x, [_short(cell) for cell in feature.cells], rotation=35, ha="right", rotation_mode="anchor")
    axes.tick_params(axis="x", labelsize=9, length=2)
    axes.grid(visible=False, axis="x")
    axes.set_ylim(bottom=0)


def _share(cell: str) -> float:
    return float("nan") if cell == "NA" else float(cell)


def _short(cell: str) -> str:
    """A cell's name, cut where it would crowd out the picture."""
    return cell if len(cell) <= 18 else f"{cell[:17]}…"
