"""`python serve-model.py`: one process tree of gunicorn's, its model loaded before the first worker is forked."""

import argparse
import gc
import os
import shutil
import socket
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from churn_drift import paths
from churn_drift.capture.place import OFF
from churn_drift.environment import read_env
from churn_drift.errors import ChurnDriftError
from churn_drift.serving import logs, settings
from churn_drift.serving.settings import Settings
from churn_drift.terminal import complain
from churn_drift.usage import Parser

if TYPE_CHECKING:
    from flask import Flask

    from churn_drift.drift import Limits
    from churn_drift.serving.inference_log import InferenceLog
    from churn_drift.serving.metrics import Metrics
    from churn_drift.serving.seat import Seat

ABOUT = "Serve the champion over HTTP until Ctrl-C or SIGTERM."

MORE = """Without --model and --as-of: models/champion, as its manifest and models/champion.dvc say. A promotion or a
rollback is then taken in within seconds, without a restart.

`churn-drift keys add NAME` makes the first key, and from then on every request but /health, /ready and the
documentation needs one; without any, only this machine can ask. The file of the keys is looked at every second."""

ENVIRONMENT = """examples:
  python serve-model.py --port 8081
  python serve-model.py --model previous

environment, or .env:
  PORT                  where to listen (8080)
  SERVE_HOST            at which address (127.0.0.1)
  WEB_CONCURRENCY       processes
  SERVE_THREADS         threads of each process
  SERVE_MAX_BODY_MB     largest body of /predict, in MB
  SERVE_MAX_RECORDS     most customers in one request
  SERVE_MAX_BATCH_MB    largest file of /predict/batch, in MB
  SERVE_MAX_ROWS        most customers in one file
  SERVE_READ_SECONDS    that a request may take to arrive (30)
  SERVE_RATE            requests a second of each key (200)
  SERVE_AUTH            keys, or sagemaker: only /ping and /invocations
  SERVE_KEYS            file of the keys (serve-keys.json)
  SERVE_ACCESS_LOG      on or off
  SERVE_LOG_FORMAT      json or text
  SERVE_LOG             inference log: a folder, s3://bucket/prefix, off
                        (data/inference)
  SERVE_LOG_FIELDS      what of a customer it holds: all, none, names
  SERVE_SHADOW_PERCENT  of the requests that models/candidate scores, too,
                        where it is not the champion (10)

exit codes:
  0  stopped
  1  the port is taken or the server failed
  2  the model or a setting was refused"""


def main(arguments: Sequence[str] | None = None, *, prog: str = "python serve-model.py") -> int:
    """Serve until a signal stops it; the exit code."""
    parsed = parser(prog).parse_args(arguments)
    try:
        _go_home()
        read_env()
        chosen = _settings(parsed)
        lines = logs.start(style=chosen.log_format)
        # One row is scored in microseconds: OpenMP's threads would only spin, and do not survive a fork.
        os.environ["OMP_NUM_THREADS"] = "1"
        with _counts() as folder:
            os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder
            return _serve(chosen, lines, model=parsed.model, revision=parsed.as_of)
    except KeyboardInterrupt:  # before gunicorn takes it as the end of its work
        return 130
    except (ChurnDriftError, OSError) as error:
        complain(str(error))
        return 2 if isinstance(error, ChurnDriftError) else 1


def _go_home() -> None:
    """To the champion: in the current folder, else in the repository around it, else beside the script that runs."""
    here, beside = Path.cwd(), Path(sys.argv[0]).resolve().parent
    if not paths.CHAMPION.exists():
        around = (folder for folder in (here, *here.parents) if _is_repository(folder))
        served = _is_repository(beside) or (beside / paths.CHAMPION).exists()
        os.chdir(next(around, beside if served else here))


def _is_repository(folder: Path) -> bool:
    return (folder / "dvc.yaml").exists() and (folder / "params.yaml").exists()


@contextmanager
def _counts() -> Iterator[str]:
    """An empty folder for what the workers count, removed by the process that made it: a worker's end comes by, too."""
    folder, maker = tempfile.mkdtemp(prefix="churn-drift-metrics-"), os.getpid()
    try:
        yield folder
    finally:
        if os.getpid() == maker:
            shutil.rmtree(folder, ignore_errors=True)


def parser(prog: str) -> Parser:
    """The options."""
    top = Parser(prog=prog, description=f"{ABOUT}\n\n{MORE}", epilog=ENVIRONMENT)
    which = top.add_mutually_exclusive_group()
    which.add_argument("--model", metavar="VERSION", help="serve this version, an id or a role, and stay with it")
    which.add_argument("--as-of", metavar="REV", help="serve the champion of a git revision, and stay with it")
    top.add_argument("--host", metavar="HOST", help="0.0.0.0 is everywhere (default: SERVE_HOST or 127.0.0.1)")
    top.add_argument("--port", metavar="PORT", help="default: PORT or 8080; 0 takes a free one")
    return top


def _settings(parsed: argparse.Namespace) -> Settings:
    environment = dict(os.environ)
    if parsed.port is not None:
        environment["PORT"] = parsed.port
    chosen = settings.from_environment(environment)
    return replace(chosen, host=parsed.host) if parsed.host else chosen


def _serve(chosen: Settings, lines: logs.Stderr, *, model: str | None, revision: str | None) -> int:
    from churn_drift.serving import seat as places
    from churn_drift.serving.app import create_app
    from churn_drift.serving.gate import gate_of
    from churn_drift.serving.inference_log import InferenceLog
    from churn_drift.serving.metrics import Metrics
    from churn_drift.serving.seat import Seat

    gate = gate_of(chosen)
    _check_address(chosen.host, chosen.port)
    if model is not None:
        served = places.named(model)
    elif revision is not None:
        served = places.as_of(revision)
    else:
        served = places.settled_champion(patience=chosen.patience)
    seat, metrics = Seat(served), Metrics()
    limits = _limits()
    kept = None if chosen.log == OFF else InferenceLog(seat, settings=chosen, metrics=metrics, limits=limits)
    app = create_app(seat, settings=chosen, metrics=metrics, gate=gate, kept=kept, limits=limits)
    follows = model is None and revision is None
    gc.collect()
    gc.freeze()  # what is here stays: no worker looks through it again, nor copies its pages to do so
    return _run(app, _Life(chosen, lines, seat, metrics, kept, follows))


def _check_address(host: str, port: int) -> None:
    """Raises OSError where nobody can listen there; gunicorn would try for five seconds and say so in eleven lines."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            remedy = "end who listens there, or choose another: --port, --host"
            raise OSError(f"{host}:{port}: {error.strerror}; {remedy}") from None


def _limits() -> "Limits":
    """Of drift: those of params.yaml where the repository is there, else the same as they are by default."""
    from churn_drift.drift import Limits

    if not paths.PARAMS.exists():
        return Limits()
    from churn_drift.config import load_params

    return Limits(**load_params(paths.PARAMS).drift_check.model_dump(exclude={"label_delay"}))


def _end(server: Any, worker: Any) -> None:
    """In the first process, after a worker has ended."""
    from churn_drift.serving.metrics import forget

    forget(worker.pid)


@dataclass(frozen=True)
class _Life:
    """What each worker begins with and ends with: threads do not survive the fork."""

    chosen: Settings
    lines: logs.Stderr
    seat: "Seat"
    metrics: "Metrics"
    kept: "InferenceLog | None"
    follows: bool

    def begin(self, _worker: Any) -> None:
        """Before it takes requests."""
        from churn_drift.serving.watcher import Watcher

        self.lines.begin()
        self.metrics.begin()
        self.metrics.seated(self.seat)
        if self.kept:
            self.kept.start()
        if self.follows:
            Watcher(self.seat, patience=self.chosen.patience, told=self.changed).start(every=self.chosen.watch)
        if self.follows and self.kept:
            self.kept.follow(every=self.chosen.watch, patience=self.chosen.patience)

    def changed(self, seat: "Seat") -> None:
        """Another champion, or an alarm."""
        self.metrics.seated(seat)
        if self.kept:
            self.kept.seated(seat)

    def finish(self, _server: Any, _worker: Any) -> None:
        """When it has answered its last request."""
        if self.kept:
            self.kept.close()
        self.metrics.close()
        self.lines.close()


def _run(app: "Flask", life: _Life) -> int:
    from gunicorn.app.base import BaseApplication  # type: ignore[import-untyped]

    from churn_drift.serving.worker import GunicornLog, patient

    chosen = life.chosen
    options = {
        "bind": [f"[{chosen.host}]:{chosen.port}" if ":" in chosen.host else f"{chosen.host}:{chosen.port}"],
        "workers": chosen.workers,
        "threads": chosen.threads,
        "worker_class": patient(chosen.read),
        "sendfile": False,  # it would pass by what bounds the time that an answer may take
        "worker_connections": 500,  # of each process; open files are scarcer
        "logger_class": GunicornLog,
        "preload_app": True,
        "keepalive": 75,  # longer than the 60 s of common load balancers
        "graceful_timeout": 30,
        "post_worker_init": life.begin,
        "worker_exit": life.finish,
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
