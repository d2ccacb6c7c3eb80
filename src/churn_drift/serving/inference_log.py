"""What a worker keeps of what it answers: the inference log, the challenger's scores in it, the live window's counts.

A request only puts an `Exchange` into a queue; all else happens in the recorder's threads.
"""

import os
import secrets
from collections.abc import Sequence
from pathlib import Path

import pyarrow
from pyarrow import compute

from churn_drift import schema
from churn_drift.capture import place
from churn_drift.capture.form import Exchange, Second, customer_of
from churn_drift.capture.recorder import Counts as Written
from churn_drift.capture.recorder import Recorder
from churn_drift.data import arrow
from churn_drift.drift import Limits
from churn_drift.errors import ConfigError
from churn_drift.serving.batch import Answers
from churn_drift.serving.live import Counts, Live, live
from churn_drift.serving.metrics import Metrics
from churn_drift.serving.model import Answer, Record, ServedModel
from churn_drift.serving.seat import Seat
from churn_drift.serving.settings import Settings
from churn_drift.serving.shadow import Shadow
from churn_drift.serving.watcher import Watcher

LIVE = "live"
"""The folder of the live window's counts, in the log's own."""
_PART = 10_000
"""Rows that are counted at a time."""


class InferenceLog:
    """Of one server. Made before its workers are forked; each of them calls `start`.

    limits  of the live window's drift
    shadow  who scores beside the champion; nobody until somebody fills its seat

    Raises ConfigError where its folder cannot be written.
    """

    def __init__(self, seat: Seat, *, settings: Settings, metrics: Metrics, limits: Limits) -> None:
        self._seat, self._metrics, self._limits = seat, metrics, limits
        folder = place.FOLDER if place.is_remote(settings.log) else Path(settings.log)
        _check_writable(folder)
        self._folder = folder / LIVE
        self._told = Written()
        self.shadow = Shadow(seat, share=settings.shadow, counted=metrics.shadowed)
        self._recorder = Recorder(
            settings.log,
            fields=settings.log_fields,
            shadow=self._second,
            shadowing=lambda: self.shadow.challenger is not None,
            observe=self._count,
            counted=self._tell,
        )

    def start(self) -> None:
        """Begin to write, in the process that answers."""
        self._counts = Counts(self._folder, worker=f"{os.getpid()}-{secrets.token_hex(4)}")
        self.seated(self._seat)
        self._recorder.start()

    def follow(self, *, every: float, patience: float) -> None:
        """Look from now on who is to score beside the champion."""
        shadow = self.shadow
        Watcher(
            shadow.seat, patience=patience, told=lambda _: None, role="candidate", mark=shadow.mark, load=shadow.load
        ).start(every=every)

    def close(self) -> None:
        """Write what was put, and end."""
        self._recorder.close()

    def seated(self, seat: Seat) -> None:
        """Another champion serves from now on, perhaps."""
        if seat.model:
            self._counts.serves(seat.model)

    def records(
        self, request_id: str, at: float, *, model: ServedModel, given: Sequence[object], records: Sequence[Record],
        answers: Sequence[Answer],
    ) -> None:  # fmt: skip
        """Note customers that came as JSON.

        given    as they came: who they are is no part of what is scored
        records  typed
        """
        self._recorder.put(
            Exchange(
                request_id=request_id,
                at=at,
                version=model.version,
                customers=[customer_of(each.get(schema.ID)) if isinstance(each, dict) else None for each in given],
                records=records,
                probability=[answer.probability for answer in answers],
                decision=[answer.decision for answer in answers],
            )
        )

    def batch(self, request_id: str, at: float, *, model: ServedModel, answers: Answers) -> None:
        """Note customers that came as a file."""
        self._recorder.put(
            Exchange(
                request_id=request_id,
                at=at,
                version=model.version,
                customers=answers.customers,
                records=answers.records,
                probability=answers.probability,
                decision=answers.decision,
            )
        )

    def live(self, model: ServedModel, *, hours: int) -> Live:
        """The drift of what all workers have scored by this model in the last hours."""
        return live(self._folder, model, hours=hours, limits=self._limits)

    def _second(self, exchange: Exchange) -> Second | None:
        customers = exchange.records
        columns = arrow.columns_of(customers) if isinstance(customers, pyarrow.Table) else customers
        return self.shadow.score(exchange.request_id, columns, exchange.decision)

    def _count(self, rows: pyarrow.Table) -> None:
        for part in (rows.slice(start, _PART) for start in range(0, rows.num_rows, _PART)):
            versions = compute.unique(part["model_version"]).to_pylist()
            for version in versions:
                scored = part if len(versions) == 1 else part.filter(compute.equal(part["model_version"], version))
                self._counts.add(version, arrow.columns_of(scored), arrow.numbers(scored["probability"]))
        self._counts.write()

    def _tell(self, now: Written) -> None:
        before, self._told = self._told, now
        self._metrics.logged({"written": now.written - before.written, "dropped": now.dropped - before.dropped})


def _check_writable(folder: Path) -> None:
    try:
        place.private(folder)
    except OSError as error:
        raise _unwritable(folder, error.strerror) from None
    if not os.access(folder, os.W_OK | os.X_OK):
        raise _unwritable(folder, "not allowed")


def _unwritable(folder: Path, why: str | None) -> ConfigError:
    return ConfigError(
        f"SERVE_LOG: {folder} cannot be written ({why}); name a folder that can, or set SERVE_LOG=off: "
        "then nothing is logged, shadowed or watched for drift"
    )
