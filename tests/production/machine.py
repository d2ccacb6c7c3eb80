"""A repository with an inbox, and runs in it that are killed or held where a test wants them to be."""

import contextlib
import json
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pandas as pd

from tests.end_to_end.repository import Repository

HOOKS = Path(__file__).parent / "hooks"
RUN = ("python", "run_pipeline.py")
PATIENCE = 120.0


class Machine:
    """One repository, and what a user drops into its inbox."""

    def __init__(self, repository: Repository) -> None:
        self.repository = repository
        self.root = repository.root
        self.inbox, self.quarantine = self.root / "data/inbox", self.root / "data/quarantine"

    def drop(self, name: str, content: bytes) -> None:
        self.inbox.mkdir(parents=True, exist_ok=True)
        (self.inbox / name).write_bytes(content)

    def run(self, *options: str, code: int = 0, publish: bool = False, **env: str) -> str:
        return self.repository.pipeline(*options, code=code, publish=publish, **self.environment(**env))

    def start(self, *options: str, **env: str) -> "subprocess.Popen[str]":
        """A run in a process group of its own."""
        return subprocess.Popen(
            [*RUN, *options],
            cwd=self.root,
            env=self.repository.environment(**self.environment(**env)),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def killed(self, *options: str, at: str, within: str = "") -> str:
        """What a run said that was killed at that place, with all that it had started."""
        process = self.start(*options, KILL_AT=at, **({"IN": within} if within else {}))
        said, _ = process.communicate(timeout=PATIENCE)
        assert process.returncode == -signal.SIGKILL, f"not killed at {at}:\n{said}"
        return said

    def environment(self, **env: str) -> dict[str, str]:
        return {"INBOX_QUIET_SECONDS": "0", "PYTHONPATH": os.pathsep.join([str(HOOKS), str(self.root / "src")]), **env}

    def customers(self) -> list[int]:
        """Every customer who waits in the inbox or has landed; nobody is lost, and none there twice."""
        waiting = [path for path in self.inbox.glob("*.csv*") if "labels" not in path.name]
        landed = list((self.root / "data/landed/batches").glob("*.csv"))
        here = {path: set(pd.read_csv(path)["CustomerID"]) for path in (*waiting, *landed)}
        assert sum(len(here[path]) for path in landed) == len(set().union(*(here[path] for path in landed)))
        return sorted(set().union(*here.values()))

    def results(self) -> dict[str, bytes]:
        """Everything that a run leaves for others: reports, dvc.lock, what has landed, the champion and its pin."""
        kept = [self.root / "dvc.lock", self.root / "models/champion.dvc"]
        folders = ("reports", "data/landed", "models/champion", "models/candidate")
        kept += [path for folder in folders for path in (self.root / folder).rglob("*") if path.is_file()]
        return {str(path.relative_to(self.root)): path.read_bytes() for path in kept}

    def ledger(self) -> list[dict[str, Any]]:
        """Its lines without what differs from day to day."""
        lines = (self.root / "models/ledger.jsonl").read_text().splitlines()
        return [{k: v for k, v in json.loads(line).items() if k not in ("at", "commit")} for line in lines]

    def told(self) -> list[str]:
        """Keys of what people were told, without the hashes."""
        file = self.root / ".churn-drift/told.jsonl"
        lines = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
        return ["/".join(line["key"].split("/")[:2]) for line in lines if line.get("told")]


def wait_for(path: Path) -> None:
    """Until a file is there."""
    end = time.monotonic() + PATIENCE
    while not path.exists():
        assert time.monotonic() < end, f"{path} never came"
        time.sleep(0.02)


def end(process: "subprocess.Popen[str]") -> None:
    """With all that it has started, whatever it does."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    if process.stdout:
        process.stdout.close()
