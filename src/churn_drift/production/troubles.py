"""What fails, since when, and with what: told when it begins or changes, and when it is over."""

import json
from collections.abc import Callable
from datetime import UTC, datetime

from churn_drift.data import files
from churn_drift.ports import STATE, Message
from churn_drift.production import messages

FILE = STATE / "troubles.json"
"""By what fails: since when, and the error."""

Send = Callable[[Message], None]


def failed(what: str, error: str, send: Send) -> None:
    """It failed. The same error again is told once."""
    known = _known()
    since = known.get(what, {}).get("since") or datetime.now(UTC).isoformat(timespec="seconds")
    files.write_json({**known, what: {"since": since, "error": error}}, FILE)
    send(messages.of_failure(what, error, since=since))


def works(what: str, send: Send) -> None:
    """It worked; told where it failed before."""
    known = _known()
    if what in known:
        send(messages.of_recovery(what, known[what]["error"], since=known[what]["since"]))
        files.write_json({name: trouble for name, trouble in known.items() if name != what}, FILE)


def _known() -> dict[str, dict[str, str]]:
    """Nothing where it is absent, or cut off by a loss of power."""
    try:
        return {name: {"since": str(one["since"]), "error": str(one["error"])} for name, one in _read().items()}
    except (FileNotFoundError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def _read() -> dict[str, dict[str, str]]:
    return dict(json.loads(FILE.read_bytes()))
