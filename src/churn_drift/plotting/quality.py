"""How good two models' probabilities are on one batch."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from churn_drift.plotting.house import FAINT, NEVER, POLICY, new_figure, style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Curve = Sequence[Mapping[str, float]]


def calibration_gain(
    *,
    never_calibration: Curve,
    policy_calibration: Curve,
    never_gain: Curve,
    policy_gain: Curve,
    policy_name: str,
    confidence: float,
) -> "Figure":
    """Calibration, and the churned customers that a campaign reaches, never retrained against the policy.

    Points as `model.curves.calibration` and `gain` give them.
    """
    with style():
        figure = new_figure(height=4.4)
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
    return figure
