"""Promote or hold, with the reason: one function a policy, values against limits.

Sources of the limits: z 2.33 and 1.645 are the one-sided 1 % and 5 % points of the normal law. z 1 under a drift
alarm and the price of .02 were measured on the real order and on a stationary stream (DESIGN, 2); `make studies`
measures them again.
"""

from collections.abc import Callable
from dataclasses import dataclass

from churn_drift.config import Retrain
from churn_drift.policy.evidence import Evidence


@dataclass(frozen=True)
class Decision:
    """Whether the challenger becomes champion, and why; the reason quotes value and limit.

    labels_needed  how many more labels would settle a hold at the effect seen so far; None where they would not
    """

    promote: bool
    reason: str
    labels_needed: int | None = None


@dataclass(frozen=True)
class Situation:
    """What a policy may look at.

    evidence  the cross-fitted challenger against the champion since the last promotion
    alarmed   the batch at hand has drifted from the champion's reference
    fresh     labelled rows have arrived that the champion was not fitted on
    steps     batches since the last promotion
    """

    evidence: Evidence
    alarmed: bool
    fresh: bool
    steps: int


def decide(settings: Retrain, situation: Situation) -> Decision:
    """The configured policy's decision. Nothing new to learn from is always a hold."""
    if settings.policy == "never":
        return Decision(False, "policy never retrains")
    if not situation.fresh:
        return Decision(False, "no labels since the champion was fitted")
    return _POLICIES[settings.policy](settings, situation)


def _always(settings: Retrain, situation: Situation) -> Decision:
    return Decision(True, "policy always promotes when labels arrive")


def _periodic(settings: Retrain, situation: Situation) -> Decision:
    due = situation.steps >= settings.period
    return Decision(due, f"{situation.steps} of {settings.period} batches since the last promotion")


def _triggered(settings: Retrain, situation: Situation) -> Decision:
    if not situation.alarmed:
        return Decision(False, "no drift alarm")
    newest = situation.evidence.newest
    limit = settings.z_triggered
    if newest.z > limit:
        return Decision(True, f"drift alarm and z {_beside(limit, newest.z)} > {limit:g} on the newest labels")
    return _hold(newest, limit, "drift alarm, but z {z} <= {limit:g} on the newest labels")


def _evidence(settings: Retrain, situation: Situation) -> Decision:
    limit = settings.z_alarmed if situation.alarmed else settings.z_promote
    under = "under a drift alarm" if situation.alarmed else "without an alarm"
    z = situation.evidence.z
    if z > limit:
        return Decision(True, f"z {_beside(limit, z)} > {limit:g} {under}")
    return _hold(situation.evidence, limit, "z {z} <= {limit:g} " + under)


def _price(settings: Retrain, situation: Situation) -> Decision:
    gain = situation.evidence.auc_gain
    said = _beside(settings.price, gain, decimals=4)
    if gain > settings.price:
        return Decision(True, f"AUC gain {said} > price {settings.price:g}")
    return Decision(False, f"AUC gain {said} <= price {settings.price:g}")


def _hold(evidence: Evidence, limit: float, reason: str) -> Decision:
    missing = evidence.rows_needed(z=limit)
    said = reason.format(z=_beside(limit, evidence.z), limit=limit)
    if missing is None:
        return Decision(False, said)
    needed = max(1, missing)
    return Decision(False, f"{said}; about {_two_digits(needed):,} more labels would settle it", needed)


def _beside(limit: float, value: float, *, decimals: int = 2) -> str:
    """The value, with as many decimals as it takes to see on which side of the limit it lies.

    >>> _beside(2.33, 1.4142), _beside(2.33, 2.3304), _beside(1, -0.001)
    ('1.41', '2.3304', '0.00')
    """
    while decimals < 6 and (round(value, decimals) > limit) != (value > limit):
        decimals += 1
    return f"{round(value, decimals) + 0:.{decimals}f}"


def _two_digits(number: int) -> int:
    """Rounded as its precision deserves.

    >>> _two_digits(178_038), _two_digits(14)
    (180000, 14)
    """
    return int(float(f"{number:.2g}"))


_POLICIES: dict[str, Callable[[Retrain, Situation], Decision]] = {
    "always": _always,
    "periodic": _periodic,
    "triggered": _triggered,
    "evidence": _evidence,
    "price": _price,
}
