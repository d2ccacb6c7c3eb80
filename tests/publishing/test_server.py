"""A real tracking server, by environment alone: PostgreSQL for the runs, S3 for the artifacts, and it dies."""

import os
import pwd
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import boto3
import pytest

from churn_drift.publishing.registry import MODEL
from churn_drift.publishing.store import EXPERIMENT, KEY
from scripts.s3_server import REGION, Server, free_port, serve
from tests.conftest import Records
from tests.publishing import pipeline

pytestmark = pytest.mark.long
BUCKET = "mlflow"
POSTGRES = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))


@contextmanager
def postgres(folder: Path) -> Iterator[str]:
    """An empty database server; its address. PostgreSQL refuses to run as root: then Debian's user has the folder."""
    if not POSTGRES:
        pytest.skip("needs Debian's postgresql: make test-deps")
    tools, port = POSTGRES[-1].parent, free_port()
    folder.mkdir()
    user = "postgres" if os.geteuid() == 0 else None
    if user:
        shutil.chown(folder, user)

    def run(*command: str) -> None:
        home = pwd.getpwnam(user).pw_dir if user else str(folder)
        done = subprocess.run(
            command, user=user, cwd=folder, env={**os.environ, "HOME": home}, stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr

    data = str(folder / "data")
    run(str(tools / "initdb"), "-D", data, "-A", "trust", "-U", "mlflow", "--no-locale", "-E", "UTF8")
    options = f"-h 127.0.0.1 -p {port} -k {folder} -c fsync=off"
    run(str(tools / "pg_ctl"), "-D", data, "-o", options, "-l", str(folder / "log"), "-w", "start")
    try:
        yield f"postgresql://mlflow@127.0.0.1:{port}/postgres"
    finally:
        run(str(tools / "pg_ctl"), "-D", data, "-m", "immediate", "stop")


@dataclass
class Tracking:
    """MLflow's server on this database and bucket; it can be killed, and started again on the same port."""

    database: str
    s3: Server
    folder: Path
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def uri(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(self.port)]
        command += ["--backend-store-uri", self.database, "--artifacts-destination", f"s3://{BUCKET}/artifacts"]
        settings = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_S3_ENDPOINT_URL": self.s3.endpoint}
        settings |= {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}  # a dozen processes that nobody here needs
        with (self.folder / "mlflow.log").open("ab") as log:
            self.process = subprocess.Popen(
                [*command, "--workers", "1"], cwd=self.folder, env={**os.environ, **self.s3.environment(), **settings},
                stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        end = time.monotonic() + 120
        while not self.answers():
            assert self.process.poll() is None, (self.folder / "mlflow.log").read_text()[-2000:]
            assert time.monotonic() < end, "MLflow's server does not start"
            time.sleep(0.2)

    def answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.uri}/health", timeout=2) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def kill(self) -> None:
        if self.process is not None and self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def request(self, path: str, body: bytes) -> bytes:
        told = urllib.request.Request(f"{self.uri}/api/2.0/mlflow/{path}", body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(told, timeout=20) as answer:
            return bytes(answer.read())


@pytest.fixture(scope="module")
def tracking(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tracking]:
    folder = Path("/tmp") / f"churn-drift-postgres-{os.getpid()}"
    with serve(tmp_path_factory.mktemp("s3")) as s3, postgres(folder) as database:
        s3.create_bucket(BUCKET)
        server = Tracking(database, s3, tmp_path_factory.mktemp("server"))
        server.start()
        yield server
        server.kill()
    shutil.rmtree(folder)


def runs(tracking: Tracking) -> list:
    """Every run of ours that nobody has deleted, children included."""
    from mlflow import MlflowClient

    client = MlflowClient(tracking.uri)
    experiment = client.get_experiment_by_name(EXPERIMENT)
    return list(client.search_runs([experiment.experiment_id])) if experiment else []


def objects(s3: Server) -> list[str]:
    client = boto3.client(
        "s3", endpoint_url=s3.endpoint, aws_access_key_id=s3.key, aws_secret_access_key=s3.secret, region_name=REGION
    )
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET)
    return [found["Key"] for page in pages for found in page.get("Contents", ())]


def test_a_server_that_dies_in_mid_publish_loses_nothing_and_the_next_call_makes_one_run(
    here: Path, tracking: Tracking
) -> None:
    publisher = subprocess.Popen(
        [sys.executable, "-m", "churn_drift.cli", "publish"], cwd=here, text=True,
        env=pipeline.environment(here, MLFLOW_TRACKING_URI=tracking.uri),
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    try:
        end = time.monotonic() + 60
        while not runs(tracking):
            assert time.monotonic() < end
            assert publisher.poll() is None
    finally:
        tracking.kill()
    said = publisher.communicate(timeout=120)[0]
    assert publisher.returncode == 1
    assert "nothing is lost, the run waits in .outbox: `churn-drift publish` sends it" in said
    assert "Traceback" not in said

    tracking.start()
    assert [run.info.status for run in runs(tracking) if KEY in run.data.tags] == ["RUNNING"]
    assert "published: " in pipeline.publish(here, MLFLOW_TRACKING_URI=tracking.uri)
    found = runs(tracking)
    assert {run.info.status for run in found} == {"FINISHED"}
    assert len([run for run in found if KEY in run.data.tags]) == 1
    assert not [path for path in (here / ".outbox").iterdir() if path.is_dir()]


def test_run_artifacts_and_model_are_on_the_server_and_nothing_here(
    here: Path, tracking: Tracking, raw_records: Records
) -> None:
    pipeline.publish(here, MLFLOW_TRACKING_URI=tracking.uri)
    (run,) = [run for run in runs(tracking) if KEY in run.data.tags]
    stored = objects(tracking.s3)
    assert [key for key in stored if key.endswith("/decisions/timeline.csv") and run.info.run_id in key]
    assert [key for key in stored if key.endswith("/model.ubj")]
    assert not [key for key in stored if key.endswith((".pkl", ".pickle", ".joblib"))]
    assert not (here / "mlflow.db").exists()
    assert not (here / "mlruns").exists()


def test_a_registered_model_scores_raw_records_from_the_server(
    here: Path, tracking: Tracking, raw_records: Records
) -> None:
    pipeline.publish(here, MLFLOW_TRACKING_URI=tracking.uri)
    said = pipeline.call(
        here, sys.executable, "-c",
        "from churn_drift.publishing import registry; from contextlib import nullcontext; from pathlib import Path\n"
        "from churn_drift.model.bundle import version_of; folder = Path('models/candidate')\n"
        "one = registry.Holder(version_of(folder), 'a.dir', str(folder), lambda: nullcontext(folder))\n"
        "print(registry.sync({'champion': one}, mend=True))",
        MLFLOW_TRACKING_URI=tracking.uri,
    )  # fmt: skip
    assert "champion" in said

    import mlflow

    mlflow.set_tracking_uri(tracking.uri)
    scored = mlflow.pyfunc.load_model(f"models:/{MODEL}@champion").predict(raw_records(5))
    assert list(scored) == ["probability", "decision"]
    assert scored["probability"].between(0, 1).all()
