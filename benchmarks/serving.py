"""Speed of the server on this machine, as ratios measured in one run: trust the ratios.

    python benchmarks/serving.py [--seconds 8] [--clients 4]

One customer a request against an empty Flask JSON echo, both on the same gunicorn with the same workers and threads,
in turn; and a list of 1,000 customers against as many single calls. The model is models/champion, unless
--model names another folder.
"""

import argparse
import contextlib
import http.client
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
ROUNDS = 3
MANY = 1_000
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
        options = dict(bind="127.0.0.1:0", worker_class="gthread", workers=2, threads=4, keepalive=75, preload_app=True)
        for name, value in (options | dict(control_socket_disable=True)).items():
            self.cfg.set(name, value)

    def load(self):
        return app

Server().run()
"""


@dataclass(frozen=True)
class Load:
    """What a number of clients saw: every request's seconds, sorted, and how long all of it took."""

    taken: Sequence[float]
    wall: float

    def rate(self) -> float:
        return len(self.taken) / self.wall

    def quantile(self, share: float) -> float:
        return self.taken[int(share * (len(self.taken) - 1))]


def main() -> None:
    """Print rates, latencies and the ratios, each ratio beside its limit."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=8, help="of load on each server, in three rounds")
    parser.add_argument("--clients", type=int, default=4, help="that ask at a time")
    parser.add_argument("--model", type=Path, default=ROOT / "models/champion", help="folder of the model to serve")
    chosen = parser.parse_args()
    if not chosen.model.is_dir():
        sys.exit(f"{chosen.model}: no such model; `churn-drift run` makes one, or name another by --model")
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} before the start (above 0.5: others run beside us)")
    with tempfile.TemporaryDirectory(prefix="churn-drift-") as folder, contextlib.ExitStack() as servers:
        shutil.copytree(chosen.model, Path(folder) / "models/champion")
        echo = servers.enter_context(running(["-c", ECHO], Path(folder)))
        served = servers.enter_context(running([str(ROOT / "serve-model.py"), "--port", "0"], Path(folder)))
        compare(echo, served, seconds=chosen.seconds / ROUNDS, clients=chosen.clients)


def compare(echo: int, served: int, *, seconds: float, clients: int) -> None:
    """The two servers in turn, then one list against single calls."""
    one = json.dumps(customer()).encode()
    for port in (echo, served):
        load(port, one, seconds=1, clients=clients)
    for asking in (1, clients):
        rounds = [[load(port, one, seconds=seconds, clients=asking) for port in (echo, served)] for _ in range(ROUNDS)]
        print(f"\n{asking} client{'s' * (asking > 1)}, one customer{'':12}{'a second':>9}{'p50, ms':>9}{'p99, ms':>9}")
        for name, loads in zip(("echo", "predict"), zip(*rounds, strict=True), strict=True):
            best = sorted(loads, key=Load.rate)[ROUNDS // 2]
            print(f"  {name:<30}{best.rate():9.0f}{best.quantile(0.5) * 1000:9.2f}{best.quantile(0.99) * 1000:9.2f}")
        ratios = [served.quantile(0.5) / echo.quantile(0.5) for echo, served in rounds]
        row("p50 predict : echo", sorted(ratios)[ROUNDS // 2], limit=1.5)
    many = json.dumps([customer()] * MANY).encode()
    single = load(served, one, seconds=seconds, clients=1).quantile(0.5) * MANY
    listed = load(served, many, seconds=seconds, clients=1).quantile(0.5)
    print(f"\n{MANY:,} customers, one client: {listed * 1000:.0f} ms as a list, {single * 1000:.0f} ms one by one")
    row("list : single calls", listed / single, limit=0.2)


def row(name: str, ratio: float, *, limit: float) -> None:
    """One line; the ratio is held against its limit."""
    print(f"  {name:<30}{ratio:9.2f}{limit:9g}{'' if ratio <= limit else '   over'}")


def customer() -> dict[str, object]:
    """A whole record: the typical values of the committed statistics are not needed, only every field."""
    from churn_drift import schema

    return {c.name: (c.levels or ("NYCBRO917",))[0] if c.kind == "category" else 1.0 for c in schema.RECORD}


def load(port: int, content: bytes, *, seconds: float, clients: int) -> Load:
    """Ask from several threads, each on a connection that it keeps, for some seconds."""
    taken: list[float] = []
    start = time.perf_counter()
    threads = [threading.Thread(target=ask, args=(port, content, start + seconds, taken)) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return Load(sorted(taken), time.perf_counter() - start)


def ask(port: int, content: bytes, end: float, taken: list[float]) -> None:
    """One client. Anything but a 200 ends the benchmark."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    while (begin := time.perf_counter()) < end:
        connection.request("POST", "/predict", body=content, headers={"Content-Type": "application/json"})
        answer = connection.getresponse()
        said = answer.read()
        if answer.status != 200:
            raise SystemExit(f"{answer.status} {said!r}")
        taken.append(time.perf_counter() - begin)
    connection.close()


@contextlib.contextmanager
def running(arguments: Sequence[str], folder: Path) -> Iterator[int]:
    """The port of a server that stops with the block."""
    environment = {**os.environ, "WEB_CONCURRENCY": "2", "SERVE_THREADS": "4", "PYTHONPATH": str(ROOT / "src")}
    with subprocess.Popen(
        [sys.executable, *arguments], cwd=folder, env=environment, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            yield port_of(process)
        finally:
            process.terminate()
            process.wait()


def port_of(process: subprocess.Popen[str]) -> int:
    """From what gunicorn says at its start; what it says later is read and forgotten."""
    said = []
    for line in process.stderr or ():
        said.append(line)
        if found := re.search(r"Listening at: http://[\d.]+:(\d+)", line):
            threading.Thread(target=list, args=(process.stderr,), daemon=True).start()
            return int(found[1])
    sys.exit("".join(said))


if __name__ == "__main__":
    main()
