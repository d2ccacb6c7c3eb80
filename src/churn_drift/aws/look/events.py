"""What wakes the Lambda: keys of objects that have arrived, the hour to look through the inbox, the hour of a run.

Understood are S3's notifications, EventBridge's S3 and scheduled events, {"run": TIME}, and each of them in a message
of a queue.
https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html
https://docs.aws.amazon.com/AmazonS3/latest/userguide/ev-events.html
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote_plus

Fields = Mapping[str, Any]


@dataclass(frozen=True)
class Arrival:
    """An object that has come."""

    bucket: str
    key: str


@dataclass(frozen=True)
class Look:
    """The hour to look through the inbox."""


@dataclass(frozen=True)
class Run:
    """The hour of the pipeline's run.

    time  of the schedule, as EventBridge writes it: the same for the same hour
    """

    time: str


@dataclass(frozen=True)
class Unknown:
    """Nothing of ours; why, in a word."""

    why: str


Asked = Arrival | Look | Run | Unknown


@dataclass(frozen=True)
class Task:
    """What one message asks for.

    message  its id in the queue, for the queue's own retry; empty where the event came without a queue
    """

    asked: tuple[Asked, ...] = field(default=())
    message: str = ""


def tasks(event: object) -> list[Task]:
    """What an event asks for; never an error, whatever it is.

    >>> tasks({"source": "aws.events", "detail-type": "Scheduled Event", "detail": {}})
    [Task(asked=(Look(),), message='')]
    >>> tasks({"hello": "world"})
    [Task(asked=(Unknown(why='no event of S3 or EventBridge'),), message='')]
    """
    records = _records(event)
    queued = [record for record in records if record.get("eventSource") == "aws:sqs"]
    if not queued:
        return [Task(tuple(_asked(event)))]
    return [Task(tuple(_asked(_body(record))), str(record.get("messageId", ""))) for record in queued]


def _asked(event: object) -> Iterator[Asked]:
    if not isinstance(event, Mapping):
        yield Unknown("not an object of JSON")
    elif event.get("source") == "aws.s3":
        yield _from_bridge(event)
    elif event.get("detail-type") == "Scheduled Event":
        yield Look()
    elif isinstance(event.get("run"), str) and event["run"]:
        yield Run(event["run"])
    elif event.get("Event") == "s3:TestEvent":
        yield Unknown("S3's test of the queue")
    elif records := _records(event):
        yield from map(_from_s3, records)
    else:
        yield Unknown("no event of S3 or EventBridge")


def _records(event: object) -> list[Fields]:
    found = event.get("Records") if isinstance(event, Mapping) else None
    return [record for record in found if isinstance(record, Mapping)] if isinstance(found, list) else []


def _body(record: Fields) -> object:
    try:
        return json.loads(record.get("body", ""))
    except (TypeError, ValueError, RecursionError):
        return None


def _from_s3(record: Fields) -> Asked:
    name = record.get("eventName")
    if record.get("eventSource") != "aws:s3" or not isinstance(name, str):
        return Unknown("a record that is not S3's")
    if not name.removeprefix("s3:").startswith("ObjectCreated"):
        return Unknown("nothing was created")
    s3 = record.get("s3")
    return _arrival(s3, decode=True) if isinstance(s3, Mapping) else Unknown("a record without an object")


def _from_bridge(event: Fields) -> Asked:
    if event.get("detail-type") != "Object Created":
        return Unknown("nothing was created")
    detail = event.get("detail")
    return _arrival(detail, decode=False) if isinstance(detail, Mapping) else Unknown("a record without an object")


def _arrival(s3: Fields, *, decode: bool) -> Asked:
    """S3's notifications have the key as in a form (+ for a space), EventBridge's as it is."""
    try:
        bucket, key = s3["bucket"]["name"], s3["object"]["key"]
    except (KeyError, TypeError):
        return Unknown("a record without an object")
    if not isinstance(bucket, str) or not isinstance(key, str) or not key:
        return Unknown("a record without an object")
    name = unquote_plus(key) if decode else key
    return Arrival(bucket, name) if _is_text(name) else Unknown("a key that is no text")


def _is_text(key: str) -> bool:
    """Whether it can be sent to S3: JSON may hold half a character, UTF-8 may not."""
    try:
        key.encode()
    except UnicodeEncodeError:
        return False
    return True
