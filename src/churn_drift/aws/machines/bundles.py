"""The repository as one file in the bucket, where machines reach no git server: RETRAIN_REPOSITORY=s3://bucket/key.

A machine clones it, and puts it back with the commits of its run: the next one goes on from there. Nobody's commits
are overwritten: a bundle goes only where what lies there is known to whoever puts it.
"""

import subprocess
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from botocore.exceptions import ClientError

from churn_drift.aws.asking import asked
from churn_drift.aws.client import code
from churn_drift.aws.services import service
from churn_drift.errors import PipelineError

_MISSING = ("404", "NoSuchKey")
_MOVED = ("PreconditionFailed", "ConditionalRequestConflict")


def is_bundle(repository: str) -> bool:
    """Whether RETRAIN_REPOSITORY is one.

    >>> is_bundle("s3://bucket/releases/repository.bundle"), is_bundle("https://example.com/churn.git")
    (True, False)
    """
    return repository.startswith("s3://")


def put(folder: Path, url: str) -> None:
    """All branches and tags of a clone, as the bundle that lies there from now on.

    Raises PipelineError where what lies there has commits that the clone does not have, or somebody else is quicker.
    """
    parts = urlsplit(url)
    place, s3 = {"Bucket": parts.netloc, "Key": parts.path.lstrip("/")}, service("s3")
    with tempfile.TemporaryDirectory(prefix="churn-drift-") as scratch, asked(url):
        before = Path(scratch) / "before.bundle"
        tag = _fetch(s3, place, before)
        if tag:
            _require_known(folder, before, url)
        after = Path(scratch) / "after.bundle"
        _git(folder, "bundle", "create", "--quiet", str(after), "--branches", "--tags", "HEAD")
        try:
            s3.put_object(**place, Body=after.read_bytes(), **({"IfMatch": tag} if tag else {"IfNoneMatch": "*"}))
        except ClientError as error:
            if code(error) in _MOVED:
                raise PipelineError(f"{url}: somebody else has just put it; do it again") from None
            raise


def _fetch(s3: Any, place: dict[str, str], file: Path) -> str:
    """The bundle that lies there, into a file; its ETag, empty where there is none."""
    try:
        found = s3.get_object(**place)
    except ClientError as error:
        if code(error) in _MISSING:
            return ""
        raise
    file.write_bytes(found["Body"].read())
    return str(found["ETag"])


def _require_known(folder: Path, bundle: Path, url: str) -> None:
    for line in _git(folder, "bundle", "list-heads", str(bundle)).splitlines():
        commit, _, name = line.partition(" ")
        if not _git(folder, "for-each-ref", "--count=1", "--contains", commit, missing=""):
            raise PipelineError(
                f"{url}: has commits on {name} that are not here; `aws s3 cp {url} . && git pull {Path(url).name} "
                f"{name.removeprefix('refs/heads/')}` first"
            )


def _git(folder: Path, *arguments: str, missing: str | None = None) -> str:
    """What git says. missing: what it means where git refuses; None: then PipelineError."""
    done = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode and missing is None:
        raise PipelineError(f"`git {arguments[0]} {arguments[1]}` failed: {' '.join(done.stderr.split())}")
    return done.stdout if not done.returncode else str(missing)
