"""Churn rates of groups of customers, with intervals, and how many customers each rests on."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from churn_drift.model.metrics import Estimate
from churn_drift.model.ranks import quantile, wilson
from churn_drift.plotting.house import BLUE, FAINT, SKY, batch_ticks, new_figure, style
from churn_drift.plotting.intervals import whiskers

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def churn_rates(
    *,
    groups: Sequence[str],
    customers: Sequence[int],
    churned: Sequence[int],
    level: float | None,
    level_name: str,
    title: str,
    x_label: str,
    confidence: float,
) -> "Figure":
    """Churn rate a group with Wilson's interval; below it the labelled customers.

    groups     in the order shown, one each in `customers` (labelled) and `churned`; one without customers is a gap
    level      a churn rate to compare with, 0 to 1, drawn as a dotted line under `level_name`
    """
    z = quantile(confidence)
    rates = [_rate(k, n, z=z) for k, n in zip(churned, customers, strict=True)]
    with style():
        figure = new_figure(height=4.4)
        upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[4, 1])
        if level is not None:
            upper.axhline(100 * level, color=FAINT, linestyle=":", linewidth=1.6, label=f"{level_name}: {level:.1%}")
        whiskers(
            upper, range(len(groups)), rates, color=BLUE, marker="o", label=f"churn rate, {confidence:.0%} interval"
        )
        upper.set_title(title)
        upper.set_ylabel("churned (%)")
        upper.legend(loc="best")
        lower.bar(range(len(groups)), customers, color=SKY, alpha=0.75, width=0.8)
        lower.set_ylabel("customers")
        lower.grid(visible=False, axis="x")
        lower.set_xlabel(x_label)
        batch_ticks(lower, groups)
        lower.set_xlim(-0.7, len(groups) - 0.3)
        figure.align_ylabels()
    return figure


def _rate(churned: int, customers: int, *, z: float) -> Estimate:
    """In percent; undefined without customers."""
    if not customers:
        return Estimate()
    low, high = wilson(churned, customers, z=z)
    return Estimate(100 * churned / customers, 100 * low, 100 * high)
