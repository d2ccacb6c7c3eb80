"""What the inference log costs a server as it is shipped: two servers, with the log and without it, in short turns.

    python benchmarks/log_cost.py [--pairs 40] [--seconds 2] [--clients 4]

A pair is one turn each, in the order ABBA from pair to pair, so that what changes slowly on a shared machine changes
both alike. The CPU time is that of all threads of all of a server's processes (schedstat, nanoseconds) in its turn and
until the log has written what came in it. A figure is the geometric mean of the pairs' ratios with its 95 % interval
(Student's t of their logarithms).
"""

import argparse
import contextlib
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from load import ROOT, Ask, Running, load, middle, running
from scipy import stats

LIMIT = 1.05
WRITTEN = 0.15
"""Seconds after which what was answered has been written."""
OURS = {"WEB_CONCURRENCY": "2", "SERVE_THREADS": "4", "PYTHONPATH": str(ROOT / "src")}


@dataclass(frozen=True)
class Turn:
    """One server in one pair: CPU seconds of a request, requests a second."""

    cost: float
    rate: float


def main() -> None:
    """Print the cost and the rate with the log, as ratios to those without it, each with its interval and limit."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=40)
    parser.add_argument("--seconds", type=float, default=2, help="of load in each turn")
    parser.add_argument("--clients", type=int, default=4, help="that ask at a time")
    parser.add_argument("--model", type=Path, default=ROOT / "models/champion", help="folder of the model to serve")
    chosen = parser.parse_args()
    if not chosen.model.is_dir():
        sys.exit(f"{chosen.model}: no such model; `churn-drift run` makes one, or name another by --model")
    os.environ["OMP_NUM_THREADS"] = "1"
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} before the start (above 0.5: others run beside us)")
    one = Ask("/predict", json.dumps(customer()).encode())
    with tempfile.TemporaryDirectory(prefix="churn-drift-") as scratch, contextlib.ExitStack() as servers:
        shutil.copytree(chosen.model, Path(scratch) / "models/champion")
        serve = [sys.executable, str(ROOT / "serve-model.py")]
        silent = servers.enter_context(running(serve, Path(scratch), one, {**OURS, "SERVE_LOG": "off"}))
        served = servers.enter_context(running(serve, Path(scratch), one, OURS))
        log_cost(silent, served, one, pairs=chosen.pairs, seconds=chosen.seconds, clients=chosen.clients)


def log_cost(silent: Running, served: Running, one: Ask, *, pairs: int, seconds: float, clients: int) -> None:
    """`silent` keeps no inference log."""
    for server in (silent, served):
        load(server.port, one, seconds=1, clients=clients)
    turns = []
    for number in range(pairs):
        first, second = (
            turn(server, one, seconds=seconds, clients=clients) for server in in_turn(number, silent, served)
        )
        turns.append(in_turn(number, first, second))
    without, kept = (middle([each[n].cost for each in turns]) for n in range(2))
    print(f"\nCPU of a request: {without * 1e6:.0f} µs without the inference log, {kept * 1e6:.0f} with it")
    said("CPU, with log : without", [b.cost / a.cost for a, b in turns])
    said("requests a second, without : with", [a.rate / b.rate for a, b in turns])


def in_turn(number: int, first: Any, second: Any) -> tuple[Any, Any]:
    return (second, first) if number % 2 else (first, second)


def turn(server: Running, one: Ask, *, seconds: float, clients: int) -> Turn:
    before = cpu(server)
    asked = load(server.port, one, seconds=seconds, clients=clients)
    time.sleep(WRITTEN)
    return Turn((cpu(server) - before) / len(asked.taken), asked.rate())


def cpu(server: Running) -> float:
    """Seconds that all threads of its processes have run so far."""
    return sum(ran(process) for process in server.tree()) / 1e9


def ran(process: psutil.Process) -> int:
    """Nanoseconds."""
    return sum(int(task.read_text().split()[0]) for task in Path(f"/proc/{process.pid}/task").glob("*/schedstat"))


def said(name: str, ratios: Sequence[float]) -> None:
    """One line: the mean with its interval beside the limit, and what that settles."""
    logs = np.log(ratios)
    half = stats.t.ppf(0.975, len(logs) - 1) * logs.std(ddof=1) / len(logs) ** 0.5
    low, mean, high = np.exp([logs.mean() - half, logs.mean(), logs.mean() + half])
    verdict = "" if high <= LIMIT else "   over" if low > LIMIT else "   not settled"
    print(f"  {name:<36}{mean:6.3f} ({low:.3f} to {high:.3f}){LIMIT:7g}{verdict}")


def customer() -> dict[str, object]:
    """A whole record: the typical values of the committed statistics are not needed, only every field."""
    from churn_drift import schema

    return {c.name: (c.levels or ("NYCBRO917",))[0] if c.kind == "category" else 1.0 for c in schema.RECORD}


if __name__ == "__main__":
    main()
