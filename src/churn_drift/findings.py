"""What a check of this machine found, in one line; where something is wrong, with what mends it."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

State = Literal["ok", "WRONG", "skip"]


@dataclass(frozen=True)
class Finding:
    """One check's result.

    said    what was found; never a secret
    remedy  the command or setting that mends it; empty unless something is wrong
    """

    state: State
    said: str
    remedy: str = ""

    def line(self, name: str) -> str:
        """
        >>> wrong("no such bucket", "`make s3`").line("bucket")
        'WRONG  bucket       no such bucket: `make s3`'
        """
        return f"{self.state:<7}{name:<13}{': '.join(filter(None, (self.said, self.remedy)))}"


NEEDS = "needs "
"""How a finding begins whose check waits for another to be ok."""


@dataclass(frozen=True)
class Check:
    """A question and what must be ok before it can be asked."""

    name: str
    ask: Callable[[], Finding]
    needs: tuple[str, ...] = ()


def ok(said: str) -> Finding:
    """Nothing to mend."""
    return Finding("ok", said)


def wrong(said: str, remedy: str) -> Finding:
    """Something to mend."""
    return Finding("WRONG", said, remedy)


def skip(said: str) -> Finding:
    """Nothing to check, and why."""
    return Finding("skip", said)


def examine(checks: Iterable[Check]) -> Iterator[tuple[str, Finding]]:
    """Name and finding of each check, in order, each as soon as it is known.

    >>> fails, works = Check("a", lambda: wrong("broken", "mend it")), Check("b", lambda: ok("fine"), needs=("a",))
    >>> [(name, finding.state, finding.said) for name, finding in examine([fails, works])]
    [('a', 'WRONG', 'broken'), ('b', 'skip', 'needs a')]
    """
    passed: set[str] = set()
    for check in checks:
        missing = [need for need in check.needs if need not in passed]
        finding = skip(f"{NEEDS}{missing[0]}") if missing else check.ask()
        if finding.state == "ok":
            passed.add(check.name)
        yield check.name, finding
