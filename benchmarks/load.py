"""What the benchmarks of servers share: a server in a process tree of its own, clients that ask it, what it takes."""

import contextlib
import http.client
import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import psutil

ROOT = Path(__file__).resolve().parents[1]
ROUNDS = 3
PATIENCE = 90
"""Seconds within which a server must answer."""


@dataclass(frozen=True)
class Ask:
    """One request: its path, its body, and what that is."""

    path: str
    body: bytes
    kind: str = "application/json"


@dataclass(frozen=True)
class Load:
    """What a number of clients saw: every request's seconds, sorted, and how long all of it took."""

    taken: Sequence[float]
    wall: float

    def rate(self) -> float:
        return len(self.taken) / self.wall

    def quantile(self, share: float) -> float:
        return self.taken[int(share * (len(self.taken) - 1))]


@dataclass(frozen=True)
class Running:
    """A server that answers; seconds: from the start of its process to its first 200."""

    port: int
    process: psutil.Process
    seconds: float

    def tree(self) -> list[psutil.Process]:
        """The first process and all that came of it."""
        return [self.process, *self.process.children(recursive=True)]


@contextlib.contextmanager
def running(
    command: Sequence[str], folder: Path, ask: Ask, environment: Mapping[str, str] | None = None
) -> Iterator[Running]:
    """A server that stops with the block. `{port}` in the command and PORT in the environment are a free port."""
    port = free_port()
    given = {**os.environ, "PORT": str(port), **(environment or {})}
    with (folder / f"server-{port}.log").open("w+") as said:
        start = time.perf_counter()
        words = [word.replace("{port}", str(port)) for word in command]
        with subprocess.Popen(words, cwd=folder, env=given, stdout=said, stderr=said) as process:
            tree = psutil.Process(process.pid)
            try:
                wait(port, ask, process, said)
                yield Running(port, tree, time.perf_counter() - start)
            finally:
                for one in tree.children(recursive=True) if process.poll() is None else []:
                    with contextlib.suppress(psutil.NoSuchProcess):
                        one.terminate()
                process.terminate()
                process.wait(PATIENCE)


def wait(port: int, ask: Ask, process: "subprocess.Popen[bytes]", said: IO[str]) -> None:
    """Until the server answers; ends the benchmark with what it said where it does not."""
    end = time.monotonic() + PATIENCE
    while process.poll() is None and time.monotonic() < end:
        with contextlib.suppress(OSError, http.client.HTTPException), connected(port) as connection:
            if answered(connection, ask)[0] == 200:
                return
        time.sleep(0.02)
    said.seek(0)
    sys.exit(f"the server on port {port} does not answer:\n{said.read()[-4000:]}")


def load(port: int, ask: Ask, *, seconds: float, clients: int) -> Load:
    """Ask from several threads, each on a connection that it keeps, for some seconds."""
    taken: list[float] = []
    start = time.perf_counter()
    threads = [threading.Thread(target=client, args=(port, ask, start + seconds, taken)) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return Load(sorted(taken), time.perf_counter() - start)


def client(port: int, ask: Ask, end: float, taken: list[float]) -> None:
    """One client. Anything but a 200 ends the benchmark."""
    with connected(port) as connection:
        while (begin := time.perf_counter()) < end:
            status, said = answered(connection, ask)
            if status != 200:
                print(f"{status} {said!r}", file=sys.stderr)
                os._exit(1)
            taken.append(time.perf_counter() - begin)


def connected(port: int) -> "contextlib.closing[http.client.HTTPConnection]":
    return contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE))


def answered(connection: http.client.HTTPConnection, ask: Ask) -> tuple[int, bytes]:
    connection.request("POST", ask.path, body=ask.body, headers={"Content-Type": ask.kind})
    answer = connection.getresponse()
    return answer.status, answer.read()


def pss(process: psutil.Process) -> float:
    """Mebibytes of a process: its own, and its share of what it shares (of the pages after a fork, for one)."""
    return kilobytes(process, "smaps_rollup", "Pss") / 1024


def forget_peak(process: psutil.Process) -> None:
    """From now on `peak` tells the largest resident memory since this call."""
    Path(f"/proc/{process.pid}/clear_refs").write_text("5")


def peak(process: psutil.Process) -> float:
    """Mebibytes of resident memory at their most."""
    return kilobytes(process, "status", "VmHWM") / 1024


def kilobytes(process: psutil.Process, file: str, name: str) -> int:
    found = re.search(rf"^{name}:\s+(\d+) kB", Path(f"/proc/{process.pid}/{file}").read_text(), re.MULTILINE)
    return int(found[1]) if found else 0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def middle(values: Sequence[float]) -> float:
    return sorted(values)[len(values) // 2]
