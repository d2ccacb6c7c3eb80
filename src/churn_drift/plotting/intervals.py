"""Values with their intervals, as markers with whiskers."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from churn_drift.model.compare import Difference
from churn_drift.model.metrics import Estimate
from churn_drift.plotting.house import MANY

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def whiskers(axes: "Axes", x: Sequence[float], values: Sequence[Estimate | Difference], **look: Any) -> None:
    """One marker a value. An undefined value is left out; a missing bound has no whisker."""
    points = [
        (place, v.value, v.value if v.low is None else v.low, v.value if v.high is None else v.high)
        for place, v in zip(x, values, strict=True)
        if v.value is not None
    ]
    many = len(x) > MANY
    axes.errorbar(
        [place for place, *_ in points],
        [value for _, value, *_ in points],
        yerr=[[value - low for _, value, low, _ in points], [high - value for _, value, _, high in points]],
        **{
            "linestyle": "",
            "elinewidth": 1.3,
            "capsize": 0 if many else 2.5,
            "markersize": 3.5 if many else 5.5,
            **look,
        },
    )
