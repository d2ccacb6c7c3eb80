"""How a policy fares against never retraining, batch by batch."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from churn_drift.model.metrics import Estimate
from churn_drift.plotting.house import GREEN, MANY, NEVER, POLICY, SKY, batch_ticks, new_figure, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def timeline(
    *,
    batches: Sequence[str],
    never: Sequence[Estimate],
    policy: Sequence[Estimate],
    drifted: Sequence[float | None],
    promoted: Sequence[bool],
    policy_name: str,
    confidence: float,
) -> "Figure":
    """AUC within each batch, never retrained against the policy; below it the share of features that drifted.

    All sequences are as long as `batches`. A promotion decided at a batch stands right of it: the new model
    scores from the next one on. An undefined AUC leaves a gap, an undefined share a hyphen.
    """
    with style():
        figure = new_figure(height=5.2)
        upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[4, 1])
        x = list(range(len(batches)))
        _band(upper, x, never, NEVER, label="never retrained")
        _band(upper, x, policy, POLICY, label=f"policy: {policy_name}")
        places = [i + 0.5 for i, yes in enumerate(promoted) if yes]
        for place in places:
            upper.axvline(place, color=GREEN, linewidth=1.4, linestyle=(0, (1, 1.5)), zorder=1)
        if places:
            upper.plot(
                places,
                [1.0] * len(places),
                transform=upper.get_xaxis_transform(),
                color=GREEN,
                marker="v",
                markersize=9,
                linestyle="",
                clip_on=False,
                label="promotion",
            )
        upper.set_title(f"AUC within each batch, with {confidence:.0%} intervals", pad=30)
        upper.set_ylabel("AUC (.5 is chance)")
        upper.legend(loc="lower left", bbox_to_anchor=(0, 1.01), ncols=3, borderaxespad=0, handlelength=2.8)
        shares = [100 * (share or 0.0) for share in drifted]
        lower.bar(x, shares, width=0.62, color=SKY, alpha=0.75)
        for i, share in enumerate(drifted):
            text = "-" if share is None else f"{100 * share:.0f}"
            if len(batches) <= 24:
                lower.text(i, shares[i] + 5, text, ha="center", fontsize=9)
        lower.set_ylim(0, 125)
        lower.set_yticks([0, 50, 100])
        lower.set_ylabel("drifted\nfeatures (%)")
        lower.grid(visible=False, axis="x")
        lower.set_xlabel("batch, in order of arrival")
        batch_ticks(lower, batches)
        lower.set_xlim(-0.6, len(batches) - 0.3)
        figure.align_ylabels()
    return figure


def _band(axes: "Axes", x: list[int], estimates: Sequence[Estimate], look: Mapping[str, Any], *, label: str) -> None:
    nan = float("nan")
    value, low, high = (
        [nan if v is None else v for v in values]
        for values in zip(*((e.value, e.low, e.high) for e in estimates), strict=True)
    )
    axes.fill_between(x, low, high, color=look["color"], alpha=0.16, linewidth=0)
    axes.plot(x, value, label=label, **(look if len(x) <= MANY else {**look, "marker": ""}))
