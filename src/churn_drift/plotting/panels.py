"""Many small pictures of one kind in one figure."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

from churn_drift.plotting.house import INK, new_figure, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_T = TypeVar("_T")


def panels(
    items: Sequence[_T], draw: "Callable[[Axes, _T], None]", *, wide: int, height: float, y_label: str
) -> "Figure":
    """One panel an item, row by row, under one legend, which is the first panel's; places left over stay empty.

    wide    panels a row; height: of a row, in inches
    y_label of all panels
    """
    rows = max(1, -(-len(items) // wide))
    with style():
        figure = new_figure(height=0.5 + height * rows)
        grid = figure.subplots(rows, wide, squeeze=False)
        for axes, item in zip(grid.flat, items, strict=False):
            draw(axes, item)
        for axes in grid.flat[len(items) :]:
            axes.set_axis_off()
        handles, labels = grid.flat[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper right", ncols=max(1, len(labels)))
        figure.supylabel(y_label, color=INK, fontsize=10.5)
    return figure
