"""What was asked of the server, as plain numbers out of Prometheus' families: for the page, and who wants no parser."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from prometheus_client import Metric

SCORING = ("/predict", "/predict/batch", "/invocations")


@dataclass
class Route:
    """One path that scores.

    requests  by the first digit of their status: 2xx, 4xx, 5xx
    seconds   requests answered in at most so many seconds, by the bound as Prometheus writes it ("+Inf" the last)
    """

    requests: Counter[str] = field(default_factory=Counter)
    seconds: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True)
class Traffic:
    """All of it since the server began, summed over its workers.

    routes     of SCORING, those that were asked
    decisions  customers: churn, stay
    unseen     values unknown to the model, by column
    log        predictions for the inference log: written, dropped
    shadow     customers that the challenger scored, too, by whether it decides alike: yes, no
    """

    routes: Mapping[str, Route]
    decisions: Mapping[str, float]
    unseen: Mapping[str, float]
    log: Mapping[str, float]
    shadow: Mapping[str, float]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "routes": {
                name: {"requests": dict(route.requests), "seconds": dict(route.seconds)}
                for name, route in self.routes.items()
            },
            "decisions": dict(self.decisions),
            "unseen": dict(self.unseen),
            "log": dict(self.log),
            "shadow": dict(self.shadow),
        }


def traffic_of(families: Iterable[Metric]) -> Traffic:
    """What these families count."""
    routes = {name: Route() for name in SCORING}
    by: dict[str, tuple[str, Counter[str]]] = {
        "churn_drift_predictions_total": ("decision", Counter()),
        "churn_drift_unseen_categories_total": ("column", Counter()),
        "churn_drift_log_rows_total": ("fate", Counter()),
        "churn_drift_shadow_predictions_total": ("alike", Counter()),
    }
    for sample in (sample for family in families for sample in family.samples):
        told = sample.labels
        route = routes.get(told.get("route", ""))
        if sample.name == "churn_drift_requests_total" and route:
            route.requests[f"{told['status'][0]}xx"] += sample.value  # type: ignore[assignment]
        elif sample.name == "churn_drift_request_seconds_bucket" and route:
            route.seconds[told["le"]] += sample.value  # type: ignore[assignment]
        elif sample.name in by:
            label, counts = by[sample.name]
            counts[told[label]] += sample.value  # type: ignore[assignment]
    decisions, unseen, log, shadow = (counts for _, counts in by.values())
    asked = {name: route for name, route in routes.items() if route.requests}
    return Traffic(routes=asked, decisions=decisions, unseen=unseen, log=log, shadow=shadow)
