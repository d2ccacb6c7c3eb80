"""A message by SNS: to whoever has subscribed to the topic."""

import hashlib
import re
import unicodedata
from typing import Any

from churn_drift.aws.client import code, reason
from churn_drift.aws.services import FAULTS, failure, service
from churn_drift.errors import ConfigError
from churn_drift.notify.outbox import RefusedError
from churn_drift.ports import Message

VARIABLE = "SNS_TOPIC_ARN"

_ARN = re.compile(r"arn:aws[\w-]*:sns:(?P<region>[a-z0-9-]+):\d{12}:[\w-]{1,256}(?P<fifo>\.fifo)?")
_SUBJECT = 99
"""https://docs.aws.amazon.com/sns/latest/api/API_Publish.html: less than 100 characters."""
_UNREADABLE = frozenset({"InvalidParameter", "InvalidParameterValue", "ParameterValueInvalid"})
_TEXT = 200_000
"""Bytes of a message's text; the attributes count, too, and all may have 262,144."""


class SnsNotifier:
    """The channel of one topic.

    Raises ConfigError where the ARN is none. The topic's region counts, not the environment's.
    """

    name = "sns"

    def __init__(self, topic_arn: str) -> None:
        parts = _ARN.fullmatch(topic_arn.strip())
        if parts is None:
            raise ConfigError(
                f"{VARIABLE}: {topic_arn!r} is no topic; give its ARN, as arn:aws:sns:eu-central-1:123456789012:churn"
            )
        self._topic, self._region, self._is_fifo = parts.string, parts["region"], bool(parts["fifo"])
        self._client: Any = None

    def send(self, message: Message) -> None:
        """Publish it. Raises RefusedError where SNS will never have it, else PipelineError with what it said."""
        try:
            self._client = self._client or service("sns", region=self._region)
            self._client.publish(
                TopicArn=self._topic,
                Subject=subject(message.title),
                Message=message.text().encode()[:_TEXT].decode(errors="ignore"),
                MessageAttributes={"kind": _text(message.kind), "key": _text(message.key)},
                **(self._fifo(message.key) if self._is_fifo else {}),
            )
        except FAULTS as error:
            if code(error) in _UNREADABLE:
                raise RefusedError(f"{self._topic}: {reason(error)}") from None
            raise failure(self._topic, error) from None

    def _fifo(self, key: str) -> dict[str, str]:
        """A FIFO topic itself drops what comes twice within five minutes."""
        digest = hashlib.sha256(key.encode()).hexdigest()
        return {"MessageGroupId": "churn-drift", "MessageDeduplicationId": digest}


def subject(title: str) -> str:
    """One line of at most 99 characters of printable ASCII.

    >>> subject("Schätzung\\nfällt: 3 €")
    'Schatzung fallt: 3 ?'
    """
    plain = "".join(c for c in unicodedata.normalize("NFKD", title) if not unicodedata.combining(c))
    ascii_only = plain.encode("ascii", "replace").decode()
    text = " ".join("".join(c if c.isprintable() else " " for c in ascii_only).split())
    return (text if len(text) <= _SUBJECT else f"{text[: _SUBJECT - 3]}...") or "churn-drift"


def _text(value: str) -> dict[str, str]:
    return {"DataType": "String", "StringValue": value}
