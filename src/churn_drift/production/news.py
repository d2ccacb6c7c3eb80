"""What is new in the reports since people were last told.

News is what the reports say now less what they said when the run began. What they said then is kept until people have
been told: a run that is killed in between leaves its news to the next one.
"""

import csv
import json
from collections.abc import Callable, Iterator

from churn_drift import paths
from churn_drift.data import files
from churn_drift.errors import PipelineError
from churn_drift.ports import STATE, Message
from churn_drift.production import backlog, messages
from churn_drift.tracking import ledger

BEFORE = STATE / "before.json"
"""Keys of what the reports said when the first run began that has not told its news."""


def begin() -> None:
    """Keep what the reports say now, unless an earlier run has still to tell what is new since then.

    Reports that a killed run has damaged say nothing: then all is news, of which people are told only what is.
    """
    if _kept() is None:
        try:
            keys = [message.key for message in _reported()]
        except PipelineError:
            keys = []
        files.write_json(keys, BEFORE)


def tell(send: Callable[[Message], None]) -> None:
    """Tell what is new."""
    known = set(_kept() or ())
    for message in _reported():
        if message.key not in known:
            send(message)
    BEFORE.unlink(missing_ok=True)


def _kept() -> list[str] | None:
    try:
        return list(json.loads(BEFORE.read_bytes()))
    except (FileNotFoundError, ValueError, TypeError):
        return None


def _reported() -> Iterator[Message]:
    """Every message that reports and ledger give, of landed batches, promotions and the verdict."""
    landed = backlog.landed()
    if landed and paths.RETRAIN_EVENTS.exists() and paths.TIMELINE.exists():
        with paths.TIMELINE.open(encoding="utf-8", newline="") as stream:
            rows = {row["batch"]: row for row in csv.DictReader(stream)}
        for event in files.read_json(paths.RETRAIN_EVENTS):
            name = event["batch"]
            if name in landed and name in rows:
                yield from messages.of_batch(event, rows[name], content=landed[name].stem.rpartition("_")[2])
    past = ledger.entries(paths.LEDGER)
    # The first champion of all is the repository's beginning, not news.
    yield from (messages.of_promotion(entry) for entry in past[1:] if entry.get("action") == "promote")
    if paths.SUMMARY.exists():
        summary = files.read_json(paths.SUMMARY)
        if summary["verdict"] == "worse":
            yield messages.of_worse(summary, champion=past[-1]["version"] if past else None)
