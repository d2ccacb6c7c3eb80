"""The commit of a run: exactly the files that it wrote, and a message that says what is new in them."""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from churn_drift import paths
from churn_drift.production import commits
from churn_drift.publishing import lock
from churn_drift.publishing.note import number
from churn_drift.tracking import git, ledger

Row = Mapping[str, str]


def written(locked: Mapping[str, Any]) -> list[str]:
    """Files of a run that git follows, or would: dvc.lock, the pins, the ledger, reports that are no cached data."""
    reports = [out for out in lock.outs(locked) if Path(out).is_relative_to("reports")]
    pins = [str(pin) for pin in sorted(paths.LANDED.glob("*.dvc"))]
    return [str(lock.LOCK), str(paths.CHAMPION_PIN), str(paths.LEDGER), *pins, *reports]


def read(locked: Mapping[str, Any]) -> list[str]:
    """Files that the results rest on beside data: the settings, the stages and their sources."""
    deps = {dep["path"] for stage in locked["stages"].values() for dep in stage.get("deps", ())}
    return [str(lock.STAGES), str(paths.PARAMS), *sorted(dep for dep in deps if Path(dep).is_relative_to("src"))]


def keep() -> str | None:
    """Commit what the run wrote; the message's first line, None where nothing of it is new.

    Raises PipelineError where the results rest on files that differ from the commit, or git refuses.
    """
    locked = lock.parse(lock.LOCK.read_bytes())
    changed = commits.changed(written(locked))
    if not changed:
        return None
    commits.require_committed(read(locked))
    message = "\n".join(_message())
    commits.commit(changed, message)
    return message.partition("\n")[0]


def _message() -> Iterator[str]:
    """What is new since the commit: batches with their decisions, champion, gain."""
    before = {row["batch"]: row for row in _rows(git.read("HEAD", paths.TIMELINE) or b"")}
    rows = _rows(paths.TIMELINE.read_bytes())
    fresh = [row for row in rows if row["batch"] not in before]
    past = git.read("HEAD", paths.LEDGER)
    had = [entry["version"] for entry in ledger.parse(past or b"", source=paths.LEDGER)]
    now = [entry["version"] for entry in ledger.entries(paths.LEDGER)]
    promoted = now[-1] if now[len(had) :] else None
    yield subject([row["batch"] for row in fresh] if before else [], promoted)
    if fresh:
        yield ""
    for row in fresh:
        auc = number(row["auc_policy"], ".4f")
        yield f"{row['batch']}: {row['verdict']}, AUC {auc}, {row['decision']}: {row['reason']}"


def subject(batches: Sequence[str], promoted: str | None) -> str:
    """The message's first line.

    >>> subject(["batch_10"], "0911c00f5e5b"), subject(["batch_10", "batch_11"], None), subject([], None)
    ('Take in batch_10, promote 0911c00f5e5b', 'Take in batch_10 to batch_11', 'Run the pipeline')
    """
    named = batches[0] if len(batches) == 1 else f"{batches[0]} to {batches[-1]}" if batches else ""
    parts = [f"take in {named}" if named else "", f"promote {promoted}" if promoted else ""]
    said = ", ".join(filter(None, parts)) or "run the pipeline"
    return said[0].upper() + said[1:]


def _rows(content: bytes) -> list[Row]:
    return list(csv.DictReader(io.StringIO(content.decode())))
