"""A look at one batch in the inbox: its drift report beside it, a run where that is urgent, an alert.

Once for each content of a batch, however often it is asked for: the lease locks/look-HASH.json is held meanwhile, and
its note remembers which steps are done. Who is killed between a step and its note repeats that one step: an alert may
then come twice, but is never lost, and a batch has one run by itself.
"""

import hashlib
import logging
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from churn_drift.aws.client import code
from churn_drift.aws.leases import Hold, Leases, held
from churn_drift.aws.look import batch_alert, batch_report
from churn_drift.aws.look.batch_report import Batch
from churn_drift.aws.look.lambda_settings import Settings
from churn_drift.aws.look.reference import champion
from churn_drift.aws.services import FAULTS
from churn_drift.errors import ChurnDriftError
from churn_drift.ports import Message, Notifier

log = logging.getLogger(__name__)

_LEASE_SECONDS = 60.0


@dataclass(frozen=True)
class World:
    """What a look needs.

    s3        boto3's client
    notifier  None: alerts stand in the log only
    start     begins a run for a batch, and says by which handle to ask for it
    """

    s3: Any
    settings: Settings
    notifier: Notifier | None
    start: Callable[[str], str]


def look(world: World, key: str) -> dict[str, Any]:
    """What became of the batch, for the log. Everything is done the first time only.

    Raises PipelineError, or what boto3 raises, where a service failed: another try goes on where this one ended.
    """
    try:
        answer = world.s3.get_object(Bucket=world.settings.bucket, Key=key)
    except FAULTS as error:
        if code(error) in batch_report.GONE:  # taken in by a run, or deleted, meanwhile
            return {"batch": key, "verdict": "gone"}
        raise
    batch = Batch(key, answer["ETag"].strip('"'), answer["ContentLength"])
    with closing(answer["Body"]) as body:
        leases, name = Leases(world.s3, world.settings.bucket), _lease_name(batch)
        known = leases.find(name)
        if known and "finished" in known.note:
            return {"batch": key, "verdict": "known"}
        with held(leases, name, seconds=_LEASE_SECONDS, patience=0) as hold:
            return {"batch": key, **_look(world, batch, body, hold)}


def _look(world: World, batch: Batch, body: Any, hold: Hold) -> dict[str, Any]:
    if "finished" in hold.note:  # meanwhile
        return {"verdict": "known"}
    s3, settings = world.s3, world.settings
    document = batch_report.written(s3, settings.bucket, batch)
    if document is None:
        found = batch_report.report(batch, body, champion(s3, settings.bucket), settings)
        document = batch_report.write(s3, settings.bucket, batch, found)
    told = {name: document[name] for name in ("verdict", "rows", "champion")}
    if document["verdict"] == "unreadable":
        _tell(world, hold, batch_alert.unreadable(settings.bucket, batch, document))
    if document["verdict"] == "drifted":
        told["run"], failure = _run(world, batch, hold)
        _tell(world, hold, batch_alert.drifted(settings.bucket, batch, document, run=told["run"]))
        if failure:
            raise failure
    hold.remember(finished="yes")
    return told


def _run(world: World, batch: Batch, hold: Hold) -> tuple[str, ChurnDriftError | None]:
    """The handle of the run for a drifted batch, or why there is none; a failure is raised once it has been told."""
    if not (world.settings.trainer and world.settings.urgent):
        return "the next scheduled one", None
    if handle := hold.note.get("run"):
        return handle, None
    try:
        handle = world.start(f"{batch.name}@{batch.etag}")
    except ChurnDriftError as error:
        return f"could not be started, and is tried again ({error})", error
    hold.remember(run=handle)
    return handle, None


def _tell(world: World, hold: Hold, message: Message) -> None:
    if "alert" in hold.note:
        return
    if world.notifier is None:
        log.warning("no topic is set for an alert", extra={"title": message.title})
    else:
        world.notifier.send(message)
    hold.remember(alert="sent")


def _lease_name(batch: Batch) -> str:
    return "look-" + hashlib.sha256(f"{batch.key}\n{batch.etag}".encode()).hexdigest()[:32]
