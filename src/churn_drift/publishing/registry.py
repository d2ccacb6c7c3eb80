"""MLflow's registered model: a version for each model that holds a role, found by our own id, and the roles as aliases.

What is told here follows the pin and the ledger; nothing is decided by it.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from churn_drift.errors import PipelineError
from churn_drift.publishing import address, logged
from churn_drift.publishing.store import Store, opened

if TYPE_CHECKING:
    from mlflow.entities import LoggedModel
    from mlflow.entities.model_registry import ModelVersion

MODEL = "churn-drift"
ALIASES = ("champion", "challenger", "previous")
DESCRIPTION = "Churn models that held a role. The pin models/champion.dvc is the truth; these aliases follow it."
REMEDY = "`churn-drift models verify` sets the aliases when it answers again"


@dataclass(frozen=True)
class Holder:
    """A model that holds a role.

    version  its id: 12 hex digits
    pin      DVC's hash of its directory
    path     where DVC has it, such as models/champion
    folder   brings its directory, for the while; called only where MLflow does not have the model yet
    """

    version: str
    pin: str
    path: str
    folder: Callable[[], AbstractContextManager[Path]]


def exists() -> bool:
    """Whether there is a store to look at. Imports no MLflow."""
    return address.exists()


def sync(holders: Mapping[str, Holder], *, mend: bool) -> list[str]:
    """One line for each alias and version that is not as the holders have it; mended where asked.

    holders  alias to who holds it; an alias of ours that is not among them belongs to nobody

    Aliases that are not ours stay. Raises PipelineError where the store does not answer.
    """
    with opened(remedy=REMEDY) as store:
        return list(_Registry(store, mend=mend).differences(holders))


class _Registry:
    def __init__(self, store: Store, *, mend: bool) -> None:
        self._store = store
        self._client = store.client
        self._mend = mend

    def differences(self, holders: Mapping[str, Holder]) -> Iterator[str]:
        aliases = self._aliases()
        for alias in ALIASES:
            if alias in holders:
                yield from self._held(alias, holders[alias], aliases.get(alias))
            elif alias in aliases:
                yield f"MLflow: {alias} is {self._id_of(aliases[alias])}, but nobody holds this role"
                if self._mend:
                    self._client.delete_registered_model_alias(MODEL, alias)

    def _held(self, alias: str, holder: Holder, number: str | None) -> Iterator[str]:
        registered = self._version_of(holder)
        if registered is None or number != str(registered.version):
            yield f"MLflow: {alias} is {self._id_of(number) if number else 'nobody'}, not {holder.version}"
        elif (pin := registered.tags.get("dvc_hash")) != holder.pin:
            yield f"MLflow: {alias} {holder.version} has the DVC hash {pin}, not {holder.pin}"
        if self._mend:
            registered = registered or self._register(holder)
            self._tag(registered, holder)
            if number != str(registered.version):
                self._client.set_registered_model_alias(MODEL, alias, str(registered.version))

    def _id_of(self, number: str) -> str:
        """Our id of a registered version; MLflow's own number where somebody else made it."""
        return str(self._client.get_model_version(MODEL, number).tags.get("version", f"version {number}"))

    def _aliases(self) -> dict[str, str]:
        """Alias to the number of the version it points at; none where nothing was ever registered."""
        found = self._client.search_registered_models(f"name = '{MODEL}'")
        return {alias: str(number) for alias, number in found[0].aliases.items()} if found else {}

    def _version_of(self, holder: Holder) -> "ModelVersion | None":
        """The registered version of a model; the first, should publishers on several machines have made several."""
        found = self._client.search_model_versions(f"name = '{MODEL}' and tags.version = '{holder.version}'")
        return min(found, key=lambda version: int(version.version), default=None)

    def _register(self, holder: Holder) -> "ModelVersion":
        """The model that a published run has logged, else the one that the holder brings."""
        from mlflow.exceptions import MlflowException

        try:
            self._client.create_registered_model(MODEL, description=DESCRIPTION)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
        model = self._logged(holder)
        self._client.create_model_version(
            MODEL,
            source=f"models:/{model.model_id}",
            run_id=model.source_run_id,
            tags={"version": holder.version, **_tags(holder)},
            description=model.tags.get("reason"),
            model_id=model.model_id,
        )
        registered = self._version_of(holder)
        if registered is not None:
            links = [{"name": MODEL, "version": registered.version}]
            self._client.set_logged_model_tags(model.model_id, {"mlflow.modelVersions": json.dumps(links)})
        else:
            raise PipelineError(f"MLflow: {holder.version} was deleted while it was registered; {REMEDY}")
        return registered

    def _logged(self, holder: Holder) -> "LoggedModel":
        """MLflow's model: the first that a run has logged, or one made now, of no run."""
        models = self._client.search_logged_models([self._store.experiment], f"tags.version = '{holder.version}'")
        ready = [model for model in models if model.status == "READY"]
        if ready:
            return min(ready, key=lambda model: (model.creation_timestamp, model.model_id))
        with holder.folder() as folder:
            made = logged.log(self._client, self._store.experiment, folder, run=None, tags=_tags(holder))
        return self._client.get_logged_model(made)

    def _tag(self, registered: "ModelVersion", holder: Holder) -> None:
        for name, value in _tags(holder).items():
            if registered.tags.get(name) != value:
                self._client.set_model_version_tag(MODEL, registered.version, name, value)


def _tags(holder: Holder) -> dict[str, str]:
    return {"dvc_hash": holder.pin, "dvc_path": holder.path}
