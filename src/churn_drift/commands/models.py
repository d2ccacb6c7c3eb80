"""`churn-drift models`: versions, roles and the ledger, read and changed by name."""

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, time
from pathlib import Path
from typing import Any

from rich.table import Table

from churn_drift import paths, terminal
from churn_drift.commands.roles import aliases_follow
from churn_drift.errors import VersionError
from churn_drift.model.bundle import Bundle, load
from churn_drift.publishing import roles
from churn_drift.terminal import painted, say, working
from churn_drift.tracking import ledger, pin, promotion, verification, versions

_DATE = re.compile(r"\d{4}-\d{2}-\d{2}([T ].*)?")
CONFIDENCE = 0.95


def show_all() -> int:
    """Every version that is known here: those of the ledger in its order, then the others in models/."""
    past, folders, held = ledger.entries(paths.LEDGER), versions.folders(), versions.roles()
    if not past and not folders:
        raise VersionError("no model yet; `churn-drift run` makes and promotes one")
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name in ("version", "role", "champion since, UTC", "by", "AUC"):
        table.add_column(name, no_wrap=name != "role")
    latest = {entry["version"]: entry for entry in past}
    for version in dict.fromkeys([*latest, *folders]):
        entry = latest.get(version, {})
        table.add_row(
            version,
            _role(version, held) or _place(folders.get(version)),
            _moment(entry) or "never",
            entry.get("action", ""),
            _number(entry.get("metrics", {}).get("auc_policy")),
        )
    terminal.show(table)
    _hint()
    return 0


def show(name: str) -> int:
    """One version: its lines in the ledger, and what its directory says."""
    version = versions.resolve(name)
    print(f"{painted(version, 'bold')}  {_role(version, versions.roles())}".rstrip())
    for entry in (e for e in ledger.entries(paths.LEDGER) if e["version"] == version):
        say(f"{_moment(entry)}  {_told(entry)}", hang=18)
    with working(f"reading {version}"), pin.alone():
        facts = _facts(_loaded(version))
    width = max(len(key) for key in facts)
    for key, value in facts.items():
        say(f"  {key:<{width}}  {value}", hang=width + 2)
    return 0


def as_of(when: str) -> int:
    """Who was champion at the end of a day, at a moment (both UTC unless they name a zone), or in a commit."""
    entry, then = _at_moment(when) if _DATE.fullmatch(when) else (versions.as_of(when), f"in {when}")
    if entry is None:
        raise VersionError(f"{when}: no champion yet {then}; `churn-drift models list` shows since when there is one")
    print(f"{painted(entry['version'], 'bold')}  champion {then}")
    say(f"{_moment(entry)}  {_told(entry)}", hang=18)
    return 0


def diff(first: str, second: str) -> int:
    """Two versions' facts side by side, and their paired AUC on rows that neither was fitted on."""
    names = versions.resolve(first), versions.resolve(second)
    if names[0] == names[1]:
        print(f"{first} and {second} are the same version, {names[0]}")
        return 0
    with working(f"reading {names[0]} and {names[1]}"), pin.alone():
        bundles = [_loaded(name) for name in names]
    facts = [_facts(bundle) for bundle in bundles]
    table = Table("", *names, box=None, pad_edge=False, padding=(0, 2, 0, 0))
    keys = facts[0] | facts[1]
    same = [key for key in keys if facts[0].get(key) == facts[1].get(key)]
    for key in (key for key in keys if key not in same):
        table.add_row(key, *(fact.get(key, "") for fact in facts))
    terminal.show(table)
    same = [key for key in same if not key.startswith("train.")] if "params" in same else same
    say(f"\nThe same: {', '.join(same) or 'nothing'}.\n")
    with working("comparing them on the rows that neither was fitted on"):
        fought = "\n".join(_fight(bundles[0], bundles[1], names))
    say(fought)
    return 0


def rollback(name: str | None, *, reason: str) -> int:
    """An older version as champion again."""
    with working("bringing the version back"):
        entry = promotion.rollback(name, reason=reason)
    say(f"Rolled back to {entry['version']} (it replaces {entry['replaces']}); the next run will not undo it.")
    with working("moving MLflow's aliases"):
        aliases_follow()
    say(f"Keep it: git add {paths.LEDGER.parent} && git commit -m 'Roll back to {entry['version']}'")
    return 0


def verify(*, mend: bool) -> int:
    """0: all agrees, or was mended; 2: something disagrees and was only to be checked."""
    with working("comparing the pin with the folder, the ledger and MLflow"):
        found = verification.verify(mend=mend) + roles.follow(mend=mend)
    for line in found:
        say(f"{'mended' if mend else 'disagrees'}: {line}")
    if not found:
        champion = versions.roles().champion
        say(f"all agrees with {paths.CHAMPION_PIN}: champion {champion}" if champion else "nothing was ever promoted")
    elif not mend:
        say("`churn-drift models verify` mends it")
    return 2 if found and not mend else 0


def _at_moment(when: str) -> tuple[Mapping[str, Any] | None, str]:
    try:
        moment = datetime.fromisoformat(when)
    except ValueError as error:
        raise VersionError(f"{when}: no date ({error}); give one such as 2026-11-23 or 2026-11-23T18:00") from None
    if len(when) == len("2026-11-23"):
        moment = datetime.combine(moment, time.max)
    moment = moment.replace(tzinfo=moment.tzinfo or UTC)
    return ledger.as_of(ledger.entries(paths.LEDGER), moment), f"at {moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def _loaded(version: str) -> Bundle:
    with versions.folder_of(version) as folder:
        return load(folder, expected=version)


def _fight(first: Bundle, second: Bundle, names: tuple[str, str]) -> Iterator[str]:
    from churn_drift.data.batches import BatchFolder
    from churn_drift.policy.head_to_head import bouts, knows, mean_of

    if not paths.BATCHES.exists():
        yield "No comparison on the same rows: data/batches is not here; `dvc pull` or `dvc repro` brings it."
        return
    batches = BatchFolder(paths.BATCHES)
    strangers = [name for name, bundle in zip(names, (first, second), strict=True) if not knows(batches, bundle)]
    if strangers:
        yield f"No comparison on the same rows: {strangers[0]} was not fitted on this data/batches."
        return
    fought = bouts(batches, first, second, confidence=CONFIDENCE)
    if not fought:
        yield "No comparison on the same rows: each labelled batch was learnt from by one of the two."
        return
    yield "AUC on rows that neither was fitted on; the second's less the first's (95 %):"
    for bout in fought:
        yield (
            f"  {bout.name}  {bout.rows:,} customers  {_number(bout.first.value)}  {_number(bout.second.value)}  "
            f"{_interval(vars(bout.difference))}"
        )
    if len(fought) > 1:
        yield f"  mean of {len(fought)} batches  {_interval(vars(mean_of(fought, confidence=CONFIDENCE)))}"


def _facts(bundle: Bundle) -> dict[str, str]:
    facts = bundle.facts
    window = facts["batches"]
    return {
        "parent": facts["parent"] or "none",
        "reason": facts["reason"],
        "fitted on": f"{window[0]} to {window[-1]}" if len(window) > 1 else window[0],
        "customers": f"{facts['rows']:,}",
        "churn rate": _number(facts["churn_rate"]),
        "threshold": _number(bundle.threshold),
        "calibration": f"{bundle.calibration.slope:.3f} x margin {bundle.calibration.intercept:+.3f}",
        "features": str(len(bundle.features)),
        "data": facts["data"],
        "params": facts["params"],
        **{f"train.{key}": str(value) for key, value in facts["train"].items()},
    }


def _told(entry: Mapping[str, Any]) -> str:
    replaced = f", replacing {entry['replaces']}" if entry["replaces"] else ""
    commit = f" (at commit {entry['commit'][:10]})" if entry.get("commit") else ""
    return f"{entry['action']}{replaced}: {entry['reason']}{commit}"


def _role(version: str, held: versions.Roles) -> str:
    names = [name for name, holder in vars(held).items() if holder == version]
    return ", ".join(name for name in names if not (name == "candidate" and "challenger" in names))


def _place(folder: Path | None) -> str:
    """Where a version without a role lies: `retrained 03`, or only with DVC."""
    return f"{folder.parent.name} {folder.name[:2]}" if folder else "in DVC"


def _moment(entry: Mapping[str, Any]) -> str:
    return f"{ledger.time_of(entry):%Y-%m-%d %H:%M}" if entry else ""


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


def _interval(difference: Mapping[str, Any]) -> str:
    value, low, high = difference["value"], difference["low"], difference["high"]
    return f"{value:+.4f}" + (f" [{low:+.4f}, {high:+.4f}]" if low is not None else " (no interval)")


def _hint() -> None:
    missing = promotion.missing_line()
    if missing:
        say(f"{missing['version']} is pinned, but the ledger does not say so; `churn-drift models verify` mends it")
