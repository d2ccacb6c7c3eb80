"""DVC's experiments: commits that `dvc exp run` keeps outside of every branch."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dvc.repo import Repo


@dataclass(frozen=True)
class Experiment:
    """An experiment that finished; commit: git's, which holds its files; at: when that was made, ISO 8601."""

    name: str
    commit: str
    at: str


@dataclass(frozen=True)
class Found:
    """Experiments to publish, and a line for each that cannot be."""

    experiments: list[Experiment]
    refused: list[str]


def of_head() -> Found:
    """Every experiment of the commit that is checked out, and those of DVC's queue that failed on it."""
    from dvc.repo import Repo

    with Repo() as repo:
        finished = _listed(repo, rev="HEAD")
        head = repo.scm.get_rev()
        failed = [done.entry for done in repo.experiments.celery_queue.iter_failed() if done.entry.baseline_rev == head]
    refused = [
        f"{entry.name or entry.stash_rev[:7]}: failed, so it has no results; "
        f"`dvc queue logs {entry.name or entry.stash_rev[:7]}` says why, `dvc queue remove --failed` forgets it"
        for entry in failed
    ]
    return Found(sorted(finished.values(), key=lambda experiment: experiment.name), sorted(refused))


def named(names: Sequence[str]) -> Found:
    """The experiments of these names; of several with one name, that of the commit that is checked out."""
    from dvc.repo import Repo

    with Repo() as repo:
        known = {**_listed(repo, all_commits=True), **_listed(repo, rev="HEAD")}
    wanted = list(dict.fromkeys(names))
    refused = [
        f"{name}: no experiment of this name has finished (one that fails leaves nothing); "
        "`dvc exp list --all-commits` lists those that have"
        for name in wanted
        if name not in known
    ]
    return Found([known[name] for name in wanted if name in known], refused)


def _listed(repo: "Repo", **of: Any) -> dict[str, Experiment]:
    pairs = (pair for listed in repo.experiments.ls(**of).values() for pair in listed)
    return {name: Experiment(name, commit, _time_of(repo, commit)) for name, commit in pairs}


def _time_of(repo: "Repo", commit: str) -> str:
    return datetime.fromtimestamp(repo.scm.resolve_commit(commit).commit_time, UTC).isoformat(timespec="seconds")
