"""The roles of pin and ledger, as MLflow's aliases."""

from churn_drift import paths
from churn_drift.publishing import registry
from churn_drift.publishing.registry import Holder
from churn_drift.tracking import dvc, pin, versions


def follow(*, mend: bool) -> list[str]:
    """One line for each alias that is not as pin and ledger have it, mended where asked.

    MLflow is passed over where it has no store. Raises PipelineError where the store does not answer.
    """
    if not registry.exists():
        return []
    with pin.alone():
        return registry.sync(_holders(), mend=mend)


def _holders() -> dict[str, Holder]:
    held = versions.roles()
    holders = {"champion": held.champion, "previous": held.previous, "challenger": held.challenger}
    return {role: _holder(version) for role, version in holders.items() if version is not None}


def _holder(version: str) -> Holder:
    folder = versions.folders().get(version, paths.CHAMPION)
    hashed = versions.pin_of(version) or dvc.hash_of(folder)
    return Holder(version=version, pin=hashed, path=str(folder), folder=lambda: versions.folder_of(version))
