"""Which features drifted, and when."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from churn_drift.plotting.house import INK, MANY, VERMILLION, batch_ticks, new_figure, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def psi_heatmap(
    *,
    features: Sequence[str],
    batches: Sequence[str],
    psi: Sequence[Sequence[float | None]],
    drifted: Sequence[Sequence[bool]],
    top: int = 15,
) -> "Figure":
    """PSI of the features that drift most, by batch; colours are logarithmic from .01 up.

    psi      by feature, then batch; None (not computed) stays grey
    drifted  of the same shape: the detector's verdict, marked by a corner

    The `top` features by their largest PSI, the largest first; ties in the order given. With more than 14
    batches the values are not written into the cells.
    """
    from matplotlib.colors import LogNorm
    from matplotlib.lines import Line2D
    from matplotlib.patches import Polygon

    largest = [max((v for v in row if v is not None), default=-1.0) for row in psi]
    chosen = sorted(range(len(features)), key=lambda i: (-largest[i], i))[:top]
    floor, ceiling = 0.01, max(1.0, *(largest[i] for i in chosen)) if chosen else 1.0
    with style():
        figure = new_figure(height=1.5 + 0.31 * max(3, len(chosen)))
        axes = figure.subplots()
        shown = [[np.nan if v is None else max(v, floor) for v in psi[i]] for i in chosen]
        values = np.ma.masked_invalid(np.array(shown, dtype=np.float64).reshape(len(chosen), len(batches)))
        axes.set_facecolor("#EFEFEF")
        norm = LogNorm(vmin=floor, vmax=ceiling)
        image = axes.pcolormesh(
            values, cmap="cividis", norm=norm, edgecolors="white" if len(batches) <= MANY else "face"
        )
        for row, i in enumerate(chosen):
            for column, value in enumerate(psi[i]):
                bright = value is not None and norm(max(value, floor)) > 0.55
                if value is not None and len(batches) <= 14:
                    axes.annotate(
                        _two_digits(value),
                        (column + 0.5, row + 0.5),
                        ha="center",
                        va="center",
                        fontsize=9,
                        color=INK if bright else "white",
                    )
                if drifted[i][column]:
                    right, up, width = column + 0.97, row + 0.04, min(0.8, 0.025 * len(batches))
                    corner = [(right, up), (right - width, up), (right, up + 0.42)]
                    axes.add_patch(Polygon(corner, facecolor=VERMILLION, edgecolor="white", linewidth=0.6))
        name_cells(axes, [features[i] for i in chosen], batches)
        axes.set_title("Population stability index (PSI)")
        bar = figure.colorbar(image, ax=axes, pad=0.015, aspect=30, extend="min")
        bar.set_label("PSI (logarithmic scale)")
        bar.ax.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
        bar.ax.minorticks_off()
        bar.outline.set_visible(False)
        corner_mark = [(5, 5), (-3, 5), (5, -5)]
        mark = Line2D([], [], color=VERMILLION, marker=corner_mark, markersize=9, linestyle="")
        axes.legend([mark], ["drifted, by the detector"], loc="lower right", bbox_to_anchor=(1.01, 0.995))
    return figure


def name_cells(axes: "Axes", features: Sequence[str], batches: Sequence[str]) -> None:
    """The axes of a heat map: a feature a row, the first on top, a batch a column."""
    axes.set_yticks([row + 0.5 for row in range(len(features))], features)
    axes.invert_yaxis()
    axes.grid(visible=False)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    batch_ticks(axes, batches, offset=0.5)
    axes.set_xlabel("batch, in order of arrival")


def _two_digits(value: float) -> str:
    """For a cell: at most two decimals, without a leading zero.

    >>> [_two_digits(v) for v in (12.3, 7.68, 0.254, 0.004)]
    ['12', '7.7', '.25', '<.01']
    """
    if value < 0.005:
        return "<.01"
    return f"{value:.0f}" if value >= 9.95 else f"{value:.1f}" if value >= 0.995 else f"{value:.2f}"[1:]
