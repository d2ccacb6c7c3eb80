"""What a production run needs of the world around it. Adapters: `production` and `notify` on this machine, `aws` there.

Which of them are used is decided in one place, `commands.adapters`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

STATE = Path(".churn-drift")
"""Folder of what this machine remembers of its own runs: locks, health, history, what was told. Git ignores it, and
no result depends on it."""

Kind = Literal["drift", "promotion", "hold", "failure", "recovery"]


@dataclass(frozen=True)
class Message:
    """What people are told.

    key    the same event has the same key, and is told once
    title  one line, with the fact that matters most
    facts  name and value, in the order of reading
    link   where to see more: a URL or a path; empty where there is nothing
    """

    kind: Kind
    key: str
    title: str
    facts: Mapping[str, str] = field(default_factory=dict)
    link: str = ""

    def text(self) -> str:
        """For people, without markup.

        >>> print(Message("hold", "k", "Champion stays", {"reason": "z 0.4"}, "reports/").text())
        Champion stays
        <BLANKLINE>
        reason: z 0.4
        see: reports/
        """
        facts = [f"{name}: {value}" for name, value in self.facts.items()]
        return "\n".join([self.title, "", *facts, *([f"see: {self.link}"] if self.link else [])])


class Notifier(Protocol):
    """Tells people."""

    def send(self, message: Message) -> None:
        """Deliver it. Raises PipelineError where it was not taken; it may then be sent again."""


class Inbox(Protocol):
    """Where files of customers or labels arrive, each under a name."""

    def waiting(self) -> Sequence[str]:
        """Names of what has arrived whole and is neither settled nor refused, in order of name."""

    def fetch(self, name: str, folder: Path) -> Path:
        """A copy of it in a folder."""

    def settle(self, name: str) -> None:
        """It has landed: it no longer waits. Settling twice is once."""

    def refuse(self, name: str, reason: str) -> str:
        """Move it to the quarantine, with its reason beside it; where it lies now. Refusing twice is once."""


class Deployer(Protocol):
    """Rolls a model out to where it answers."""

    def deploy(self, folder: Path, *, version: str) -> str:
        """Serve the model in this folder; what answers now, in one line.

        Raises PipelineError where it did not come up: then the model before it still answers.
        """


class Trainer(Protocol):
    """Runs the pipeline somewhere."""

    def start(self, batch: str) -> str:
        """Begin the run for a batch, once: a handle by which to ask for it, the same where it has begun before.

        Raises PipelineError where it cannot be started.
        """

    def wait(self, handle: str, *, seconds: float) -> str:
        """How it ended, in one line. Raises PipelineError where it failed or did not end in time."""
