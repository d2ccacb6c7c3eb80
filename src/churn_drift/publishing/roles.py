"""The roles of pin and ledger, as MLflow's aliases."""

import json
from collections.abc import Mapping

from churn_drift import paths
from churn_drift.data import files
from churn_drift.publishing import address, outbox, registry
from churn_drift.publishing.registry import Holder
from churn_drift.tracking import dvc, pin, versions

SEEN = outbox.FOLDER / "aliases.json"
"""Who held which role when the aliases of a store were last right: MLflow takes longer to import than a run takes."""


def follow(*, mend: bool, ask: bool = True) -> list[str]:
    """One line for each alias that is not as pin and ledger have it, mended where asked.

    ask   the store, even where nothing has changed here since its aliases were last right

    MLflow is passed over where it has no store. Raises PipelineError where the store does not answer.
    """
    if not registry.exists():
        return []
    with pin.alone():
        holders = _holders()
        if not ask and _seen().get(str(address.identity())) == _written(holders):
            return []
        said = registry.sync(holders, mend=mend)
        if mend or not said:
            files.write_json({**_seen(), str(address.identity()): _written(holders)}, SEEN)
    return said


def _holders() -> dict[str, Holder]:
    held = versions.roles()
    holders = {"champion": held.champion, "previous": held.previous, "challenger": held.challenger}
    return {role: _holder(version) for role, version in holders.items() if version is not None}


def _holder(version: str) -> Holder:
    folder = versions.folders().get(version, paths.CHAMPION)
    hashed = versions.pin_of(version) or dvc.hash_of(folder)
    return Holder(version=version, pin=hashed, path=str(folder), folder=lambda: versions.folder_of(version))


def _written(holders: Mapping[str, Holder]) -> dict[str, list[str]]:
    return {role: [holder.version, holder.pin, holder.path] for role, holder in holders.items()}


def _seen() -> dict[str, object]:
    """By store. Nothing where the memory is absent or damaged: then the store is asked."""
    try:
        return dict(json.loads(SEEN.read_bytes()))
    except (FileNotFoundError, ValueError, TypeError):
        return {}
