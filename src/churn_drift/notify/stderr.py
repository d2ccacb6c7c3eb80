"""A message as one line on stderr."""

import sys

from churn_drift.ports import Message
from churn_drift.terminal import say


class Stderr:
    """The channel that is always there."""

    name = "log"

    def send(self, message: Message) -> None:
        """One line, whatever the message holds, that a terminal breaks at its words."""
        say(line_of(message), sys.stderr)


def line_of(message: Message) -> str:
    """Kind, title and facts in one line.

    >>> line_of(Message("hold", "k", "Champion stays", {"reason": "z 0.4", "batch": "7"}, "reports/"))
    'hold: Champion stays (reason: z 0.4, batch: 7) see reports/'
    """
    facts = ", ".join(f"{name}: {value}" for name, value in message.facts.items())
    parts = [f"{message.kind}: {message.title}", f"({facts})" if facts else "", f"see {message.link}"]
    return " ".join(" ".join(parts if message.link else parts[:2]).split())
