"""The production run on a machine of AWS: newest sources, newest data, run, push; one of them at a time in a bucket.

    .venv/bin/python -m churn_drift.aws.machines.remote_run --commit main --batch inbox/x.csv --run x-1a2b3c4d-1

in a clone of the repository. Exit code 0: done; 1: failed, its last line says why. Either way the bucket is told
(`remote_runs.outcome_key`), whoever waits for it.
"""

import argparse
import json
import os
import subprocess
import sys
from collections import deque
from collections.abc import Sequence
from pathlib import Path

from churn_drift.aws import settings
from churn_drift.aws.asking import asked
from churn_drift.aws.inbox import SETTLED_LATER, S3Inbox
from churn_drift.aws.leases import Leases, held
from churn_drift.aws.machines import bundles, remote_runs
from churn_drift.aws.machines.remote_runs import NEWEST
from churn_drift.aws.services import service
from churn_drift.errors import ChurnDriftError, PipelineError
from churn_drift.ports import STATE

LEASE, LEASE_SECONDS, PATIENCE = "run", 120.0, 3600.0
"""locks/run.json: who changes the repository's data now; how long one waits for another run."""

DONE, WORSE = 0, 3

NOTED = STATE / "settled-later.jsonl"
"""In the clone: files of the inbox that the run has landed, to be settled once its commit is kept."""

_AUTHOR = {"NAME": "churn-drift", "EMAIL": "churn-drift@localhost"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it here; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--commit", default=NEWEST, help="branch, tag or hash of the sources")
    parser.add_argument("--batch", default="", help="for which it runs")
    parser.add_argument("--run", required=True, help="its key, by which it is asked for")
    parsed = parser.parse_args(arguments)
    try:
        told, code = run(Path.cwd(), commit=parsed.commit), 0
    except ChurnDriftError as error:
        told, code = str(error), 1
    try:
        _tell(parsed.run, told, code)
    except ChurnDriftError as error:
        print(f"warning: the outcome could not be told: {error}", file=sys.stderr)
    print(f"{'error: ' if code else ''}{told}", file=sys.stderr if code else sys.stdout, flush=True)
    return code


def run(folder: Path, *, commit: str) -> str:
    """The production run in a clone; how it ended, in one line. Raises PipelineError naming the step that failed."""
    leases = Leases(service("s3"), settings.bucket(os.environ))
    with held(leases, LEASE, seconds=LEASE_SECONDS, patience=PATIENCE):
        _update(folder, commit)
        python = _python(folder)
        step(folder, python, "-m", "churn_drift.cli", "remote", "s3")
        step(folder, python, "-m", "dvc", "pull", "--allow-missing", "--run-cache")
        code = step(folder, python, "run_pipeline.py", "--aws", "--push", "--commit", well=(DONE, WORSE))
        kept = _is_on_branch(folder)
        if kept:
            _keep_commits(folder)
            S3Inbox(settings.bucket(os.environ)).settle_noted(folder / NOTED)
    told = "done" if code == DONE else "the policy was significantly worse than never retraining; nothing promoted"
    return told if kept else f"{told}; {commit} is no branch: nothing is kept in git, what arrived waits in the inbox"


def step(folder: Path, *command: str, well: Sequence[int] = (0,)) -> int:
    """A command whose output goes where ours goes. Raises PipelineError with its last line where it fails."""
    process = subprocess.Popen(command, cwd=folder, env=_environment(folder), stderr=subprocess.PIPE, text=True)
    last: deque[str] = deque(maxlen=1)
    for line in process.stderr or ():
        sys.stderr.write(line)
        last.extend([line.strip()] if line.strip() else [])
    code = process.wait()
    if code not in well:
        name = " ".join(Path(word).name if word == command[0] else word for word in command)
        raise PipelineError(f"`{name}` ended with {code}: {last[0][:500] if last else 'it said nothing'}")
    return code


def _update(folder: Path, commit: str) -> None:
    step(folder, "git", "fetch", "--quiet", "origin")
    if commit != NEWEST:
        step(folder, "git", "checkout", "--quiet", commit)
    if _is_on_branch(folder):
        step(folder, "git", "merge", "--quiet", "--ff-only", "@{upstream}")
    if (folder / ".venv").exists():
        step(folder, "make", "--silent", ".venv/ready")


def _is_on_branch(folder: Path) -> bool:
    return _git(folder, "symbolic-ref", "--quiet", "HEAD").returncode == 0


def _keep_commits(folder: Path) -> None:
    """Where the next run finds them."""
    if not Path(_git(folder, "remote", "get-url", "origin").stdout.strip()).is_file():
        step(folder, "git", "push", "--quiet", "origin", "HEAD")
    elif bundles.is_bundle(url := os.environ.get(remote_runs.REPOSITORY, "")):
        bundles.put(folder, url)
    else:
        raise PipelineError(f"the commits of this run are nowhere: {remote_runs.REPOSITORY} names no bundle")


def _git(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, check=False)


def _python(folder: Path) -> str:
    own = folder / ".venv/bin/python"
    return str(own) if own.exists() else sys.executable


def _environment(folder: Path) -> dict[str, str]:
    """The clone's own sources come first, and commits have an author."""
    authors = {f"GIT_{who}_{what}": said for who in ("AUTHOR", "COMMITTER") for what, said in _AUTHOR.items()}
    path = f"{Path(_python(folder)).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    return {
        **authors,
        **os.environ,
        "PATH": path,
        "PYTHONPATH": str(folder / "src"),
        "USE_AWS": "true",
        SETTLED_LATER: str(NOTED),
    }


def _tell(name: str, told: str, code: int) -> None:
    bucket, key = settings.bucket(os.environ), remote_runs.outcome_key(name)
    body = json.dumps({"code": code, "told": told}).encode()
    with asked(f"s3://{bucket}/{key}"):
        service("s3").put_object(Bucket=bucket, Key=key, Body=body, ContentType="application/json")


if __name__ == "__main__":
    sys.exit(main())
