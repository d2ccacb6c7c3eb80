"""`python serve-model.py`: one process tree of gunicorn's, its model loaded before the first worker is forked."""

import argparse
import logging
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from churn_drift.environment import read_env
from churn_drift.errors import ChurnDriftError
from churn_drift.serving import settings
from churn_drift.serving.settings import Settings

if TYPE_CHECKING:
    from flask import Flask

    from churn_drift.serving.metrics import Metrics
    from churn_drift.serving.seat import Seat

MORE = """Without --model and --as-of: models/champion, as its manifest and models/champion.dvc
say. A promotion or a rollback is then taken in within seconds, without a restart.

environment: PORT, WEB_CONCURRENCY (processes), SERVE_HOST, SERVE_THREADS (of each process),
SERVE_MAX_BODY_MB, SERVE_MAX_RECORDS, SERVE_MAX_BATCH_MB, SERVE_MAX_ROWS

exit codes: 0 stopped, 1 the port is taken or the server failed, 2 the model or a setting was refused"""


def main(arguments: Sequence[str] | None = None, *, prog: str = "python serve-model.py") -> int:
    """Serve until a signal stops it; the exit code."""
    parsed = parser(prog).parse_args(arguments)
    try:
        read_env()
        chosen = _settings(parsed)
        # One row is scored in microseconds: OpenMP's threads would only spin, and do not survive a fork.
        os.environ["OMP_NUM_THREADS"] = "1"
        with _counts() as folder:
            os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder
            return _serve(chosen, model=parsed.model, revision=parsed.as_of)
    except (ChurnDriftError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2 if isinstance(error, ChurnDriftError) else 1


@contextmanager
def _counts() -> Iterator[str]:
    """An empty folder for what the workers count, removed by the process that made it: a worker's end comes by, too."""
    folder, maker = tempfile.mkdtemp(prefix="churn-drift-metrics-"), os.getpid()
    try:
        yield folder
    finally:
        if os.getpid() == maker:
            shutil.rmtree(folder, ignore_errors=True)


def parser(prog: str) -> argparse.ArgumentParser:
    """The options."""
    raw = argparse.RawDescriptionHelpFormatter
    top = argparse.ArgumentParser(
        prog=prog, description="Serve the champion over HTTP.", epilog=MORE, formatter_class=raw
    )
    which = top.add_mutually_exclusive_group()
    which.add_argument("--model", metavar="VERSION", help="serve this version, an id or a role, and stay with it")
    which.add_argument("--as-of", metavar="REV", help="serve the champion of a git revision, and stay with it")
    top.add_argument("--host", help="where to listen (default: SERVE_HOST or 127.0.0.1; 0.0.0.0 is everywhere)")
    top.add_argument("--port", metavar="PORT", help="default: PORT or 8080; 0 takes a free one")
    return top


def _settings(parsed: argparse.Namespace) -> Settings:
    environment = dict(os.environ)
    if parsed.port is not None:
        environment["PORT"] = parsed.port
    chosen = settings.from_environment(environment)
    return replace(chosen, host=parsed.host) if parsed.host else chosen


def _serve(chosen: Settings, *, model: str | None, revision: str | None) -> int:
    from churn_drift.serving import seat as places
    from churn_drift.serving.app import create_app
    from churn_drift.serving.metrics import Metrics
    from churn_drift.serving.seat import Seat

    if model is not None:
        served = places.named(model)
    elif revision is not None:
        served = places.as_of(revision)
    else:
        served = places.settled_champion(patience=chosen.patience)
    seat, metrics = Seat(served), Metrics()
    app = create_app(seat, settings=chosen, metrics=metrics)
    follows = model is None and revision is None
    return _run(app, chosen, seat, metrics, follows=follows)


def _log_with(log: logging.Logger) -> None:
    """This package's lines beside gunicorn's own."""
    ours = logging.getLogger("churn_drift")
    ours.handlers, ours.propagate = log.handlers, False
    ours.setLevel(logging.INFO)


def _end(server: Any, worker: Any) -> None:
    """In the first process, after a worker has ended."""
    from churn_drift.serving.metrics import forget

    forget(worker.pid)


def _run(app: "Flask", chosen: Settings, seat: "Seat", metrics: "Metrics", *, follows: bool) -> int:
    from gunicorn.app.base import BaseApplication  # type: ignore[import-untyped]

    from churn_drift.serving.watcher import Watcher

    def begin(worker: Any) -> None:
        """In each worker, before it takes requests: threads do not survive the fork."""
        _log_with(worker.log.error_log)
        metrics.seated(seat)
        if follows:
            Watcher(seat, patience=chosen.patience, told=metrics.seated).start(every=chosen.watch)

    options = {
        "bind": [f"{chosen.host}:{chosen.port}"],
        "workers": chosen.workers,
        "threads": chosen.threads,
        "worker_class": "gthread",
        "preload_app": True,
        "keepalive": 75,  # longer than the 60 s of common load balancers
        "graceful_timeout": 30,
        "post_worker_init": begin,
        "child_exit": _end,
        "proc_name": "churn-drift",
        "control_socket_disable": True,
    }

    class Server(BaseApplication):  # type: ignore[misc]
        def load_config(self) -> None:
            for name, value in options.items():
                self.cfg.set(name, value)

        def load(self) -> "Flask":
            return app

    try:
        Server().run()
    except SystemExit as ended:
        return int(ended.code or 0)
    return 0
