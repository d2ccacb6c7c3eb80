"""The server beside others, with the same model, on the same machine, in one run: trust the ratios.

    python benchmarks/peers.py [--seconds 2] [--clients 16]

`mlflow models serve` on the model as `churn-drift publish` logs it; BentoML with the row that our server makes and
XGBoost's `inplace_predict`, and with a DataFrame; and an empty Flask JSON echo on our server's gunicorn, the floor. Two
worker processes each, asked in turn, in three rounds, medians. BentoML is installed into .cache/peers, once, by uv.
The model is models/champion, unless --model names another folder. It takes three minutes.
"""

import argparse
import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from load import ROOT, ROUNDS, Ask, Load, Running, load, middle, pss, running
from serving import ECHO, OURS, customer

BENTOML = "bentoml==1.4.39"
HOME = ROOT / ".cache/peers"
QUIET = {"BENTOML_DO_NOT_TRACK": "true", "BENTOML_HOME": str(HOME / "home"), "MLFLOW_DISABLE_TELEMETRY": "true"}
ONE_THREAD = {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT / "src")}
LEAST = {"mlflow models serve": 5, "BentoML, numpy": 1, "BentoML, DataFrame": 1}
"""Requests a second that our server must answer for each of theirs."""

SERVICE = """
from pathlib import Path
from typing import Any

import bentoml
import numpy as np
import pandas as pd

from churn_drift import schema
from churn_drift.data.frames import columns_of
from churn_drift.data.preprocess import typed_cells
from churn_drift.model.bundle import load
from churn_drift.model.inference import Booster, Scorer, calibrated
from churn_drift.serving.contract import typed
from churn_drift.serving.row import RowEncoder


@bentoml.service(workers=2)
class Numpy:
    def __init__(self) -> None:
        self.bundle = load(Path("models/champion"))
        self.booster = Booster.of_bytes(self.bundle.model, self.bundle.levels).model
        self.encoder = RowEncoder(self.bundle.levels)

    @bentoml.api
    def predict(self, customer: dict[str, Any]) -> dict[str, Any]:
        record, faults = typed(customer, zero_is_missing=self.bundle.zero_is_missing)
        if faults:
            raise bentoml.exceptions.InvalidArgument(str(faults))
        matrix = np.array([self.encoder(record)[0]], dtype=np.float32)
        margin = self.booster.inplace_predict(matrix, predict_type="margin")
        probability = float(calibrated(margin.astype(np.float64), self.bundle.calibration)[0])
        return {"probability": probability, "decision": probability >= self.bundle.threshold}


@bentoml.service(workers=2)
class Frame:
    def __init__(self) -> None:
        self.scorer = Scorer(load(Path("models/champion")))

    @bentoml.api
    def predict(self, customer: dict[str, Any]) -> dict[str, Any]:
        cells = pd.DataFrame([{name: "" if value is None else str(value) for name, value in customer.items()}])
        strict = {"source": "body", "zero_is_missing": self.scorer.bundle.zero_is_missing}
        frame = pd.DataFrame({c.name: typed_cells(cells[c.name], c, **strict) for c in schema.RECORD})
        scores = self.scorer(columns_of(frame))
        return {"probability": float(scores.probability[0]), "decision": bool(scores.decision[0])}
"""

LOGGED = """
import sys
from pathlib import Path
from mlflow import MlflowClient
from churn_drift.publishing import logged

client = MlflowClient("sqlite:///mlflow.db")
model = logged.log(client, client.create_experiment("peers"), Path("models/champion"), run=None, tags={})
print(client.get_logged_model(model).artifact_location)
"""


@dataclass(frozen=True)
class Peer:
    """A server and how it is asked."""

    name: str
    command: Sequence[str]
    ask: Ask
    environment: Mapping[str, str] = field(default_factory=dict)


def main() -> None:
    """Print rates, latencies, memory and start-up of each, and the ratios of the rates, beside their limits."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=2, help="of load on each server, in each of three rounds")
    parser.add_argument("--clients", type=int, default=16, help="that ask at a time, after one alone")
    parser.add_argument("--model", type=Path, default=ROOT / "models/champion", help="folder of the model to serve")
    chosen = parser.parse_args()
    if not chosen.model.is_dir():
        sys.exit(f"{chosen.model}: no such model; `churn-drift run` makes one, or name another by --model")
    install()
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} before the start (above 0.5: others run beside us)")
    with tempfile.TemporaryDirectory(prefix="churn-drift-") as scratch, contextlib.ExitStack() as servers:
        folder = Path(scratch)
        shutil.copytree(chosen.model, folder / "models/champion")
        (folder / "service.py").write_text(SERVICE)
        known = peers(folder)
        here = {
            peer.name: servers.enter_context(running(peer.command, folder, peer.ask, {**QUIET, **peer.environment}))
            for peer in known
        }
        sizes(here)
        for clients in (1, chosen.clients):
            compare(known, here, seconds=chosen.seconds, clients=clients)


def peers(folder: Path) -> list[Peer]:
    """Ours first: the others are held against it."""
    one = json.dumps(customer()).encode()
    mlflow = [*bin_of("mlflow"), "models", "serve", "--model-uri", logged(folder), "--workers", "2"]
    bento = [str(HOME / "bin/bentoml"), "serve", "--host", "127.0.0.1", "--port", "{port}"]
    return [
        Peer("churn-drift", [sys.executable, str(ROOT / "serve-model.py")], Ask("/predict", one), OURS),
        Peer("echo", [sys.executable, "-c", ECHO], Ask("/predict", one)),
        Peer("BentoML, numpy", [*bento, "service:Numpy"], Ask("/predict", b'{"customer": ' + one + b"}"), ONE_THREAD),
        Peer(
            "BentoML, DataFrame", [*bento, "service:Frame"], Ask("/predict", b'{"customer": ' + one + b"}"), ONE_THREAD
        ),
        Peer(
            "mlflow models serve",
            [*mlflow, "--env-manager", "local", "--host", "127.0.0.1", "--port", "{port}"],
            Ask("/invocations", b'{"dataframe_records": [' + one + b"]}"),
            {**ONE_THREAD, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"},
        ),
    ]


def compare(known: Sequence[Peer], here: Mapping[str, Running], *, seconds: float, clients: int) -> None:
    """The servers in turn, some rounds, medians."""
    for peer in known:
        load(here[peer.name].port, peer.ask, seconds=0.5, clients=clients)
    seen: dict[str, list[Load]] = {peer.name: [] for peer in known}
    for _ in range(ROUNDS):
        for peer in known:
            seen[peer.name].append(load(here[peer.name].port, peer.ask, seconds=seconds, clients=clients))
    ours = seen["churn-drift"]
    head = f"{clients} client{'s' * (clients > 1)}"
    print(f"\n{head:<22}{'a second':>9}{'p50, ms':>9}{'p99, ms':>9}{'ours : it':>11}{'at least':>9}")
    for name, loads in seen.items():
        rate, p50, p99 = (middle(values) for values in zip(*map(figures, loads), strict=True))
        ratio = middle([mine.rate() / its.rate() for mine, its in zip(ours, loads, strict=True)])
        told = "" if name == "churn-drift" else f"{ratio:11.2f}"
        if least := LEAST.get(name):
            told += f"{least:9g}{'' if ratio >= least else '   under'}"
        print(f"  {name:<20}{rate:9.0f}{p50 * 1000:9.2f}{p99 * 1000:9.2f}{told}")


def figures(load: Load) -> tuple[float, float, float]:
    return load.rate(), load.quantile(0.5), load.quantile(0.99)


def sizes(here: Mapping[str, Running]) -> None:
    """Time to the first answer; memory of the process tree then, with shared pages counted once, and by worker."""
    print(f"\n{'start and memory':<22}{'start, s':>9}{'MiB':>9}{'MiB : 2':>9}{'processes':>11}")
    for name, server in here.items():
        tree = server.tree()
        total = sum(pss(process) for process in tree)
        print(f"  {name:<20}{server.seconds:9.1f}{total:9.0f}{total / 2:9.0f}{len(tree):11}")


def logged(folder: Path) -> str:
    """Where MLflow has put the model: the same files, signature and loader as `churn-drift publish`."""
    environment = {**os.environ, **QUIET, "PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run(
        [sys.executable, "-c", LOGGED], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.exit(f"MLflow did not take the model:\n{done.stderr}")
    return done.stdout.split()[-1]


def bin_of(name: str) -> list[str]:
    return [str(Path(sys.executable).parent / name)]


def install() -> None:
    """BentoML in an environment of its own, with what the model needs: no dependency of the project."""
    ready = HOME / f"{BENTOML}.ready"
    if ready.exists():
        return
    uv = bin_of("uv")
    print(f"installing {BENTOML} into {HOME}", file=sys.stderr)
    subprocess.run([*uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(HOME)], check=True)
    wanted = [BENTOML, "--requirement", str(ROOT / "deploy/requirements.txt")]
    subprocess.run([*uv, "pip", "install", "--quiet", "--python", str(HOME / "bin/python"), *wanted], check=True)
    ready.touch()


if __name__ == "__main__":
    main()
