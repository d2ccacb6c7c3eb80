"""Speed and size of the server on this machine, as ratios measured in one run: trust the ratios.

    python benchmarks/serving.py [--seconds 8] [--clients 4]

One customer a request against an empty Flask JSON echo on the same gunicorn with the same workers and threads, in
turn; what the inference log costs it, by few pairs (`benchmarks/log_cost.py` settles it by many); a list of 1,000
customers against as many single calls; a CSV of 100,000 against its parser and its model alone; memory, and the time
from the start to the first answer. The model is models/champion, unless --model names another folder.
`benchmarks/peers.py` compares with other servers.
"""

import argparse
import contextlib
import io
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import psutil
from load import ROOT, ROUNDS, Ask, Load, Running, forget_peak, load, middle, peak, pss, running
from log_cost import OURS, customer, log_cost

MANY = 1_000
PAIRS = 6
BATCH = 100_000
ECHO = """
import os
from flask import Flask, jsonify, request
from gunicorn.app.base import BaseApplication

app = Flask(__name__)

@app.post("/predict")
def predict():
    return jsonify(len(request.get_json()))

class Server(BaseApplication):
    def load_config(self):
        options = dict(bind="127.0.0.1:" + os.environ["PORT"], worker_class="gthread", workers=2, threads=4)
        for name, value in (options | dict(keepalive=75, preload_app=True, control_socket_disable=True)).items():
            self.cfg.set(name, value)

    def load(self):
        return app

Server().run()
"""


def main() -> None:
    """Print rates, latencies, sizes and the ratios, each ratio beside its limit."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=8, help="of load on each server, in three rounds")
    parser.add_argument("--clients", type=int, default=4, help="that ask at a time")
    parser.add_argument("--model", type=Path, default=ROOT / "models/champion", help="folder of the model to serve")
    chosen = parser.parse_args()
    if not chosen.model.is_dir():
        sys.exit(f"{chosen.model}: no such model; `churn-drift run` makes one, or name another by --model")
    os.environ["OMP_NUM_THREADS"] = "1"  # as the server's workers have it
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} before the start (above 0.5: others run beside us)")
    one = Ask("/predict", json.dumps(customer()).encode())
    with tempfile.TemporaryDirectory(prefix="churn-drift-") as scratch, contextlib.ExitStack() as servers:
        folder = Path(scratch)
        shutil.copytree(chosen.model, folder / "models/champion")
        echo = servers.enter_context(running([sys.executable, "-c", ECHO], folder, one))
        serve = [sys.executable, str(ROOT / "serve-model.py")]
        served = servers.enter_context(running(serve, folder, one, OURS))
        silent = servers.enter_context(running(serve, folder, one, {**OURS, "SERVE_LOG": "off"}))
        compare(echo, silent, served, one, seconds=chosen.seconds / ROUNDS, clients=chosen.clients)
        log_cost(silent, served, one, pairs=PAIRS, seconds=chosen.seconds / ROUNDS, clients=chosen.clients)
        lists(served, one, seconds=chosen.seconds / ROUNDS)
        sizes(echo, served)
        batch(served, chosen.model)


def compare(echo: Running, silent: Running, served: Running, one: Ask, *, seconds: float, clients: int) -> None:
    """The servers in turn; `silent` keeps no inference log."""
    ports = (echo.port, silent.port, served.port)
    for port in ports:
        load(port, one, seconds=1, clients=clients)
    for asking in (1, clients):
        rounds = [[load(port, one, seconds=seconds, clients=asking) for port in ports] for _ in range(ROUNDS)]
        print(f"\n{asking} client{'s' * (asking > 1)}, one customer{'':12}{'a second':>9}{'p50, ms':>9}{'p99, ms':>9}")
        for name, loads in zip(("echo", "predict, no log", "predict"), zip(*rounds, strict=True), strict=True):
            best = sorted(loads, key=Load.rate)[ROUNDS // 2]
            print(f"  {name:<30}{best.rate():9.0f}{best.quantile(0.5) * 1000:9.2f}{best.quantile(0.99) * 1000:9.2f}")
        row("p50 predict : echo", middle([c.quantile(0.5) / a.quantile(0.5) for a, _, c in rounds]), limit=1.5)


def lists(served: Running, one: Ask, *, seconds: float) -> None:
    """One list against single calls."""
    many = Ask("/predict", json.dumps([customer()] * MANY).encode())
    single = load(served.port, one, seconds=seconds, clients=1).quantile(0.5) * MANY
    listed = load(served.port, many, seconds=seconds, clients=1).quantile(0.5)
    print(f"\n{MANY:,} customers, one client: {listed * 1000:.0f} ms as a list, {single * 1000:.0f} ms one by one")
    row("list : single calls", listed / single, limit=0.05)


def sizes(echo: Running, served: Running) -> None:
    """Time to the first answer, and memory after the load."""
    print(f"\n{'':32}{'start, s':>9}{'a worker':>9}{'in all':>9}   MiB (PSS: shared pages counted once)")
    for name, one in (("echo", echo), ("predict", served)):
        tree = [pss(process) for process in one.tree()]
        print(f"  {name:<30}{one.seconds:9.1f}{middle(tree[1:]):9.0f}{sum(tree):9.0f}")


def batch(served: Running, folder: Path) -> None:
    """A CSV over HTTP, against its parser and its model alone, whole columns at once, and what a worker grows by."""
    import pyarrow
    from pyarrow import csv

    from churn_drift import schema
    from churn_drift.data.frames import columns_of
    from churn_drift.data.preprocess import typed_cells
    from churn_drift.data.simulator import load_statistics, simulate
    from churn_drift.model.bundle import load as load_bundle
    from churn_drift.model.inference import Scorer

    content = simulate(load_statistics(), rows=BATCH, seed=1).to_csv(index=False, na_rep="NA").encode()
    bundle = load_bundle(folder)
    scorer, as_text = Scorer(bundle), dict.fromkeys(schema.NAMES, pyarrow.string())

    def parse() -> pd.DataFrame:
        options = csv.ReadOptions(use_threads=False), None, csv.ConvertOptions(column_types=as_text)
        cells = csv.read_csv(io.BytesIO(content), *options).to_pandas()
        strict = {"source": "benchmark", "zero_is_missing": bundle.zero_is_missing}
        return pd.DataFrame({c.name: typed_cells(cells[c.name], c, **strict) for c in schema.RECORD})

    columns = columns_of(parse())
    parsing, scoring = fastest(parse), fastest(lambda: scorer(columns))
    workers = served.tree()[1:]
    before = {worker: resident(worker) for worker in workers}
    for worker in workers:
        forget_peak(worker)
    sent = Ask("/predict/batch", content, "text/csv")
    taken = middle([load(served.port, sent, seconds=0.1, clients=1).quantile(0.5) for _ in range(ROUNDS)])
    grown = max(peak(worker) - before[worker] for worker in workers)
    print(f"\nCSV of {BATCH:,} customers, {len(content) / 2**20:.0f} MiB: {taken:.2f} s over HTTP")
    print(f"  alone: its parser (text, then types) {parsing:.2f} s, the model {scoring:.2f} s")
    row("HTTP : parser + model", taken / (parsing + scoring), limit=2)
    row("a worker grows by, MiB", grown, limit=300)


def resident(process: psutil.Process) -> float:
    return float(process.memory_info().rss / 2**20)


def fastest(call: Callable[[], object]) -> float:
    """Seconds of a call, the fastest of three."""
    taken = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        call()
        taken.append(time.perf_counter() - start)
    return min(taken)


def row(name: str, ratio: float, *, limit: float) -> None:
    """One line; the ratio is held against its limit."""
    print(f"  {name:<30}{ratio:9.2f}{limit:9g}{'' if ratio <= limit else '   over'}")


if __name__ == "__main__":
    main()
