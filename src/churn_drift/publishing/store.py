"""MLflow's side: an opened store, and a record put into it once. MLflow is imported here, when a store is opened."""

import fcntl
import getpass
import json
import os
import re
import socket
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from churn_drift import paths
from churn_drift.errors import PipelineError
from churn_drift.publishing import address, logged, moved, note
from churn_drift.publishing.record import Lineage, Points, Record, Retraining

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import DatasetInput, Run

EXPERIMENT = "churn-drift"
EXPERIMENT_TAGS = {
    "mlflow.experimentKind": "custom_model_development",
    "mlflow.experiment.primaryMetric.name": "auc_policy",
    "mlflow.experiment.primaryMetric.greaterIsBetter": "True",
    "mlflow.note.content": "A run for each run of the pipeline, a child run for each promotion within its timeline.",
}
KEY = "churn_drift.key"
FINISHED = "FINISHED"

SETTINGS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_LOGGING_LEVEL": "CRITICAL",  # what fails is raised, and told in one line
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    # A server that is down must not hold up the pipeline: seconds, not MLflow's own minutes.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
}
"""Of the environment, where the user has set nothing else."""

_MOST_METRICS, _MOST_PARAMS = 1000, 100
"""That MLflow takes in one call."""

_LOCK = Path(".dvc/tmp/mlflow.lock")
_PORTS = {"postgresql": 5432, "mysql": 3306}

_ESSENCES = [
    re.compile(pattern)
    for pattern in (
        r"\[Errno -?\d+\] [^'\")]+",
        r"too many \d+ error responses",
        r"[Rr]ead timed out",
        r"error code \d+",
        r"FATAL: [^(]+",
        r"Could not connect to the endpoint URL: \S+",
    )
]
"""What is worth telling of an exception, in this order of preference."""


@dataclass(frozen=True)
class Published:
    """A run in the store; new: put there by this call; lineage: as it stands there now."""

    run_id: str
    new: bool
    lineage: Lineage


class Store:
    """An opened store. Every method may raise what MLflow raises: use it within `opened`."""

    def __init__(self, client: "MlflowClient") -> None:
        self.client = client

    @cached_property
    def experiment(self) -> str:
        """The id of the experiment, made where it is not there."""
        found = self.client.get_experiment_by_name(EXPERIMENT)
        if found is None:
            return self._make_experiment()
        if not found.experiment_id:
            raise ConnectionError("answers, but not as MLflow does; check MLFLOW_TRACKING_URI")
        if found.lifecycle_stage != "active":
            raise PipelineError(
                f"{address.shown()}: experiment {EXPERIMENT} was deleted there; "
                f"`mlflow experiments restore --experiment-id {found.experiment_id}` brings it back"
            )
        return str(found.experiment_id)

    def find(self, key: str) -> "Run | None":
        """The finished run of this key. Of several, made at once on several machines, the oldest stays."""
        finished = [run for run in self._runs(key) if run.info.status == FINISHED]
        for double in finished[1:]:
            self._discard(double)
        return finished[0] if finished else None

    def publish(self, record: Record) -> Published:
        """Put the record here, once. What a publisher that was cut off has left is deleted and made again."""
        if known := self.find(record.key):
            return Published(known.info.run_id, new=False, lineage=self.refresh(known, record.lineage))
        for partial in self._runs(record.key):
            self._discard(partial)
        self._make(record)
        run = self.find(record.key)
        if run is None:
            raise PipelineError(
                f"run {record.key} was deleted while it was published; `churn-drift publish` repeats it"
            )
        return Published(run.info.run_id, new=True, lineage=record.lineage)

    def refresh(self, run: "Run", lineage: Lineage) -> Lineage:
        """Mend a run's lineage where more is known now, such as the commit that holds it; what it is then."""
        known = _lineage_of(run)
        if not lineage.betters(known):
            return known
        best = lineage.merged(known)
        for name, value in _lineage_tags(best).items():
            self.client.set_tag(run.info.run_id, name, value)
        if best.experiment != known.experiment:
            self.client.update_run(run.info.run_id, name=best.experiment)
        return best

    def _make_experiment(self) -> str:
        from mlflow.exceptions import MlflowException

        try:
            return str(self.client.create_experiment(EXPERIMENT, tags=EXPERIMENT_TAGS))
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
            return self.experiment  # another process was faster

    def _make(self, record: Record) -> None:
        at = _milliseconds(record.lineage.at)
        tags = {
            KEY: record.key,
            **record.hashes,
            "candidate": record.version,
            **_lineage_tags(record.lineage),
            **_source(),
            "mlflow.note.content": note.markdown(record),
        }
        run = self._start(record.name, at, tags)
        self._log(run, at, params=record.params, metrics=record.metrics, series=record.series)
        self.client.log_inputs(run, datasets=[_dataset(record)])
        for file, place in record.artifacts:
            self.client.log_artifact(run, str(file), place)
        for milliseconds, retraining in enumerate(record.retrainings):  # MLflow sorts them by their start
            self._make_child(retraining, parent=run, at=at + milliseconds)
        tags = {"dvc_hash": record.hashes["candidate_dvc_hash"], "dvc_path": str(paths.CANDIDATE)}
        logged.log(self.client, self.experiment, record.candidate, run=run, tags=tags)
        self.client.update_run(run, status=FINISHED)  # `set_terminated` would make up how long it took

    def _make_child(self, retraining: Retraining, *, parent: str, at: int) -> None:
        tags = {"mlflow.parentRunId": parent, "version": retraining.version, **_source()}
        run = self._start(f"{retraining.batch} {retraining.version}", at, tags)
        self._log(run, at, params=retraining.params, metrics=retraining.metrics, series=retraining.series)
        self.client.update_run(run, status=FINISHED)  # `set_terminated` would make up how long it took

    def _start(self, name: str, at: int, tags: Mapping[str, str]) -> str:
        run = self.client.create_run(self.experiment, start_time=at, tags=dict(tags), run_name=name)
        return str(run.info.run_id)

    def _log(
        self,
        run: str,
        at: int,
        *,
        params: Mapping[str, str],
        metrics: Mapping[str, float],
        series: Mapping[str, Points],
    ) -> None:
        from mlflow.entities import Metric, Param

        points = [Metric(name, value, at, 0) for name, value in metrics.items()]
        points += [Metric(name, value, at, step) for name, found in series.items() for step, value in found]
        for some_params in _portions([Param(name, value) for name, value in params.items()], _MOST_PARAMS):
            self.client.log_batch(run, params=some_params)
        for some in _portions(points, _MOST_METRICS):
            self.client.log_batch(run, metrics=some)

    def _runs(self, key: str) -> "list[Run]":
        """Every run of this key that nobody has deleted, oldest first."""
        found = self.client.search_runs([self.experiment], f"tags.`{KEY}` = '{key}'", max_results=100)
        return sorted(found, key=lambda run: (run.info.start_time, run.info.run_id))

    def _discard(self, run: "Run") -> None:
        for child in self.client.search_runs([self.experiment], f"tags.mlflow.parentRunId = '{run.info.run_id}'"):
            self.client.delete_run(child.info.run_id)
        for model in self.client.search_logged_models([self.experiment], f"source_run_id = '{run.info.run_id}'"):
            self.client.delete_logged_model(model.model_id)
        self.client.delete_run(run.info.run_id)


@contextmanager
def opened(*, remedy: str) -> Iterator[Store]:
    """The store, made where it is a file that is not there.

    What goes wrong with it, here or within the block, is a PipelineError of one line: the store, why, the remedy.
    """
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)
    try:
        yield Store(_client())
    except Exception as error:
        if not _is_of_the_store(error):
            raise
        raise PipelineError(f"{address.shown()}: {_reason(error)}; {remedy}") from None


def _client() -> "MlflowClient":
    _knock()
    from mlflow import MlflowClient

    uri = address.resolved()
    _LOCK.parent.mkdir(parents=True, exist_ok=True)
    with _LOCK.open("w") as stream:
        # Two processes that make the tables of one new database both fail, and the file stays broken.
        fcntl.flock(stream, fcntl.LOCK_EX)
        if address.uri() == address.DEFAULT:
            moved.follow(Path.cwd(), EXPERIMENT)
        client = MlflowClient(tracking_uri=uri, registry_uri=os.environ.get("MLFLOW_REGISTRY_URI") or uri)
        client.search_experiments(max_results=1)
    return client


def _knock() -> None:
    """A database that is down is told at once; MLflow would try for minutes."""
    parts = urlsplit(address.uri())
    port = parts.port or _PORTS.get(parts.scheme.partition("+")[0])
    if parts.hostname and port and not parts.scheme.startswith("http"):
        socket.create_connection((parts.hostname, port), timeout=5).close()


def _is_of_the_store(error: Exception) -> bool:
    from alembic.util.exc import CommandError
    from boto3.exceptions import Boto3Error
    from botocore.exceptions import BotoCoreError, ClientError
    from mlflow.exceptions import MlflowException
    from requests import RequestException
    from sqlalchemy.exc import SQLAlchemyError

    known = (MlflowException, SQLAlchemyError, CommandError, RequestException, Boto3Error, BotoCoreError, ClientError)
    driver_missing = isinstance(error, ModuleNotFoundError) and not str(error.name).startswith("churn_drift")
    return isinstance(error, (*known, OSError, sqlite3.Error)) or driver_missing


def _reason(error: Exception) -> str:
    """Its essence in one line: MLflow wraps what happened three times."""
    said = address.without_secret(" ".join(str(error).split()))
    for pattern in _ESSENCES:
        if found := pattern.search(said):
            return found[0]
    return said[:300] or type(error).__name__


def _lineage_tags(lineage: Lineage) -> dict[str, str]:
    tags = {"git_dirty": str(lineage.dirty).lower()}
    if lineage.commit:
        tags |= {"git_commit": lineage.commit, "mlflow.source.git.commit": lineage.commit}
    if lineage.experiment:
        tags |= {"dvc_experiment": lineage.experiment}
    return tags


def _lineage_of(run: "Run") -> Lineage:
    tags = run.data.tags
    dirty, experiment = tags.get("git_dirty") == "true", tags.get("dvc_experiment")
    at = datetime.fromtimestamp(run.info.start_time / 1000, UTC).isoformat(timespec="seconds")
    return Lineage(at, tags.get("git_commit"), dirty, experiment)


def _dataset(record: Record) -> "DatasetInput":
    from mlflow.entities import Dataset, DatasetInput

    source = json.dumps({"uri": record.params["ingest.source"]})
    return DatasetInput(Dataset(record.data_name, record.hashes["data"], source_type="code", source=source))


def _source() -> dict[str, str]:
    """What MLflow's own pages show as user and source."""
    return {"mlflow.user": getpass.getuser(), "mlflow.source.name": "run_pipeline.py", "mlflow.source.type": "LOCAL"}


def _milliseconds(at: str) -> int:
    return int(datetime.fromisoformat(at).timestamp() * 1000)


def _portions(items: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    return (items[start : start + size] for start in range(0, len(items), size))
