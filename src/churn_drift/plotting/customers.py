"""Who the customers are: what is missing, how a column is spread, who arrives when."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from churn_drift.columns import Numbers
from churn_drift.plotting.house import BLUE, FAINT, INK, MANY, SKY, VERMILLION, batch_ticks, new_figure, style
from churn_drift.plotting.panels import panels

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CELLS = 24


@dataclass(frozen=True)
class Column:
    """A numeric column of two groups of customers, or of several batches. `unit` may be empty; NaN is missing."""

    name: str
    unit: str
    groups: Sequence[Numbers]

    @property
    def axis(self) -> str:
        """Its name and unit, for an axis."""
        return f"{self.name} ({self.unit})" if self.unit else self.name


def missing(*, columns: Sequence[str], first: Sequence[float], newest: Sequence[float], newest_name: str) -> "Figure":
    """Share of missing cells a column, in the reference and in the newest batch; the most missing on top.

    Columns with nothing missing in both are left out.
    """
    some = [i for i in range(len(columns)) if first[i] or newest[i]]
    order = sorted(some, key=lambda i: (max(first[i], newest[i]), i))
    with style():
        figure = new_figure(height=1.3 + 0.27 * max(3, len(order)))
        axes = figure.subplots()
        places = range(len(order))
        before, now = ([100 * values[i] for i in order] for values in (first, newest))
        axes.hlines(places, before, now, color=FAINT, linewidth=1.4)
        axes.plot(before, places, color=FAINT, marker="s", linestyle="", label="reference")
        axes.plot(now, places, color=BLUE, marker="o", linestyle="", label=f"newest batch ({newest_name})")
        axes.set_yticks(list(places), [columns[i] for i in order])
        axes.set_xlim(-1, 101)
        axes.set_ylim(-0.6, max(3, len(order)) - 0.4)
        axes.set_title("Missing cells by column")
        axes.set_xlabel("customers without a value (%)")
        if order:
            axes.legend(loc="lower right")
        else:
            axes.set_yticks([])
            axes.text(50, 1, "no cell is missing", ha="center", color=INK)
    return figure


def histograms(columns: Sequence[Column]) -> "Figure":
    """Customers who stayed (filled) and who churned (outline), each as shares of their group, by column.

    Equal cells between the 1st and 95th percentile of both together, of a few whole numbers one each; the outer cells
    hold what lies beyond.
    """
    return panels(columns, _histogram, wide=3, height=2.05, y_label="customers of each group (%)")


def arrival(*, batches: Sequence[str], columns: Sequence[Column]) -> "Figure":
    """How columns change from batch to batch: the median, the middle half and the middle four fifths of customers.

    Each column has one group a batch. A batch without values leaves a gap.
    """
    with style():
        figure = new_figure(height=0.6 + 2.2 * max(1, len(columns)))
        x = list(range(len(batches)))
        for axes, column in zip(
            figure.subplots(len(columns), 1, sharex=True, squeeze=False).flat, columns, strict=True
        ):
            q10, q25, q50, q75, q90 = np.array([_quantiles(values) for values in column.groups]).T
            axes.fill_between(x, q10, q90, color=SKY, alpha=0.25, linewidth=0, label="middle 80 %")
            axes.fill_between(x, q25, q75, color=SKY, alpha=0.55, linewidth=0, label="middle 50 %")
            axes.plot(x, q50, color=BLUE, marker="o" if len(x) <= MANY else "", label="median")
            axes.set_title(f"{column.name} by batch")
            axes.set_ylabel(column.unit or column.name)
        axes.set_xlabel("batch, in order of arrival")
        batch_ticks(axes, batches)
        axes.set_xlim(-0.4, len(batches) - 0.6)
        handles, labels = figure.axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper right", ncols=3)
    return figure


def _histogram(axes: "Axes", column: Column) -> None:
    stayed, churned = (values[~np.isnan(values)] for values in column.groups)
    both = np.concatenate([stayed, churned])
    if len(both):
        edges = _edges(both)
        for values, filled, label in ((stayed, True, "stayed"), (churned, False, "churned")):
            counts = np.histogram(np.clip(values, edges[0], edges[-1]), edges)[0]
            axes.stairs(
                100 * counts / max(1, len(values)),
                edges,
                fill=filled,
                color=SKY if filled else VERMILLION,
                alpha=0.6 if filled else None,
                linewidth=0 if filled else 1.6,
                label=label,
            )
    axes.set_title(column.name, fontsize=10, pad=4)
    axes.set_xlabel(column.unit, fontsize=9, labelpad=1)
    axes.tick_params(labelsize=8.5)


def _edges(values: Numbers) -> Numbers:
    """Of the histogram's cells; a few whole numbers get a cell each."""
    low, high = np.quantile(values, [0.01, 0.95], method="inverted_cdf")
    if high - low < CELLS and np.array_equal(values, np.round(values)):
        return np.arange(low - 0.5, high + 1)
    return np.linspace(low, high if high > low else low + 1, CELLS + 1)


def _quantiles(values: Numbers) -> Numbers:
    known = values[~np.isnan(values)]
    shares = [0.1, 0.25, 0.5, 0.75, 0.9]
    return np.quantile(known, shares, method="inverted_cdf") if len(known) else np.full(len(shares), np.nan)
