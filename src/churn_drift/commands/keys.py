"""`churn-drift keys`: who may ask the server. A key is shown once, when it is made; only its hash is kept."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.table import Table

from churn_drift import terminal
from churn_drift.serving import keys, settings
from churn_drift.terminal import say


def add(name: str, *, scopes: Sequence[str]) -> int:
    """The new key on stdout and nothing else, so that it can be piped to where it is kept."""
    print(keys.add(name, scopes=scopes or (keys.PREDICT,), path=_file()))
    say(
        f"shown only now; {_file()} keeps its hash. Send it as `Authorization: Bearer KEY`. "
        "A server that asked for no key needs a restart.",
        sys.stderr,
    )
    return 0


def show_all() -> int:
    """Every key that was made, without what opens anything."""
    kept = keys.read(_file())
    if not kept:
        print("no key yet; `churn-drift keys add NAME` makes one", file=sys.stderr)
        return 0
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name in ("name", "scopes", "made, UTC", "revoked, UTC"):
        table.add_column(name, no_wrap=True)
    for key in kept:
        table.add_row(key.name, ", ".join(key.scopes), _moment(key.made), _moment(key.revoked or ""))
    terminal.show(table)
    return 0


def revoke(name: str) -> int:
    """A running server refuses the key within seconds."""
    ended = keys.revoke(name, path=_file())
    print(f"{name}: revoked" if ended else f"{name}: was revoked before", file=sys.stderr)
    return 0


def _file() -> Path:
    return settings.from_environment(os.environ).keys


def _moment(told: str) -> str:
    return told[:19].replace("T", " ")
