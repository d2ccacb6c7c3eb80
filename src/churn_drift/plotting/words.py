"""Figures in a sentence: the answers of the notebooks are made from these."""

import re
from collections.abc import Sequence

from churn_drift.model.compare import Difference
from churn_drift.model.metrics import Estimate


def told(value: Estimate | Difference, *, decimals: int = 3, sign: bool = False) -> str:
    """A value with its interval, as far as there is one.

    >>> told(Estimate(0.6454, 0.6286, 0.662))
    '0.645 [0.629, 0.662]'
    >>> told(Estimate(0.0213), sign=True), told(Estimate())
    ('+0.021', 'not defined')
    """
    if value.value is None:
        return "not defined"
    form = f"{'+' if sign else ''}.{decimals}f"
    interval = "" if value.low is None or value.high is None else f" [{value.low:{form}}, {value.high:{form}}]"
    return f"{value.value:{form}}{interval}"


def percent(share: float | None) -> str:
    """A share between 0 and 1; no line ends before the sign.

    >>> percent(0.2936), percent(None)
    ('29.4\\xa0%', 'not known')
    """
    return "not known" if share is None or share != share else f"{100 * share:.1f}\xa0%"  # noqa: PLR0124


def listed(names: Sequence[str], *, at_most: int = 5) -> str:
    """Names in a row, the rest as a number; what Markdown or HTML would take for its own is escaped.

    >>> listed(["<b>", "up * to"])
    '&#60;b&#62; and up &#42; to'
    >>> listed(["a", "b", "c"]), listed(["a", "b", "c"], at_most=2), listed([])
    ('a, b and c', 'a, b and 1 more', 'none')
    """
    if not names:
        return "none"
    rest = len(names) - at_most
    names = [re.sub(r"[^\w\s.,:;()/+-]", lambda found: f"&#{ord(found[0])};", name) for name in names]
    shown = [*names[:at_most], f"{rest} more"] if rest > 0 else names
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"
