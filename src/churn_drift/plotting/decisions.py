"""What a policy did: the evidence against its limits, who was champion when."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from churn_drift.config import Retrain
from churn_drift.model.compare import Difference
from churn_drift.plotting.house import FAINT, GREEN, INK, MANY, ORANGE, SKY, batch_ticks, new_figure, style
from churn_drift.plotting.intervals import whiskers

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CHAMPIONS = 30


@dataclass(frozen=True)
class Gate:
    """What the gate saw at a batch.

    z         of the challenger against the champion, added up since the last promotion; None without labels
    limit     that z had to exceed; None where the policy has no such limit
    gain      the challenger's AUC less the champion's on the newest labelled batch
    """

    z: float | None
    limit: float | None
    gain: Difference
    promoted: bool


def evidence(*, batches: Sequence[str], gates: Sequence[Gate], confidence: float) -> "Figure":
    """Challenger against champion: z against the limit that held at that batch, and below it the gain in AUC.

    Promoted or held is told by colour and shape. A batch without new labels has no marker.
    """
    with style():
        figure = new_figure(height=6.2)
        upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[3, 2])
        for axes in (upper, lower):
            axes.axhline(0, color=FAINT, linewidth=1.2, linestyle=":")
        limits = [(i, gate.limit) for i, gate in enumerate(gates) if gate.limit is not None]
        upper.hlines(
            [limit for _, limit in limits],
            [i - 0.4 for i, _ in limits],
            [i + 0.4 for i, _ in limits],
            color=INK,
            linewidth=2,
            label="limit" if limits else "_",
        )
        for promoted, colour, marker, label in ((True, GREEN, "^", "promoted"), (False, ORANGE, "s", "held")):
            some = [(i, g.z) for i, g in enumerate(gates) if g.z is not None and g.promoted is promoted]
            look = {"color": colour, "marker": marker, "markerfacecolor": colour if promoted else "white"}
            upper.vlines([i for i, _ in some], 0, [z for _, z in some], color=colour, linewidth=1.4)
            upper.plot(
                [i for i, _ in some],
                [z for _, z in some],
                markersize=8 if len(gates) <= MANY else 4,
                linestyle="",
                label=label if some else None,
                **look,
            )
            gained = [g.gain if g.promoted is promoted else Difference() for g in gates]
            whiskers(lower, range(len(gates)), gained, **look)
        for i, gate in enumerate(gates):
            if gate.z is None and len(gates) <= 24:
                upper.annotate("no labels", (i, 0), (0, 4), textcoords="offset points", ha="center", fontsize=9)
        upper.set_title("Evidence for the challenger since the last promotion", pad=30)
        upper.set_ylabel("z (above 0:\nchallenger better)")
        if upper.get_legend_handles_labels()[0]:
            upper.legend(loc="lower left", bbox_to_anchor=(0, 1.01), ncols=3, borderaxespad=0)
        lower.set_title(f"The challenger's AUC less the champion's on the newest labels, {confidence:.0%} intervals")
        lower.set_ylabel("gain in AUC")
        lower.set_xlabel("batch, in order of arrival")
        batch_ticks(lower, batches)
        lower.set_xlim(-0.6, len(batches) - 0.4)
        figure.align_ylabels()
    return figure


def gates(records: Sequence[Mapping[str, Any]], settings: Retrain) -> list[Gate]:
    """What the gate saw, from decision records. Only the policy `evidence` holds the summed z against a limit."""
    limits = {True: settings.z_alarmed, False: settings.z_promote}
    return [
        Gate(
            z=record["evidence"]["z"] if record["evidence"]["rows"] else None,
            limit=limits[bool(record["alarms"])] if settings.policy == "evidence" else None,
            gain=Difference(**next(reversed(record["evidence"]["auc_gain_by_batch"].values()), {})),
            promoted=bool(record["promoted"]),
        )
        for record in records
    ]


@dataclass(frozen=True)
class Reign:
    """A champion: the places of the first and the last batch it scored, and the customers it was fitted on."""

    version: str
    first: int
    last: int
    rows: int


def reigns(versions: Sequence[str], *, rows: Mapping[str, int]) -> list[Reign]:
    """Champions in order, from the version that scored each batch and the customers each version was fitted on."""
    starts = [i for i, version in enumerate(versions) if not i or version != versions[i - 1]]
    return [
        Reign(versions[first], first, after - 1, rows[versions[first]])
        for first, after in zip(starts, [*starts[1:], len(versions)], strict=False)
    ]


def champions(*, batches: Sequence[str], reigns: Sequence[Reign]) -> "Figure":
    """Which version scored which batches, the first on top; of more than 30 the newest 30."""
    shown = reigns[-CHAMPIONS:]
    with style():
        figure = new_figure(height=1.3 + 0.32 * max(2, len(shown)))
        axes = figure.subplots()
        for row, reign in enumerate(shown):
            axes.barh(row, reign.last - reign.first + 0.9, left=reign.first - 0.45, height=0.62, color=SKY, alpha=0.75)
            wide = reign.last - reign.first + 1 > len(batches) / 3
            before = not wide and reign.last + 1 > 0.75 * len(batches)
            axes.annotate(
                f"fitted on {reign.rows:,} customers",
                (reign.first - 0.45 if wide or before else reign.last + 0.45, row),
                xytext=(-5 if before else 5, 0),
                textcoords="offset points",
                ha="right" if before else "left",
                va="center",
                fontsize=9,
            )
        axes.set_yticks(range(len(shown)), [reign.version for reign in shown])
        axes.invert_yaxis()
        axes.grid(visible=False, axis="y")
        left_out = len(reigns) - len(shown)
        axes.set_title("Champions by batch" + (f", the newest {len(shown)} of {len(reigns)}" if left_out else ""))
        axes.set_xlabel("batch, in order of arrival")
        batch_ticks(axes, batches)
        axes.set_xlim(-0.6, len(batches) - 0.4)
    return figure
