"""Tells people, by each channel each event once: a line on stderr, a webhook where one is set, and what is given."""

from collections.abc import Mapping, Sequence

from churn_drift.notify.outbox import Channel, Outbox
from churn_drift.notify.stderr import Stderr
from churn_drift.notify.webhook import Webhook, address_of


def notifier(environment: Mapping[str, str], *, more: Sequence[Channel] = ()) -> Outbox:
    """The channels that the environment names, and more, behind one outbox in ports.STATE.

    Raises ConfigError where NOTIFY_WEBHOOK_URL is no address to send to.
    """
    webhook = address_of(environment)
    return Outbox([Stderr(), *([Webhook(webhook)] if webhook else []), *more])
