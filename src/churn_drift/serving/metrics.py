"""What the server counts, in Prometheus' terms. With several workers the counts lie in files that all of them share.

prometheus_client chooses between memory and files when it is first imported, by PROMETHEUS_MULTIPROC_DIR: `server`
makes that folder before it imports this module.
"""

import os
import threading
from collections import Counter as Tally
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest, multiprocess
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4 as MEDIA_TYPE

from churn_drift.serving.model import Answer
from churn_drift.serving.seat import Seat
from churn_drift.serving.traffic import Traffic, traffic_of

__all__ = ["FOLDER", "MEDIA_TYPE", "Metrics", "forget"]

FOLDER = "PROMETHEUS_MULTIPROC_DIR"
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_LATER = 0.25
"""Seconds that counts wait: what a killed process does not tell any more."""


class Metrics:
    """The counts of one process; `page` shows those of all its siblings. Safe to share between threads.

    What each request adds is counted by a thread beside, once `begin` was called.
    """

    def __init__(self) -> None:
        self._own = own = CollectorRegistry()
        self._requests = Counter(
            "churn_drift_requests", "Requests answered", ("route", "method", "status"), registry=own
        )
        self._seconds = Histogram(
            "churn_drift_request_seconds", "Time to answer", ("route",), buckets=SECONDS, registry=own
        )
        self._answers = Counter(
            "churn_drift_predictions", "Customers scored, by decision", ("version", "decision"), registry=own
        )
        self._unseen = Counter(
            "churn_drift_unseen_categories", "Values unknown to the model, by column", ("column",), registry=own
        )
        self._serves = Gauge(
            "churn_drift_model_workers",
            "Workers that serve a version",
            ("version",),
            registry=own,
            multiprocess_mode="livesum",
        )
        self._refused = Gauge(
            "churn_drift_model_refused",
            "1 where a worker refuses the champion that lies there and serves the one before",
            registry=own,
            multiprocess_mode="livemax",
        )
        self._shadowed = Counter(
            "churn_drift_shadow_predictions",
            "Customers that the challenger scored beside the champion, by whether it decides alike",
            ("version", "alike"),
            registry=own,
        )
        self._logged = Counter(
            "churn_drift_log_rows", "Predictions for the inference log, by what became of them", ("fate",), registry=own
        )
        self._versions: set[str] = set()
        self._fresh: deque[tuple[Callable[..., None], tuple[Any, ...]]] = deque()
        self._counting, self._ended = threading.Lock(), threading.Event()
        self._thread: threading.Thread | None = None

    def begin(self) -> None:
        """Count beside from now on; in the process that answers, after the fork."""
        self._thread = threading.Thread(target=self._count_later, name="metrics", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Count what waits; from now on everything is counted at once."""
        if self._thread:
            self._ended.set()
            self._thread.join()
            self._thread = None
        self._count()

    def request(self, *, route: str, method: str, status: int, seconds: float) -> None:
        """One request was answered. `route` is the rule, not the path: paths are the caller's to invent."""
        self._put(self._answered, route, method, status, seconds)

    def answers(self, version: str, answers: Sequence[Answer]) -> None:
        """These customers were scored."""
        self._put(self._answers_of, version, answers)

    def scored(self, version: str, *, churn: int, stay: int, unseen: Mapping[str, int]) -> None:
        """So many customers were decided to churn or to stay, and so many values of each column were unknown."""
        for decision, count in (("churn", churn), ("stay", stay)):
            if count:
                self._answers.labels(version, decision).inc(count)
        for column, count in unseen.items():
            if count:
                self._unseen.labels(column).inc(count)

    def shadowed(self, version: str, alike: int, otherwise: int) -> None:
        """The challenger decided as the champion for so many customers, and otherwise for so many."""
        for alike_or_not, count in (("yes", alike), ("no", otherwise)):
            if count:
                self._shadowed.labels(version, alike_or_not).inc(count)

    def logged(self, fates: Mapping[str, int]) -> None:
        """So many predictions more were written or dropped."""
        for fate, count in fates.items():
            if count:
                self._logged.labels(fate).inc(count)

    def seated(self, seat: Seat) -> None:
        """What this process serves, and whether it refuses what it should serve."""
        now = seat.model.version if seat.model else None
        for version in self._versions | ({now} if now else set()):
            self._serves.labels(version).set(version == now)
            self._versions.add(version)
        self._refused.set(seat.alarm is not None)

    def page(self) -> bytes:
        """Every metric as Prometheus reads it."""
        return generate_latest(self._together())

    def traffic(self) -> Traffic:
        """Those of the paths that score, as plain numbers."""
        return traffic_of(self._together().collect())

    def _together(self) -> CollectorRegistry:
        """What all processes have counted until now."""
        self._count()
        if FOLDER not in os.environ:
            return self._own
        together = CollectorRegistry()
        multiprocess.MultiProcessCollector(together)  # type: ignore[no-untyped-call]
        return together

    def _put(self, count: Callable[..., None], *told: Any) -> None:
        self._fresh.append((count, told))
        if self._thread is None:
            self._count()

    def _count_later(self) -> None:
        while not self._ended.wait(_LATER):
            self._count()

    def _count(self) -> None:
        with self._counting:
            while self._fresh:
                count, told = self._fresh.popleft()
                count(*told)

    def _answered(self, route: str, method: str, status: int, seconds: float) -> None:
        self._requests.labels(route, method, status).inc()
        self._seconds.labels(route).observe(seconds)

    def _answers_of(self, version: str, answers: Sequence[Answer]) -> None:
        churn = sum(answer.decision for answer in answers)
        unseen = Tally(column for answer in answers for column in answer.unseen)
        self.scored(version, churn=churn, stay=len(answers) - churn, unseen=unseen)


def forget(process: int) -> None:
    """A worker has ended: what it served no longer counts."""
    multiprocess.mark_process_dead(process)  # type: ignore[no-untyped-call]
