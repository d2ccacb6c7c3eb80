"""What a running server does while its champion changes and its workers die: every request is counted.

    python scripts/soak.py [--changes 10] [--clients 8]

In a clone of this repository (nothing here changes): a server of two workers under load, the champion replaced by
`churn-drift models rollback` again and again, then workers killed with SIGKILL. In the end the inference log is read:
every file must open, and hold every customer that was answered, but for the last moments of a killed worker.
"""

import http.client
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from churn_drift.usage import Parser

ROOT = Path(__file__).resolve().parents[1]
KILLS = 3
PROGRESS = "{:>5.0f} s  {}"


def main() -> None:
    """Print what happened; exits with 1 where a request failed without a kill, or a file of the log does not open."""
    parser = Parser(description=__doc__)
    parser.add_argument("--changes", type=int, default=10, metavar="N", help="of the champion (default: %(default)s)")
    parser.add_argument("--clients", type=int, default=8, metavar="N", help="that ask at a time (default: %(default)s)")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="churn-drift-soak-") as folder:
        repository = cloned(Path(folder) / "repository")
        with running(repository) as (server, port), load(port, clients=chosen.clients) as seen:
            changed = change(repository, seen, times=chosen.changes)
            unharmed = seen.failed
            kill(server, seen)
        lost = read_log(repository, seen)
    print(
        f"\n{seen.answered:,} requests answered by {len(seen.versions)} versions while the champion changed "
        f"{changed} times: {unharmed} failed\n{KILLS} workers killed: {seen.failed - unharmed} requests that they were "
        f"answering failed, {lost} answered customers are not in the log"
    )
    sys.exit(1 if unharmed else 0)


@dataclass
class Seen:
    """What the clients saw. Counters of several threads: each adds under the lock."""

    answered: int = 0
    failed: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    versions: Counter[str] = field(default_factory=Counter)
    ids: set[str] = field(default_factory=set)
    lock: threading.Lock = field(default_factory=threading.Lock)
    start: float = field(default_factory=time.monotonic)

    def answer(self, document: dict[str, str]) -> None:
        with self.lock:
            self.answered += 1
            self.versions[document["model_version"]] += 1
            self.ids.add(document["request_id"])

    def failure(self, reason: str) -> None:
        with self.lock:
            self.failed += 1
            self.reasons[reason] += 1

    def tell(self, what: str) -> None:
        print(PROGRESS.format(time.monotonic() - self.start, what), flush=True)


def cloned(folder: Path) -> Path:
    """The repository at HEAD, with the models that this one's DVC cache holds."""
    run("git", "clone", "--quiet", str(ROOT), str(folder), cwd=ROOT)
    run("dvc", "cache", "dir", "--local", str(ROOT / ".dvc/cache"), cwd=folder)
    run("dvc", "checkout", "--quiet", cwd=folder)
    return folder


def run(*command: str, cwd: Path) -> str:
    done = subprocess.run(command, cwd=cwd, env=environment(), capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout


def environment() -> dict[str, str]:
    """With this checkout's commands first, and a user for git."""
    people = {f"GIT_{who}_{what}": "soak" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return {
        **os.environ,
        **people,
        "PATH": path,
        "PYTHONPATH": str(ROOT / "src"),
        "WEB_CONCURRENCY": "2",
        "SERVE_ACCESS_LOG": "off",
    }


@contextmanager
def running(repository: Path) -> Iterator[tuple[subprocess.Popen[str], int]]:
    command = [sys.executable, "serve-model.py", "--port", "0"]
    with subprocess.Popen(command, cwd=repository, env=environment(), stderr=subprocess.PIPE, text=True) as process:
        said = []
        try:
            for line in process.stderr or ():
                said.append(line)
                if found := re.search(r"Listening at: http://[\d.]+:(\d+)", line):
                    threading.Thread(target=list, args=(process.stderr,), daemon=True).start()
                    yield process, int(found[1])
                    return
            sys.exit("".join(said))
        finally:
            process.terminate()
            process.wait()


@contextmanager
def load(port: int, *, clients: int) -> Iterator[Seen]:
    """So many clients that ask as fast as they are answered, until the block ends."""
    seen, ended = Seen(), threading.Event()
    threads = [threading.Thread(target=ask, args=(port, seen, ended, client)) for client in range(clients)]
    for thread in threads:
        thread.start()
    try:
        yield seen
    finally:
        ended.set()
        for thread in threads:
            thread.join()


def ask(port: int, seen: Seen, ended: threading.Event, client: int) -> None:
    body = json.dumps({"CustomerID": client, "MonthsInService": 11, "Occupation": "Crafts"})
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    while not ended.is_set():
        try:
            connection.request("POST", "/predict", body, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            document = json.loads(answer.read())
            if answer.status == 200:
                seen.answer(document)
            else:
                seen.failure(str(answer.status))
        except (OSError, http.client.HTTPException, ValueError) as error:
            seen.failure(type(error).__name__)
            connection.close()
            time.sleep(0.01)
    connection.close()


def change(repository: Path, seen: Seen, *, times: int) -> int:
    """Two versions take turns as champion; each must answer before the next turn."""
    first = serving(seen)
    retrained = [path.name.partition("_")[2] for path in sorted((repository / "models/retrained").iterdir())]
    other = next(version for version in retrained if version != first)
    for turn in range(times):
        version = (other, first)[turn % 2]
        run("churn-drift", "models", "rollback", version, "--reason", "soak", cwd=repository)
        before = seen.versions[version]
        wait(lambda version=version, before=before: seen.versions[version] > before, f"{version} never answered")
        seen.tell(f"{version} is champion and answers; {seen.answered:,} requests answered, {seen.failed} failed")
    return times


def kill(server: subprocess.Popen[str], seen: Seen) -> None:
    """SIGKILL a worker; its successor must come, and requests must go on."""
    for _ in range(KILLS):
        worker = workers(server)[0]
        os.kill(worker, signal.SIGKILL)
        start, before = time.monotonic(), seen.answered
        wait(lambda before=before: seen.answered > before + 20, "no request is answered any more")
        wait(lambda worker=worker: len(w := workers(server)) == 2 and worker not in w, "no new worker has come")
        seen.tell(f"worker {worker} killed; a new one after {time.monotonic() - start:.1f} s; {dict(seen.reasons)}")


def workers(server: subprocess.Popen[str]) -> list[int]:
    return [int(pid) for pid in Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text().split()]


def serving(seen: Seen) -> str:
    wait(lambda: seen.answered > 100, "the server does not answer")
    return next(iter(seen.versions))


def wait(true: Callable[[], bool], otherwise: str) -> None:
    end = time.monotonic() + 60
    while not true():
        if time.monotonic() > end:
            sys.exit(otherwise)
        time.sleep(0.02)


def read_log(repository: Path, seen: Seen) -> int:
    """Answered requests that the log lacks. A file that does not open ends the script."""
    from churn_drift.capture import store

    rows = store.read(repository / "data/inference")
    logged = set(rows["request_id"].to_pylist())
    if rows.num_rows != len(logged):
        sys.exit(f"{rows.num_rows - len(logged)} rows of the log stand twice")
    print(f"\nthe log: {rows.num_rows:,} rows, every file opens")
    return len(seen.ids - logged)


if __name__ == "__main__":
    main()
