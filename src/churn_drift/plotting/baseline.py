"""How good one model is: where it was fitted, on what came next, and since."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from churn_drift.columns import Numbers
from churn_drift.model import curves
from churn_drift.model.metrics import Estimate
from churn_drift.plotting.house import BLUE, FAINT, GREEN, ORANGE, VERMILLION, batch_ticks, new_figure, style
from churn_drift.plotting.intervals import whiskers

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LOOKS: tuple[Mapping[str, Any], ...] = (
    {"color": BLUE, "linestyle": "-", "marker": "o"},
    {"color": VERMILLION, "linestyle": (0, (5, 2)), "marker": "s"},
    {"color": GREEN, "linestyle": (0, (1, 1.2)), "marker": "^"},
)


@dataclass(frozen=True)
class Judged:
    """Labelled rows as a model scored them. A curve that is undefined on them is left out."""

    name: str
    labels: Numbers
    probabilities: Numbers


def quality(judged: Sequence[Judged], *, confidence: float) -> "Figure":
    """ROC, precision-recall, calibration and cumulative gain of one model on up to three groups of rows."""
    with style():
        figure = new_figure(height=8.8)
        figure.set_layout_engine("constrained", h_pad=0.12)
        (roc, precision), (calibration, gain) = figure.subplots(2, 2)
        for axes in (roc, gain):
            axes.plot([0, 100], [0, 100], color=FAINT, linewidth=1.2, linestyle=":")
        reach = max(
            [0.05, *(p[end] for j in judged for p in _calibration(j, confidence) for end in ("high", "predicted"))]
        )
        calibration.plot([0, 100 * reach], [0, 100 * reach], color=FAINT, linewidth=1.2, linestyle=":")
        for one, look in zip(judged, LOOKS, strict=False):
            line = {**look, "marker": None, "label": one.name}
            _line(roc, curves.roc(one.labels, one.probabilities), "fpr", "tpr", line)
            _line(precision, curves.precision_recall(one.labels, one.probabilities), "recall", "precision", line)
            _line(gain, curves.gain(one.labels, one.probabilities), "share", "caught", line)
            _intervals(calibration, _calibration(one, confidence), look)
            if len(one.labels):
                precision.axhline(100 * one.labels.mean(), color=look["color"], linewidth=1, linestyle=":", zorder=1)
        _name(roc, "ROC", "of those who stayed, flagged (%)", "of those who churned, flagged (%)")
        _name(
            precision,
            "Precision and recall",
            "of those who churned, flagged: recall (%)",
            "of the flagged, churned: precision (%)",
        )
        _name(
            calibration,
            f"Calibration, {confidence:.0%} intervals",
            "predicted probability (%)",
            "observed churn rate (%)",
        )
        _name(gain, "Cumulative gain", "customers targeted, highest score first (%)", "churned customers reached (%)")
        for axes in (roc, gain, precision):
            axes.set(xlim=(0, 100), ylim=(0, 100))
        calibration.set(xlim=(0, 103 * reach), ylim=(0, 103 * reach))
        handles, labels = roc.get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper right", ncols=len(LOOKS), handlelength=2.8)
    return figure


def auc_by_batch(
    *, batches: Sequence[str], auc: Sequence[Estimate], levels: Mapping[str, float | None], confidence: float
) -> "Figure":
    """One model's AUC within each batch, with intervals, beside what it reached where it was fitted.

    levels  up to two AUCs by name, drawn as lines; None is left out. An undefined AUC leaves a gap
    """
    with style():
        figure = new_figure(height=3.8)
        axes = figure.subplots()
        for (name, level), colour, dash in zip(levels.items(), (GREEN, ORANGE), ("--", "-."), strict=False):
            if level is not None:
                axes.axhline(level, color=colour, linewidth=1.8, linestyle=dash, label=f"{name}: {level:.3f}")
        whiskers(axes, range(len(batches)), auc, color=BLUE, marker="o", label="within the batch")
        axes.set_title(f"AUC of the first model, with {confidence:.0%} intervals", pad=30)
        axes.set_ylabel("AUC (.5 is chance)")
        axes.set_xlabel("batch, in order of arrival")
        batch_ticks(axes, batches)
        axes.set_xlim(-0.5, len(batches) - 0.5)
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1.01), ncols=3, borderaxespad=0)
    return figure


def _calibration(judged: Judged, confidence: float) -> curves.Points:
    return curves.calibration(judged.labels, judged.probabilities, confidence=confidence)


def _line(axes: "Axes", points: curves.Points, x: str, y: str, look: Mapping[str, Any]) -> None:
    axes.plot([100 * p[x] for p in points], [100 * p[y] for p in points], **look)


def _intervals(axes: "Axes", points: curves.Points, look: Mapping[str, Any]) -> None:
    axes.errorbar(
        [100 * p["predicted"] for p in points],
        [100 * p["observed"] for p in points],
        yerr=[[100 * (p["observed"] - p["low"]) for p in points], [100 * (p["high"] - p["observed"]) for p in points]],
        elinewidth=1.1,
        capsize=2.5,
        **look,
    )


def _name(axes: "Axes", title: str, x: str, y: str) -> None:
    axes.set_title(title)
    axes.set_xlabel(x)
    axes.set_ylabel(y)
