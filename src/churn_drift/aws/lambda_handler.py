"""The Lambda: looks at each batch that arrives in the inbox, and once in a while for any that was missed.

What is wrong with a batch is told and written down, and the function returns: the same file would fail again. What is
wrong with a service is raised, so that the queue brings the message again, and in the end keeps it in the dead-letter
queue. Only drift of the features is judged here; that of scores and labels belongs to the pipeline.
"""

import logging
import os
from collections.abc import Iterator
from typing import Any

from churn_drift.aws import layout
from churn_drift.aws.look.batch_look import World, look
from churn_drift.aws.look.batch_report import is_batch
from churn_drift.aws.look.events import Asked, Look, Run, Unknown, tasks
from churn_drift.aws.look.lambda_settings import Settings
from churn_drift.aws.services import FAULTS, service
from churn_drift.aws.sns import SnsNotifier
from churn_drift.errors import ChurnDriftError

log = logging.getLogger(__name__)

FAILURES = (*FAULTS, ChurnDriftError)
_SPARE = 60_000
"""Milliseconds that a look through the inbox leaves to the batch it has begun."""

Told = dict[str, Any]


def handler(event: object, context: Any) -> Told:
    """AWS's entry: each batch with its verdict, and the messages that the queue shall bring again.

    Raises where nothing succeeded, so that AWS counts an error.
    """
    logging.getLogger("churn_drift").setLevel(logging.INFO)
    world, waiting = _world(), tasks(event)
    told: list[Told] = []
    failed: list[str] = []
    for task in waiting:
        try:
            for asked in task.asked:
                told += _answered(world, asked, context)
        except FAILURES as error:
            if len(failed) + 1 == len(waiting):
                raise
            log.error("failed", extra={"messageId": task.message, "reason": str(error)})
            failed.append(task.message)
    return {"batches": told, "batchItemFailures": [{"itemIdentifier": message} for message in failed]}


def _answered(world: World, asked: Asked, context: Any) -> Iterator[Told]:
    if isinstance(asked, Look):
        yield from _through_the_inbox(world, context)
    elif isinstance(asked, Run):
        yield _scheduled_run(world, asked)
    elif isinstance(asked, Unknown):
        yield _passed_over(asked.why)
    elif asked.bucket != world.settings.bucket or not is_batch(asked.key):
        yield _passed_over("not a batch in the inbox of this bucket")
    else:
        yield _looked(world, asked.key)


def _looked(world: World, key: str) -> Told:
    told = look(world, key)
    log.info("looked", extra=told)
    return told


def _passed_over(why: str) -> Told:
    log.warning("passed over", extra={"why": why})
    return {"verdict": "passed over", "why": why}


def _through_the_inbox(world: World, context: Any) -> Iterator[Told]:
    """Every batch that waits, those that are known already for the price of a request. One that fails keeps none
    of the others waiting; the first failure is raised after them. What there is no time for, the next look finds."""
    failure: Exception | None = None
    for key in _waiting(world):
        if context.get_remaining_time_in_millis() < _SPARE:
            log.warning("no time for the rest of the inbox", extra={"from": key})
            break
        try:
            yield _looked(world, key)
        except FAILURES as error:
            log.error("failed", extra={"batch": key, "reason": str(error)})
            failure = failure or error
    if failure:
        raise failure


def _scheduled_run(world: World, asked: Run) -> Told:
    """The pipeline's run of the hour, where anything waits for it; asked for twice, an hour still starts one run."""
    if not world.settings.trainer:
        told = {"run": "RETRAIN_WITH is not set"}
    elif next(_waiting(world), None) is None:
        told = {"run": "nothing waits in the inbox"}
    else:
        told = {"run": world.start(f"schedule {asked.time}")}
    log.info("scheduled", extra=told)
    return told


def _waiting(world: World) -> Iterator[str]:
    pages = world.s3.get_paginator("list_objects_v2").paginate(Bucket=world.settings.bucket, Prefix=f"{layout.INBOX}/")
    for page in pages:
        yield from (entry["Key"] for entry in page.get("Contents", ()) if is_batch(entry["Key"]))


def _world() -> World:
    settings = Settings.of(os.environ)
    return World(
        s3=service("s3", connect_timeout=3, read_timeout=20),
        settings=settings,
        notifier=SnsNotifier(settings.topic) if settings.topic else None,
        start=_start,
    )


def _start(batch: str) -> str:
    from churn_drift.aws.trigger_retrain import trigger

    return trigger(batch, os.environ)
