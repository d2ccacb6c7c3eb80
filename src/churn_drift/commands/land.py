"""`churn-drift land`: a validated batch, labels, or what the server has logged, into data/landed."""

import os
from collections.abc import Sequence
from datetime import UTC, datetime, time
from pathlib import Path

import pyarrow

from churn_drift.data import io
from churn_drift.data.landing import Landed, land_batch, land_labels
from churn_drift.errors import DataError
from churn_drift.production import landed as pins
from churn_drift.production import lease
from churn_drift.production.intake import history, is_labels, landed_customers
from churn_drift.terminal import say, working


def land(path: str) -> int:
    """Land the file; labels are told from records by their two columns."""
    with lease.taken(lease.RUN, what="land"), working(f"landing {path}"):
        pins.bring()
        raw = io.read_raw(path)
        labels = is_labels(raw)
        landed = land_labels(raw, source=path) if labels else land_batch(raw, source=path, history=history())
        done = _keep(landed, "labels" if labels else "customers")
    say(done)
    return 0


def land_log(where: str | None, *, since: str | None, until: str | None) -> int:
    """Land the customers of the inference log who have not arrived yet, each as scored last.

    where  a folder or s3://bucket/prefix; None: what SERVE_LOG says
    """
    from churn_drift.capture import place, store

    source = where or place.place_of(os.environ)
    if not place.is_remote(source):
        _check_folder(source)
    begin, end = _moment(since, time.min), _moment(until, time.max)
    with working(f"reading {source}"):
        parts = store.parts(source, since=begin, until=end)
    with lease.taken(lease.RUN, what="land"):
        return _land_new(source, parts)


def _land_new(source: str, parts: Sequence[pyarrow.Table]) -> int:
    from churn_drift.capture.next_batch import next_batch

    with working(f"reading {source}"):
        pins.bring()
        before = history()
        known = {customer for one in (*before.values(), landed_customers()) for customer in one}
        batch = next_batch(parts, known=known, source=source)
    left_out = {
        "scored without CustomerID": batch.anonymous,
        "scored again later": batch.repeated,
        "of customers who have arrived before": batch.known,
        "with a text that no CSV can hold": batch.odd,
    }
    told = [f"{rows:,} {why}" for why, rows in left_out.items() if rows]
    say(f"{source}: {batch.scored:,} rows" + (f"; left out: {', '.join(told)}" if told else ""))
    if batch.cells.empty:
        print("no new customers in it; nothing to do")
        return 0
    with working(f"landing {len(batch.cells):,} customers"):
        done = _keep(land_batch(batch.cells, source=source, history=before), "customers")
    say(done)
    return 0


def _check_folder(folder: str) -> None:
    try:
        next(Path(folder).iterdir(), None)
    except (FileNotFoundError, NotADirectoryError):
        raise DataError(
            f"{folder}: no inference log here; `python serve-model.py` writes one where SERVE_LOG says"
        ) from None
    except PermissionError:
        raise DataError(f"{folder}: the log is for its owner only; land it as the user who serves") from None


def _keep(landed: Landed, what: str) -> str:
    """Pin what has landed; what is told of it."""
    pins.pin()
    if landed.new:
        return f"landed {landed.rows:,} {what} in {landed.path}; `churn-drift run` takes them in"
    return f"these {landed.rows:,} {what} have landed before, in {landed.path}; nothing to do"


def _moment(when: str | None, of_day: time) -> datetime | None:
    """A day, which means its start or its end, or a moment; UTC unless it names a zone."""
    if when is None:
        return None
    try:
        moment = datetime.fromisoformat(when)
    except ValueError as error:
        raise DataError(f"{when}: no date ({error}); give one such as 2026-11-23 or 2026-11-23T18:00") from None
    if len(when) == len("2026-11-23"):
        moment = datetime.combine(moment, of_day)
    return moment.replace(tzinfo=moment.tzinfo or UTC)
