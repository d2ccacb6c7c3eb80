"""What the page's template is given."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from churn_drift.drift import Limits
from churn_drift.serving.example import EXAMPLE
from churn_drift.serving.model import ServedModel
from churn_drift.serving.page import form, reports, words
from churn_drift.serving.page.reports import Drift, Part, Timeline

NEWEST = 24
"""Batches that the heat map and the table of decisions hold; the charts hold all."""
MOVED = 12
"""Features that stand open; the others are folded."""
LINES = 8
"""Lines of the ledger."""
SHADES = (0.02, 0.1, 0.25, 1.0, 4.0)
"""PSI from which a cell is a shade darker: the relevance floor of params.yaml, the two customary limits of the
literature (Siddiqi 2006), and two more, since this order of customers goes far beyond them."""


class View:
    """The page of one server. Safe to share between threads.

    limits  of drift, as params.yaml has them
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._parts = reports.parts()
        self._groups = form.groups()

    def __call__(self, *, model: ServedModel | None, alarm: str | None, challenger: str | None) -> dict[str, Any]:
        """Everything that the template shows, for what serves just now."""
        parts = {name: kept() for name, kept in self._parts.items()}
        timeline, drift, distributions = (parts[name] for name in ("timeline", "drift", "distributions"))
        newest = _newest(drift)
        return {
            "alarm": alarm,
            "model": model,
            "challenger": challenger,
            "champion": _champion(model, parts["reigns"]),
            "reigns": parts["reigns"],
            "lines": LINES,
            "timeline": timeline,
            "sentences": list(words.sentences(timeline.value)) if timeline.value else [],
            "decisions": timeline.value.batches[::-1][:NEWEST] if timeline.value else [],
            "drift": newest,
            "moved": MOVED,
            "shades": SHADES,
            "groups": self._groups,
            "columns": {name: reports.about(name) for name in EXAMPLE},
            "data": {
                "timeline": _chart(timeline.value),
                "drift_share": self._limits.drift_share,
                "distributions": _shown(distributions, newest),
                "distributions_why": distributions.why,
                "example": form.example(),
                "threshold": model.threshold if model else None,
            },
        }


def shade(psi: float | None) -> int:
    """Which of the shades a PSI has, from 0.

    >>> [shade(psi) for psi in (None, 0.0, 0.05, 9.0)]
    [0, 0, 1, 5]
    """
    return 0 if psi is None else sum(psi >= limit for limit in SHADES)


def moment(at: str) -> str:
    """A time of the ledger, to the minute, UTC.

    >>> moment("2026-11-23T19:32:43+00:00")
    '2026-11-23 19:32'
    """
    return datetime.fromisoformat(at).astimezone(UTC).strftime("%Y-%m-%d %H:%M")


FILTERS = {"percent": words.percent, "score": words.score, "shade": shade, "moment": moment}
"""What the template calls numbers and times by."""


def _champion(model: ServedModel | None, reigns: Part[Sequence[Mapping[str, Any]]]) -> Mapping[str, Any] | None:
    """The ledger's newest line of what serves; None where it has none: it serves on purpose, or in a container."""
    lines = reigns.value or ()
    return next((line for line in lines if model and line["version"] == model.version), None)


def _newest(drift: Part[Drift]) -> Part[Drift]:
    return Part(drift.value.newest(NEWEST)) if drift.value else drift


def _chart(timeline: Timeline | None) -> dict[str, list[Any]] | None:
    if timeline is None:
        return None
    names = ("name", "customers", "churn", "drifted", "auc", "low", "high", "never", "promoted", "decision", "reason")
    return {name: [getattr(batch, name) for batch in timeline.batches] for name in names}


def _shown(distributions: Part[reports.Distributions], drift: Part[Drift]) -> dict[str, Any]:
    """The cells of the batches that the heat map shows."""
    if distributions.value is None or drift.value is None:
        return {}
    batches = drift.value.batches
    return {
        name: {**of, "batches": {batch: of["batches"][batch] for batch in batches if batch in of["batches"]}}
        for name, of in distributions.value.items()
    }
