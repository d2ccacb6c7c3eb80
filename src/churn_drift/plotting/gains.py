"""What a policy gained over never retraining."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from churn_drift.model.compare import Difference
from churn_drift.plotting.house import BLUE, FAINT, SKY, batch_ticks, new_figure, style
from churn_drift.plotting.intervals import whiskers

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def gains(*, batches: Sequence[str], gain: Sequence[Difference], mean: Difference, confidence: float) -> "Figure":
    """AUC gained over never retraining, on the same customers, by batch: filled where the interval excludes 0.

    The band is the mean's interval. An undefined gain leaves a gap.
    """
    with style():
        figure = new_figure(height=3.9)
        axes = figure.subplots()
        axes.axhline(0, color=FAINT, linewidth=1.4)
        if mean.value is not None:
            label = f"mean {mean.value:+.3f}"
            if mean.low is not None and mean.high is not None:
                axes.axhspan(mean.low, mean.high, color=SKY, alpha=0.3, linewidth=0)
                label += f" [{mean.low:+.3f}, {mean.high:+.3f}]"
            axes.axhline(mean.value, color=SKY, linewidth=1.6, linestyle="--", label=label)
        for certain in (True, False):
            some = [d if _excludes_zero(d) is certain else Difference() for d in gain]
            whiskers(
                axes,
                range(len(gain)),
                some,
                color=BLUE,
                marker="o",
                markerfacecolor=BLUE if certain else "white",
                label="interval excludes 0" if certain else "interval holds 0",
            )
        axes.set_title(f"AUC gained over never retraining, {confidence:.0%} intervals", pad=30)
        axes.set_ylabel("gain in AUC")
        axes.set_xlabel("batch, in order of arrival")
        batch_ticks(axes, batches)
        axes.set_xlim(-0.5, len(batches) - 0.5)
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1.01), ncols=3, borderaxespad=0)
    return figure


def _excludes_zero(difference: Difference) -> bool:
    return difference.low is not None and difference.high is not None and difference.low * difference.high > 0
