"""The pictures of the reports, in one house style, the same bytes for the same numbers.

Colours are those of Okabe & Ito 2008 ("Color Universal Design", recommended by Wong, Nature Methods 8, 441,
2011); the heat map uses cividis, perceptually uniform and made for colour-blind readers (Nunez, Anderton &
Renslow 2018). What colour tells, line style, marker or shape tells as well. Fonts come with matplotlib.
pyplot (half a second, global state) is never imported; matplotlib itself only when something is drawn.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from churn_drift.model.metrics import Estimate

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BLUE, VERMILLION, GREEN, SKY, ORANGE, PURPLE = PALETTE = (
    "#0072B2",
    "#D55E00",
    "#009E73",
    "#56B4E9",
    "#E69F00",
    "#CC79A7",
)
INK, FAINT, GRID = "#222222", "#9A9A9A", "#E4E4E4"

DPI = 120
WIDTH = 9.0
"""Inches: 1080 pixels, still readable when a page shows them at 900."""

NEVER: Mapping[str, Any] = {"color": VERMILLION, "linestyle": (0, (5, 2)), "marker": "s"}
POLICY: Mapping[str, Any] = {"color": BLUE, "linestyle": "-", "marker": "o"}

Curve = Sequence[Mapping[str, float]]


@contextmanager
def style() -> Iterator[None]:
    """Draw in the house style, whatever matplotlibrc and notebook say; their settings are back afterwards."""
    import matplotlib
    from cycler import cycler

    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(
            {
                "font.family": "DejaVu Sans",
                "font.size": 10.5,
                "text.color": INK,
                "axes.labelcolor": INK,
                "axes.edgecolor": FAINT,
                "axes.titlesize": 12,
                "axes.titleweight": "bold",
                "axes.titlelocation": "left",
                "axes.titlepad": 10,
                "axes.spines.top": False,
                "axes.spines.right": False,
                "axes.axisbelow": True,
                "axes.grid": True,
                "axes.prop_cycle": cycler(color=PALETTE),
                "grid.color": GRID,
                "grid.linewidth": 0.8,
                "xtick.color": FAINT,
                "ytick.color": FAINT,
                "xtick.labelcolor": INK,
                "ytick.labelcolor": INK,
                "lines.linewidth": 2.0,
                "lines.markersize": 5.5,
                "legend.frameon": False,
                "figure.dpi": DPI,
                "savefig.dpi": DPI,
            }
        )
        yield


def timeline(
    path: Path,
    *,
    batches: Sequence[str],
    never: Sequence[Estimate],
    policy: Sequence[Estimate],
    drifted: Sequence[float | None],
    promoted: Sequence[bool],
    policy_name: str,
    confidence: float,
) -> None:
    """AUC within each batch, never retrained against the policy; below it the share of features that drifted.

    All sequences are as long as `batches`. A promotion decided at a batch stands right of it: the new model
    scores from the next one on. An undefined AUC leaves a gap, an undefined share a hyphen.
    """
    with style():
        figure = _figure(height=5.2)
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
        _batch_ticks(lower, batches)
        lower.set_xlim(-0.6, len(batches) - 0.3)
        figure.align_ylabels()
        _save(figure, path)


def psi_heatmap(
    path: Path,
    *,
    features: Sequence[str],
    batches: Sequence[str],
    psi: Sequence[Sequence[float | None]],
    drifted: Sequence[Sequence[bool]],
    top: int = 15,
) -> None:
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
        figure = _figure(height=1.5 + 0.31 * max(3, len(chosen)))
        axes = figure.subplots()
        shown = [[np.nan if v is None else max(v, floor) for v in psi[i]] for i in chosen]
        values = np.ma.masked_invalid(np.array(shown, dtype=np.float64).reshape(len(chosen), len(batches)))
        axes.set_facecolor("#EFEFEF")
        norm = LogNorm(vmin=floor, vmax=ceiling)
        image = axes.pcolormesh(values, cmap="cividis", norm=norm, edgecolors="white")
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
                    right, up, width = column + 0.97, row + 0.04, min(0.8, 0.02 * max(10, len(batches)))
                    corner = [(right, up), (right - width, up), (right, up + 0.42)]
                    axes.add_patch(Polygon(corner, facecolor=VERMILLION, edgecolor="white", linewidth=0.6))
        axes.set_yticks([row + 0.5 for row in range(len(chosen))], [features[i] for i in chosen])
        axes.invert_yaxis()
        axes.grid(visible=False)
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
        _batch_ticks(axes, batches, offset=0.5)
        axes.set_xlabel("batch, in order of arrival")
        axes.set_title("Population stability index (PSI)")
        bar = figure.colorbar(image, ax=axes, pad=0.015, aspect=30, extend="min")
        bar.set_label("PSI (logarithmic scale)")
        bar.ax.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
        bar.ax.minorticks_off()
        bar.outline.set_visible(False)
        corner_mark = [(5, 5), (-3, 5), (5, -5)]
        mark = Line2D([], [], color=VERMILLION, marker=corner_mark, markersize=9, linestyle="")
        axes.legend([mark], ["drifted, by the detector"], loc="lower right", bbox_to_anchor=(1.01, 0.995))
        _save(figure, path)


def calibration_gain(
    path: Path,
    *,
    never_calibration: Curve,
    policy_calibration: Curve,
    never_gain: Curve,
    policy_gain: Curve,
    policy_name: str,
    confidence: float,
) -> None:
    """Calibration, and the churned customers that a campaign reaches, never retrained against the policy.

    Points as `model.curves.calibration` and `gain` give them.
    """
    with style():
        figure = _figure(height=4.4)
        left, right = figure.subplots(1, 2)
        curves = [
            (never_calibration, never_gain, NEVER, "never retrained"),
            (policy_calibration, policy_gain, POLICY, f"policy: {policy_name}"),
        ]
        reach = max([0.05, *(p[name] for c, *_ in curves for p in c for name in ("high", "predicted"))])
        reach = min(1.0, 1.04 * reach)
        left.plot([0, reach], [0, reach], color=FAINT, linewidth=1.2, linestyle=":")
        right.plot([0, 100], [0, 100], color=FAINT, linewidth=1.2, linestyle=":")
        for calibration, gain, look, label in curves:
            left.errorbar(
                [p["predicted"] for p in calibration],
                [p["observed"] for p in calibration],
                yerr=[
                    [p["observed"] - p["low"] for p in calibration],
                    [p["high"] - p["observed"] for p in calibration],
                ],
                elinewidth=1.1,
                capsize=2.5,
                label=label,
                **look,
            )
            right.plot(
                [0.0, *(100 * p["share"] for p in gain)],
                [0.0, *(100 * p["caught"] for p in gain)],
                label=label,
                **{**look, "marker": None},
            )
        left.set(xlim=(0, reach), ylim=(0, reach))
        left.set_aspect("equal")
        left.set_title(f"Calibration, {confidence:.0%} intervals")
        left.set_xlabel("mean predicted probability")
        left.set_ylabel("observed churn rate")
        right.set(xlim=(0, 100), ylim=(0, 100))
        right.set_aspect("equal")
        right.set_title("Cumulative gain")
        right.set_xlabel("customers targeted, highest score first (%)")
        right.set_ylabel("churned customers reached (%)")
        right.legend(loc="lower right")
        _save(figure, path)


def _figure(*, height: float) -> "Figure":
    from matplotlib.figure import Figure

    return Figure(figsize=(WIDTH, height), layout="constrained")


def _save(figure: "Figure", path: Path) -> None:
    figure.savefig(path, format="png", metadata={"Software": None}, pil_kwargs={"optimize": True})


def _band(axes: "Axes", x: list[int], estimates: Sequence[Estimate], look: Mapping[str, Any], *, label: str) -> None:
    nan = float("nan")
    value, low, high = (
        [nan if v is None else v for v in values]
        for values in zip(*((e.value, e.low, e.high) for e in estimates), strict=True)
    )
    axes.fill_between(x, low, high, color=look["color"], alpha=0.16, linewidth=0)
    axes.plot(x, value, label=label, **look)


def _batch_ticks(axes: "Axes", batches: Sequence[str], *, offset: float = 0.0) -> None:
    step = -(-len(batches) // 24)
    at = range(0, len(batches), step)
    axes.set_xticks([i + offset for i in at], [batches[i] for i in at])


def _two_digits(value: float) -> str:
    """For a cell: at most two decimals, without a leading zero.

    >>> [_two_digits(v) for v in (12.3, 7.68, 0.254, 0.004)]
    ['12', '7.7', '.25', '<.01']
    """
    if value < 0.005:
        return "<.01"
    return f"{value:.0f}" if value >= 9.95 else f"{value:.1f}" if value >= 0.995 else f"{value:.2f}"[1:]
