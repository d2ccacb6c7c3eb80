"""Whether all is well, for monitors: .churn-drift/health.json, written every few seconds and at each event.

status             ok, running, failing (the last run did not end with 0), or stopped
at                 when it was written, UTC: a scheduler that lives is never further behind than a few seconds
next               when a run is due, UTC; null where it was stopped
last               the last run's line of history.jsonl; null before the first
failures_in_a_row  since the last run that ended with 0
schedule, zone     as asked for
options            of each run
note               what it waits for, where it does
"""

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from churn_drift.data import files
from churn_drift.ports import STATE

FILE = STATE / "health.json"
EVERY = 5.0
"""Seconds between two writings."""

STALE = timedelta(seconds=60)

Health = Mapping[str, Any]


def write(health: Health) -> None:
    """Written beside, then renamed."""
    files.write_json(health, FILE)


def read() -> dict[str, Any] | None:
    """What was last written; None where nothing was, or nothing that can be read."""
    try:
        found = json.loads(FILE.read_bytes())
    except (FileNotFoundError, ValueError):
        return None
    return found if isinstance(found, dict) and "status" in found and "at" in found else None


def fault(health: Health | None, *, alive: bool, now: datetime) -> str | None:
    """What is not well, in a few words; None where all is.

    alive  whether a scheduler holds the folder
    """
    if not alive:
        return "no scheduler runs here"
    if health is None:
        return f"{FILE} is not there or cannot be read"
    behind = now - datetime.fromisoformat(health["at"])
    if abs(behind) > STALE:
        return f"no heartbeat for {behind.total_seconds():.0f} s"
    if health["failures_in_a_row"]:
        return f"the last run did not end well ({health['failures_in_a_row']} in a row)"
    return None
