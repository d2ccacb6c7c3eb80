"""A month of daily batches by a fast clock ends where one `dvc repro` over the same batches ends, byte for byte.

    python scripts/simulated_month.py [--days 30] [--rows 500]

In two copies of a small repository (nothing here changes). In the first, each day at 01:00 a file of new customers and
the labels of yesterday's are put into the inbox, and the scheduler, whose clock runs some thousand times too fast,
starts a real production run daily at 02:00. In the second, the same files are landed in the same order, and `dvc repro`
runs once.
"""

import contextlib
import io
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from churn_drift.commands.land import land
from churn_drift.commands.schedule import RUN
from churn_drift.data import simulator
from churn_drift.ports import Message
from churn_drift.production import lease
from churn_drift.scheduler import history
from churn_drift.scheduler.child import Child
from churn_drift.scheduler.history import Run
from churn_drift.scheduler.loop import Loop, World
from churn_drift.scheduler.times import parse
from churn_drift.usage import Parser

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from tests.end_to_end.repository import Repository, copy_of, finish, stages_run

START = datetime(2026, 12, 1, tzinfo=UTC)
DAILY = "daily 02:00"
COMPARED = ("dvc.lock", "reports", "data/landed", "data/batches", "data/scores", "models/candidate", "models/champion")
SEED = 20


def main() -> None:
    """Print what was compared; exits with 1 where anything differs, or a run failed."""
    parser = Parser(description=__doc__)
    parser.add_argument("--days", type=int, default=30, metavar="N", help="batches, one a day (default: %(default)s)")
    parser.add_argument("--rows", type=int, default=500, metavar="N", help="customers a day (default: %(default)s)")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="churn-drift-month-") as name:
        folder = Path(name)
        finish(folder)
        runs, rows = simulate(Repository(folder / "repository"), folder, days=chosen.days, rows=chosen.rows)
    ended = Counter(run.result for run in runs)
    promotions = sum("promoted" in run.did for run in runs)
    print(f"\n{len(runs)} runs: {', '.join(f'{n} {word}' for word, n in ended.items())}; {promotions} promotions")
    for row in rows:
        print(row)
    sys.exit(0 if all(row.same for row in rows) and ended.keys() <= {"ok", "worse"} else 1)


@dataclass(frozen=True)
class Row:
    """A path in both copies: how many files and bytes, and whether they are the same."""

    path: str
    files: int
    size: int
    same: bool

    def __str__(self) -> str:
        return (
            f"{'the same ' if self.same else 'DIFFERENT'}  {self.path:<17} {self.files:>4} files {self.size:>12,} bytes"
        )


def simulate(finished: Repository, folder: Path, *, days: int, rows: int) -> tuple[list[Run], list[Row]]:
    """The scheduler's runs, and what both copies hold in the end."""
    deliveries = list(batches(days=days, rows=rows))
    scheduled, once = copy_of(finished, folder / "scheduled"), copy_of(finished, folder / "once")
    runs = live(scheduled, deliveries)
    reproduce(once, deliveries)
    return runs, list(compare(scheduled.root, once.root))


def batches(*, days: int, rows: int) -> Iterator[dict[str, str]]:
    """Each day's files: new customers without labels, and yesterday's labels."""
    customers = simulator.simulate(simulator.load_statistics(), rows=days * rows, seed=SEED)
    customers["CustomerID"] = customers["CustomerID"].astype(int) + 10_000_000
    for day in range(days):
        today = customers[day * rows : (day + 1) * rows].drop(columns="Churn")
        files = {f"{day + 1:02d}_customers.csv": today.to_csv(index=False, na_rep="NA")}
        if day:
            before = customers.loc[customers.index[(day - 1) * rows : day * rows], ["CustomerID", "Churn"]]
            files[f"{day + 1:02d}_labels.csv"] = before.to_csv(index=False)
        yield files


@dataclass
class Real:
    """A production run as the scheduler starts it, without its output on the terminal."""

    child: Child
    over: bool = False

    @property
    def pid(self) -> int:
        return self.child.pid

    def poll(self) -> int | None:
        with contextlib.redirect_stdout(io.StringIO()):
            code = self.child.poll()
        self.over = code is not None
        return code

    def end(self) -> None:
        self.child.end()


@dataclass
class Fast:
    """A clock that goes on to the next ten minutes at each look, or by a second while a run is going on.

    deliveries  what arrives at 01:00 on the days to come
    """

    repository: Repository
    deliveries: list[dict[str, str]]
    now: datetime = START
    elapsed: float = 0
    run: Real | None = None

    def start(self, log: Path) -> Real:
        environment = self.repository.environment(INBOX_QUIET_SECONDS="0")
        self.run = Real(Child([*RUN, "--no-publish"], log=log, environment=environment))
        return self.run

    def sleep(self, _: float) -> None:
        """Let time pass; what arrives meanwhile lies in the inbox then."""
        running = self.run is not None and not self.run.over
        time.sleep(0.05 if running else 0)
        step = 1 if running else 600 - (self.now.minute % 10 * 60 + self.now.second)
        before, self.now, self.elapsed = self.now, self.now + timedelta(seconds=step), self.elapsed + step
        if (before.hour, self.now.hour) == (0, 1) and self.deliveries:
            write(self.deliveries.pop(0), self.repository.root / "data/inbox")


def live(repository: Repository, deliveries: list[dict[str, str]]) -> list[Run]:
    """A scheduler's month; its runs."""
    fast = Fast(repository, list(deliveries))
    end = START + timedelta(days=len(deliveries))

    def sleep(seconds: float) -> None:
        fast.sleep(seconds)
        if fast.now >= end:
            loop.stop()

    said: list[Message] = []
    with contextlib.chdir(repository.root):
        world = World(lambda: fast.now, lambda: fast.elapsed, sleep, fast.start, busy, said.append)
        loop = Loop(parse(DAILY), world, retry=timedelta(minutes=5), who={})
        loop.run()
        return history.read()


def busy() -> str | None:
    holder = lease.owner(lease.RUN)
    return str(holder) if holder else None


def reproduce(repository: Repository, deliveries: list[dict[str, str]]) -> None:
    """The same files, each day's customers before its labels, and one `dvc repro`."""
    folder = repository.root.parent / "delivered"
    for files in deliveries:
        write(files, folder)
        with contextlib.chdir(repository.root):
            for name in files:
                land(str(folder / name))
    said = repository.run("dvc", "repro")
    print(f"one `dvc repro` over the same {len(deliveries)} batches ran {', '.join(stages_run(said))}")


def write(files: Mapping[str, str], folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    for name, text in files.items():
        (folder / name).write_text(text)


def compare(scheduled: Path, once: Path) -> Iterator[Row]:
    """Each path of both; the champion of the first with the candidate of the second, as no run promoted there."""
    for path in COMPARED:
        other = "models/candidate" if path == "models/champion" else path
        one, two = content(scheduled / path), content(once / other)
        yield Row(path, len(one), sum(map(len, one.values())), bool(one) and one == two)


def content(place: Path) -> dict[str, bytes]:
    """Every file by its name; git's own lists aside."""
    if place.is_file():
        return {place.name: place.read_bytes()}
    files = (file for file in place.rglob("*") if file.is_file() and file.name != ".gitignore")
    return {file.relative_to(place).as_posix(): file.read_bytes() for file in files}


if __name__ == "__main__":
    main()
