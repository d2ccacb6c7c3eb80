"""The two pins: models/candidate is what the experiment proposes, models/champion is what serves.

Only `promote` and `rollback` change the champion: copy, verify, `dvc add`, one ledger line. A crash between two of
these steps is healed by the next call, because each step looks at what is there.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from churn_drift import paths
from churn_drift.errors import VersionError
from churn_drift.model.bundle import Bundle, load, version_of
from churn_drift.tracking import dvc, git, ledger, pin, versions


def promote(metrics: Mapping[str, Any]) -> dict[str, Any] | None:
    """The candidate as champion, where its version was never in the ledger; the ledger's new line, or None.

    metrics  of the run that proposes it, for the ledger
    """
    with pin.alone():
        version = version_of(paths.CANDIDATE)
        candidate = load(paths.CANDIDATE, expected=version)
        if not is_new():
            return None
        _heal(other_than=version)
        return _change(candidate, version, action="promote", reason=candidate.facts["reason"], metrics=metrics)


def rollback(name: str | None, *, reason: str) -> dict[str, Any]:
    """An older version as champion again; the ledger's new line.

    name  of the version (see `versions.resolve`); None: the one that served before the present champion

    Raises VersionError where it is unknown or champion already.
    """
    with pin.alone():
        _heal()
        past = ledger.entries(paths.LEDGER)
        version = versions.resolve(name or "previous")
        if past and past[-1]["version"] == version:
            raise VersionError(f"{version}: is champion already; `churn-drift models list` shows the others")
        with versions.folder_of(version) as folder:
            bundle = load(folder, expected=version)
        told: list[Mapping[str, Any]] = [entry.get("metrics", {}) for entry in past if entry["version"] == version]
        return _change(bundle, version, action="rollback", reason=reason, metrics=told[-1] if told else {})


def is_new() -> bool:
    """Whether the candidate was never in the ledger."""
    version = version_of(paths.CANDIDATE)
    return all(entry["version"] != version for entry in ledger.entries(paths.LEDGER))


def missing_line() -> dict[str, Any] | None:
    """The ledger's line for what is pinned, where its last one names another version; None where they agree.

    A promotion that was cut off before its line, or a pin that was moved by hand or by git, has none.
    """
    if not paths.CHAMPION_PIN.exists() or not paths.CHAMPION.exists() or not dvc.is_pinned(paths.CHAMPION):
        return None
    past, version = ledger.entries(paths.LEDGER), version_of(paths.CHAMPION)
    if past and past[-1]["version"] == version:
        return None
    bundle = load(paths.CHAMPION)
    return _line(bundle, version, action="pin", reason="found pinned, without a line", metrics={}, past=past)


def _heal(*, other_than: str | None = None) -> None:
    """Write the line that is missing, unless it is that of a version whose line is about to be written."""
    line = missing_line()
    if line and line["version"] != other_than:
        ledger.append(line, paths.LEDGER)


def _change(bundle: Bundle, version: str, *, action: str, reason: str, metrics: Mapping[str, Any]) -> dict[str, Any]:
    from churn_drift.model.inference import check_golden

    check_golden(bundle)
    before = ledger.entries(paths.LEDGER)
    pin.install(bundle)
    entry = _line(bundle, version, action=action, reason=reason, metrics=metrics, past=before)
    ledger.append(entry, paths.LEDGER)
    return entry


def _line(
    bundle: Bundle, version: str, *, action: str, reason: str, metrics: Mapping[str, Any], past: list[dict[str, Any]]
) -> dict[str, Any]:
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "action": action,
        "version": version,
        "pin": pin.pinned(),
        "replaces": past[-1]["version"] if past else None,
        "reason": reason,
        "commit": git.head(),
        "data": bundle.facts["data"],
        "params": bundle.facts["params"],
        "metrics": dict(metrics),
    }
