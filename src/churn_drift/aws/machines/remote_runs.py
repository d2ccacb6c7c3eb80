"""One run of the pipeline on a machine of AWS: what it is called there, and how it stands."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Protocol
from urllib.parse import urlsplit

from churn_drift.aws.layout import LOCKS
from churn_drift.errors import ConfigError

COMMIT, REPOSITORY, SECONDS = "RETRAIN_COMMIT", "RETRAIN_REPOSITORY", "RETRAIN_SECONDS"

NEWEST = "HEAD"
"""The default of RETRAIN_COMMIT: what the repository's own default branch has."""

BATCH_TAG, RUN_TAG, COMMIT_TAG = "churn-drift:batch", "churn-drift:run", "churn-drift:commit"
"""Tags of an EC2 instance, read by the user data of its launch template."""

Status = Literal["running", "done", "failed", "unknown"]


@dataclass(frozen=True)
class Run:
    """One attempt of a batch's run.

    commit  branch, tag or hash of the sources
    """

    batch: str
    attempt: int
    commit: str

    @property
    def key(self) -> str:
        """Its name on AWS: at most 50 letters, digits and single hyphens, the same for the same attempt."""
        return f"{key_of(self.batch)}-{self.attempt}"


@dataclass(frozen=True)
class State:
    """How a run stands; told: in AWS's own words. Unknown: AWS does not know it, yet or any more."""

    status: Status
    told: str


class Machine(Protocol):
    """A kind of machine. Every method raises PipelineError with what AWS said."""

    def begin(self, run: Run) -> str:
        """The id of the run there; begun once, however often it is asked for."""

    def state(self, name: str) -> State:
        """Of the run with this id."""


def key_of(batch: str) -> str:
    """A batch's name in names on AWS.

    >>> key_of("inbox/2026-11-24 north.csv")
    '2026-11-24-north-990dfd4d'
    """
    stem = batch.rsplit("/", 1)[-1].split(".", 1)[0]
    readable = re.sub(r"[^A-Za-z0-9]+", "-", stem).strip("-")[:32].rstrip("-")
    digest = hashlib.sha256(batch.encode()).hexdigest()[:8]
    return f"{readable}-{digest}" if readable else digest


def outcome_key(run: str) -> str:
    """Where in the bucket a run on EC2 tells how it ended: {"code": exit code, "told": its last line}."""
    return f"{LOCKS}/retrain-{run}.outcome.json"


def commit(environment: Mapping[str, str]) -> str:
    """RETRAIN_COMMIT. Raises ConfigError where git would take it for something else."""
    said = environment.get(COMMIT, "").strip() or NEWEST
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_./-]*", said):
        raise ConfigError(f"{COMMIT}: {said!r} names no branch, tag or commit; set {COMMIT}={NEWEST}")
    return said


def repository(environment: Mapping[str, str]) -> str:
    """RETRAIN_REPOSITORY. Raises ConfigError where it is not set, or holds a password: AWS shows it to many."""
    said = environment.get(REPOSITORY, "").strip()
    if not said:
        raise ConfigError(f"{REPOSITORY} is not set; give git's URL, or s3://bucket/key of what `git bundle` wrote")
    if urlsplit(said).password or (urlsplit(said).scheme == "https" and urlsplit(said).username):
        raise ConfigError(f"{REPOSITORY}: holds a password, which AWS would show; give a URL without one, or a bundle")
    return said
