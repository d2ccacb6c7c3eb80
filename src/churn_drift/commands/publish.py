"""`churn-drift publish`: what DVC made, into MLflow; and the same at the end of `churn-drift run`.

A run goes into the outbox first and leaves it when the store has it: a server that is down, a crash or a later
`dvc repro` loses nothing.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from churn_drift.errors import ChurnDriftError, PipelineError
from churn_drift.publishing import address, lock, outbox, record, trees
from churn_drift.publishing import experiments as dvc_experiments
from churn_drift.publishing.experiments import Experiment
from churn_drift.publishing.record import Lineage
from churn_drift.publishing.store import Published, Store, opened
from churn_drift.terminal import complain, say, working
from churn_drift.tracking import git

REMEDY = f"nothing is lost, the run waits in {outbox.FOLDER}: `churn-drift publish` sends it when the store answers"
OK, REFUSED = 0, 2


@dataclass(frozen=True)
class Source:
    """A run that can be published; key: of its dvc.lock; copy: fills a folder with its files."""

    name: str
    key: str
    lineage: Lineage
    copy: Callable[[Path], None]


def publish(*, experiments: Sequence[str] | None) -> int:
    """0, or 2 where something has no results to publish; one line a run. Asks the store, whatever is remembered.

    experiments  None: the workspace's run; none named: all of the commit that is checked out; else those named

    Raises PipelineError where the store does not answer; the runs then wait.
    """
    sources, refused = _sources(experiments)
    there: set[str] = set()
    with outbox.alone():
        try:
            with working("publishing to MLflow") as tell, opened(remedy=REMEDY) as store:
                there |= set(_known(store, sources, tell))
                refused += _keep(source for source in sources if source.key not in there)
                refused += _deliver(store, tell)
        except PipelineError:
            _complain([*refused, *_keep(source for source in sources if source.key not in there)])
            raise
    _complain(refused)
    say(f"See them: {address.how_to_see()}")
    return REFUSED if refused else OK


def publish_run() -> str | None:
    """Publish the run that `dvc repro` has left here. A warning where the store does not answer, None where it does.

    Where nothing has changed no store is asked: importing MLflow takes longer than such a run.
    """
    try:
        if _is_published():
            return None
        with outbox.alone():
            refused = _keep([_workspace()])
            with opened(remedy=REMEDY) as store:
                refused += _deliver(store, lambda _: None)
    except PipelineError as error:
        return str(error)
    return "; ".join(refused) or None


def _is_published() -> bool:
    store = address.identity()
    seen = outbox.delivered(store, _key_here()) if store else None
    if seen is None or outbox.waiting():
        return False
    return not seen.dirty or git.is_dirty()


def _sources(names: Sequence[str] | None) -> tuple[list[Source], list[str]]:
    if names is None:
        return [_workspace()], []
    found = dvc_experiments.named(names) if names else dvc_experiments.of_head()
    return [_experiment(one) for one in found.experiments], found.refused


def _workspace() -> Source:
    lineage = Lineage(_now(), git.head(), git.is_dirty())
    return Source("this run", _key_here(), lineage, trees.from_workspace)


def _experiment(one: Experiment) -> Source:
    def copy(folder: Path) -> None:
        trees.from_revision(one.commit, folder, name=one.name)

    lineage = Lineage(one.at, one.commit, dirty=False, experiment=one.name)
    return Source(one.name, lock.key_of(git.read(one.commit, lock.LOCK) or b""), lineage, copy)


def _key_here() -> str:
    if not lock.LOCK.exists():
        raise PipelineError(f"{lock.LOCK}: not there; `dvc repro` makes it")
    return lock.key_of(lock.LOCK.read_bytes())


def _known(store: Store, sources: Iterable[Source], tell: Callable[[str], None]) -> Iterator[str]:
    """The keys of those that the store has; what is known better of them now is mended there."""
    for source in sources:
        if run := store.find(source.key):
            lineage = store.refresh(run, source.lineage)
            _remember(source.key, lineage)
            tell(f"already there: {run.info.run_name}, run {run.info.run_id}")
            yield source.key


def _keep(sources: Iterable[Source]) -> list[str]:
    """Put them into the outbox; a line for each that has no results."""
    refused = []
    for source in sources:
        try:
            outbox.put(source.copy, source.lineage)
        except ChurnDriftError as error:
            refused.append(str(error))
    return refused


def _deliver(store: Store, say: Callable[[str], None]) -> list[str]:
    """Publish what waits, oldest first; a line for each that is damaged."""
    refused = []
    for folder in outbox.waiting():
        try:
            one = record.read(folder)
        except ChurnDriftError as error:
            refused.append(f"{folder}: cannot be read ({error}); `rm -r {folder}` gives this run up")
            continue
        done = store.publish(one)
        _remember(one.key, done.lineage)
        outbox.remove(folder)
        say(_line(one.name, done))
    return refused


def _line(name: str, done: Published) -> str:
    return f"{'published' if done.new else 'already there'}: {name}, run {done.run_id}"


def _remember(key: str, lineage: Lineage) -> None:
    if store := address.identity():
        outbox.remember(store, key, lineage)


def _complain(lines: Iterable[str]) -> None:
    for line in lines:
        complain(line)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
