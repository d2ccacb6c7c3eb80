"""`churn-drift run --schedule` and `churn-drift schedule`: runs at their times, and what they did."""

import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from rich.table import Table

from churn_drift import terminal
from churn_drift.commands.adapters import adapters
from churn_drift.environment import read_env
from churn_drift.errors import ChurnDriftError, ConfigError
from churn_drift.ports import STATE, Message
from churn_drift.production import backlog, lease
from churn_drift.scheduler import asked, going, health, history, times
from churn_drift.scheduler.child import Child
from churn_drift.scheduler.loop import STEP, Loop, World
from churn_drift.terminal import say, working

LOCK = STATE / "schedule.lock"
RUN = (sys.executable, "-m", "churn_drift.cli", "run")


def run_for_ever(
    text: str, *, zone: str, retry_minutes: float, options: Sequence[str], command: Sequence[str] | None = None
) -> int:
    """Start a run at each time of the schedule, until SIGTERM or SIGINT; 0.

    options  of each run
    command  of a run, for a stand-in
    """
    schedule = times.parse(text, zone)
    if not 0 <= retry_minutes < 1e6:
        raise ConfigError(f"--retry-minutes {retry_minutes:g}: give minutes, such as 5, or 0 for at once")
    environment = dict(os.environ)
    with lease.taken(LOCK, what="scheduler", children=False) as before:
        if before:
            print(f"taken over from {before}, which ended without a word", flush=True)
        world = _world([*(command or RUN), *options], environment)
        who = {
            "options": list(options),
            "pid": os.getpid(),
            "host": socket.gethostname(),
            "since": going.iso(world.clock()),
        }
        loop = Loop(schedule, world, retry=timedelta(minutes=retry_minutes), who=who)
        with _signals(loop.stop):
            loop.run()
    return 0


def run_now() -> int:
    """Ask the scheduler for a run; where none is here, run. 0 where it was asked, else the run's exit code."""
    holder = lease.owner(LOCK)
    if holder:
        asked.ask()
        say(f"asked the scheduler ({holder}) for a run; `churn-drift schedule status` shows it")
        return 0
    with lease.taken(LOCK, what="run that was asked for", children=False):
        print("no scheduler runs here, so this is the run itself", file=sys.stderr)
        world = _world(RUN, dict(os.environ))
        run = going.begin("now", now=world.clock(), start=world.start)
        asked.take()
        with _signals(run.process.end), working(f"running; its output goes to {run.log}"):
            while (code := run.process.poll()) is None:
                world.sleep(STEP)
        ended = run.settle(code, now=world.clock())
    say(f"{ended.result} after {ended.seconds:.0f} s: {ended.did}; log {ended.log}", sys.stderr)
    return code if code >= 0 else 1


def status(*, check: bool) -> int:
    """How things are; with `check`, one line, and 1 where they are not well."""
    now, holder, told = datetime.now(UTC), lease.owner(LOCK), health.read()
    fault = health.fault(told, alive=holder is not None, now=now)
    if check:
        print(f"unhealthy: {fault}" if fault else "healthy")
        return 1 if fault else 0
    table = Table.grid(padding=(0, 2, 0, 0))
    for name, value in _lines(holder, told or {}, fault):
        table.add_row(name, value)
    terminal.show(table)
    return 0


def show_history(*, count: int) -> int:
    """The last runs, oldest first."""
    runs = history.read()[-count:] if count > 0 else []
    if not runs:
        print("no run yet; `churn-drift run --schedule` starts them", file=sys.stderr)
        return 0
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name in ("start, UTC", "seconds", "why", "result"):
        table.add_column(name, no_wrap=True, justify="right" if name == "seconds" else "left")
    table.add_column("what it did")
    for run in runs:
        table.add_row(_moment(run.start), f"{run.seconds:.0f}", run.trigger, run.result, run.did)
    terminal.show(table)
    print(f"\nWhat the last one said: {runs[-1].log}")
    return 0


def _lines(holder: lease.Owner | None, told: health.Health, fault: str | None) -> Iterator[tuple[str, str]]:
    """What `status` shows: name and value."""
    yield "scheduler", f"runs as {holder}" if holder else "does not run; `churn-drift run --schedule` starts it"
    if told:
        zone = ZoneInfo(told["zone"])
        yield "schedule", f"{told['schedule']}, {zone} {' '.join(told.get('options', ()))}".rstrip()
        if holder and told["next"]:
            yield "next run", _in_zone(told["next"], zone)
        if holder and told["note"]:
            yield "note", told["note"]
    run = going.left()
    if run:
        yield "now", f"run ({run.trigger}) since {_moment(run.start)} UTC, process {run.pid}, log {run.log}"
    last = history.read()[-1:]
    for ended in last:
        yield "last run", f"{_moment(ended.start)} UTC, {ended.seconds:.0f} s, {ended.result}: {ended.did}"
        yield "its log", ended.log
    yield "backlog", _backlog(told.get("options", ()))
    yield "health", f"unhealthy: {fault}" if fault else "healthy"


def _backlog(options: Sequence[str]) -> str:
    """What the next run takes in."""
    landed = len(backlog.waiting())
    news = [f"{landed} landed, not in the reports yet" if landed else ""]
    try:
        arrived = len(adapters(os.environ, aws=_mode(options)).inbox.waiting())
    except ChurnDriftError as error:
        news.append(f"the inbox cannot be asked: {error}")
    else:
        news.append(f"{arrived} waiting in the inbox" if arrived else "")
    return ", ".join(filter(None, news)) or "nothing"


def _world(command: Sequence[str], environment: Mapping[str, str]) -> World:
    def start(log: Path) -> Child:
        return Child(command, log=log, environment=environment)

    def tell(message: Message) -> None:
        read_env()
        adapters(os.environ, aws=_mode(command)).notifier.send(message)

    return World(lambda: datetime.now(UTC), time.monotonic, time.sleep, start, _busy, tell)


def _mode(options: Sequence[str]) -> bool | None:
    """Whether runs with these options are on AWS; None: as USE_AWS says."""
    return True if "--aws" in options else False if "--local" in options else None


def _busy() -> str | None:
    holder = lease.owner(lease.RUN)
    return f"a {holder.what} is going on ({holder})" if holder else None


@contextmanager
def _signals(stop: Callable[[], None]) -> Iterator[None]:
    """SIGTERM, SIGINT and a lost terminal call `stop`; one that was ignored before stays ignored."""
    ours = [name for name in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP) if signal.getsignal(name) != signal.SIG_IGN]
    before = {name: signal.signal(name, lambda *_: stop()) for name in ours}
    try:
        yield
    finally:
        for name, handler in before.items():
            signal.signal(name, handler)


def _in_zone(told: str, zone: ZoneInfo) -> str:
    moment = datetime.fromisoformat(told)
    here = "" if zone.key == "UTC" else f" ({moment.astimezone(zone):%a %Y-%m-%d %H:%M %Z})"
    return f"{_moment(told)} UTC{here}"


def _moment(told: str) -> str:
    return told[:19].replace("T", " ")
