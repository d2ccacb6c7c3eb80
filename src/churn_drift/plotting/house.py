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
                "text.parse_math": False,  # a level may be called $5-$9
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


def new_figure(*, height: float) -> "Figure":
    """An empty figure as wide as all others; height in inches. Drawn on inside `style()`."""
    from matplotlib.figure import Figure

    return Figure(figsize=(WIDTH, height), layout="constrained")


def save(figure: "Figure", path: Path) -> None:
    """As PNG, without the name of the software that wrote it."""
    with style():
        figure.savefig(path, format="png", metadata={"Software": None})


MANY = 60
"""Above so many batches markers and white gaps would hide what they mark."""


def batch_ticks(axes: "Axes", batches: Sequence[str], *, offset: float = 0.0) -> None:
    """A tick a batch, or every second, third ... where names of 48 letters in all would be exceeded."""
    letters = len(batches) * max([2, *map(len, batches)])
    step = max(1, -(-letters // 48))
    at = range(0, len(batches), step)
    axes.set_xticks([i + offset for i in at], [batches[i] for i in at])
