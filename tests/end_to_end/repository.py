"""The repository as a user has it after `python run_pipeline.py`, small: made once, copied where a test writes."""

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from tests.contracts.reach import ROOT

SMALL = {
    "ingest.rows": 3600,
    "split_batches.batches": 6,
    "split_batches.reference_share": 0.34,
    "train.trees": 15,
    "train.max_depth": 3,
    "train.min_child_weight": 10,
}


@dataclass(frozen=True)
class Repository:
    """A checkout and what its user types in it."""

    root: Path

    def run(self, *command: str, code: int = 0, **env: str) -> str:
        """What the command says on both streams; its exit code must be this one."""
        done = subprocess.run(
            command,
            cwd=self.root,
            env=self.environment(**env),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert done.returncode == code, f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}"
        return done.stdout

    def environment(self, **env: str) -> dict[str, str]:
        """Of a user with the package of this checkout installed, and no settings of his own."""
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(("GIT_", "DVC_", "OMP_", "CHURN_DRIFT"))}
        return {
            **inherited,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(self.root / "src"),
            "DVC_SITE_CACHE_DIR": str(self.root.parent / "site"),
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_AUTHOR_NAME": "A User",
            "GIT_AUTHOR_EMAIL": "user@example.org",
            "GIT_COMMITTER_NAME": "A User",
            "GIT_COMMITTER_EMAIL": "user@example.org",
            "COLUMNS": "80",
            **env,
        }

    def pipeline(self, *arguments: str, code: int = 0, publish: bool = False, **env: str) -> str:
        """`python run_pipeline.py`; what is not about MLflow does not pay for it."""
        quiet = [] if publish else ["--no-publish"]
        return self.run("python", "run_pipeline.py", *arguments, *quiet, code=code, **env)

    def commit(self, message: str) -> None:
        self.run("git", "add", "--all")
        self.run("git", "commit", "--quiet", "--message", message)

    @property
    def changes(self) -> list[str]:
        """What git says has changed; nothing is locked, for others may copy the repository meanwhile."""
        return self.run("git", "--no-optional-locks", "status", "--short").splitlines()

    def read(self, path: str) -> Any:
        text = (self.root / path).read_text()
        return json.loads(text) if path.endswith(".json") else text

    def table(self, path: str) -> pd.DataFrame:
        return pd.read_csv(self.root / path)

    def version(self, model: str) -> str:
        """What a model directory holds, whatever made it."""
        files = sorted(file for file in (self.root / "models" / model).rglob("*") if file.is_file())
        return "\n".join(f"{file.name} {file.read_bytes()!r}" for file in files)


def stages_run(said: str) -> list[str]:
    """Names of the stages that DVC says it runs."""
    return re.findall(r"Running stage '(\w+)'", said)


def with_params(text: str, values: dict[str, Any]) -> str:
    """The text of params.yaml with other values, comments kept."""
    lines, section = text.splitlines(), ""
    waiting = dict(values)
    for number, line in enumerate(lines):
        if heading := re.match(r"(\w+):", line):
            section = heading[1]
        elif key := re.match(r"  (\w+): *", line):
            name = f"{section}.{key[1]}"
            if name in waiting:
                lines[number] = f"  {key[1]}: {waiting.pop(name)}"
    assert not waiting
    return "\n".join(lines) + "\n"


def checkout(folder: Path) -> Repository:
    """What git would give to a newcomer, with the files of the working tree, before anything has run."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in listed.stdout.split("\0"):
        result = name.startswith(("reports/", "models/")) and not name.endswith(".gitignore")
        if name and not result and (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    (folder / "dvc.lock").unlink(missing_ok=True)
    params = folder / "params.yaml"
    params.write_text(with_params(params.read_text(), SMALL))
    repository = Repository(folder)
    repository.run("git", "init", "--quiet", "--initial-branch=main")
    repository.commit("Start")
    return repository


@dataclass(frozen=True)
class Finished:
    """A repository whose pipeline has run once and whose results are committed; nobody changes it.

    said  by that run
    """

    repository: Repository
    said: str


def finish(folder: Path) -> None:
    """Run the pipeline in a new checkout there, and commit."""
    root = folder / "repository"
    root.mkdir()
    said = checkout(root).pipeline()
    Repository(root).commit("Run the pipeline")
    (folder / "said.txt").write_text(said)


def copy_of(repository: Repository, folder: Path) -> Repository:
    shutil.copytree(repository.root, folder, symlinks=True)
    return Repository(folder)
