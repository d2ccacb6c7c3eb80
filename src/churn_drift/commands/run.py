"""`churn-drift run`: take in what waits, reproduce, read the verdicts, promote, publish, push, commit, roll out, tell.

Every step looks at what is there: a run that was killed anywhere is finished by the next one.
"""

import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

from churn_drift import paths
from churn_drift.aws import settings
from churn_drift.commands import summary, table
from churn_drift.commands.adapters import Adapters, adapters
from churn_drift.commands.summary import Outcome
from churn_drift.config import Params, load_params
from churn_drift.data import files
from churn_drift.errors import ConfigError, ModelError, PipelineError
from churn_drift.ports import Message
from churn_drift.production import backlog, commits, landed, lease, messages, news, record, source, troubles
from churn_drift.production.inbox import Taken, shown
from churn_drift.production.mend import mend
from churn_drift.production.troubles import Send
from churn_drift.publishing import lock
from churn_drift.terminal import complain, say, working
from churn_drift.tracking import dvc, pin, promotion

OK, WORSE = 0, 3


def run(
    *,
    data: str | None,
    promote: bool,
    publish: bool,
    push: bool = False,
    commit: bool = False,
    aws: bool | None = None,
) -> int:
    """0: done; 3: the policy was significantly worse than never retraining, so nothing was promoted.

    data  another source for this run only: somebody tries something, so that the inbox is left alone, and nobody else
          is told where it fails
    aws   the mode of this run; None: what USE_AWS says

    A store, a remote or a commit that fails is told; the pipeline's result stands, and the next run tries again.
    """
    if aws is not None:
        os.environ[settings.MODE] = str(aws).lower()
    if commit:
        _check_commit(data)
    world = adapters(os.environ)
    send = _sending(world)
    with lease.taken(lease.RUN, what="run") as left:
        if left:
            say(f"an earlier {left.what} ended before it was done ({left}); this one goes on from there")
        for line in source.put_back():
            say(f"mended {line}")
        params, locked = load_params(paths.PARAMS), _lock()
        with _watched("the run", send) if data is None else nullcontext():
            for line in mend():
                say(f"mended {line}")
            news.begin()
            taken = _take_in(world, send) if data is None else []
            if data is not None:
                with working(f"checking {data}"):
                    _refuse_bad(data, params)
            with nullcontext() if data is None else source.other(data):
                dvc.reproduce()
            concluded = _conclude(promote=promote)
            rolls_out = world.rolls_out and promote and data is None
            failed = [
                what
                for what, wanted, do in (
                    ("publishing", publish, _publish),
                    ("pushing", push, lambda: _push(world)),
                    ("committing", commit, _commit),
                    ("rolling out", rolls_out, lambda: _roll_out(world)),
                )
                if wanted and not _try(what, do, send)
            ]
            news.tell(send)
        ran = _lock() != locked
        _resend(world)
    summary.show(
        Outcome(
            taken=taken,
            ran=ran,
            newest=concluded.rows[-1] if concluded.rows else None,
            landed=bool(concluded.rows) and concluded.rows[-1]["batch"] in backlog.landed(),
            verdict=concluded.summary["verdict"],
            policy=concluded.summary["policy"],
            entry=concluded.entry,
            champion=concluded.champion,
            candidate=concluded.summary["candidate"],
            aws=world.aws,
            failed=failed,
            unkept=[] if commit else _unkept(),
            unpushed=(ran or concluded.entry is not None) and not push and dvc.has_remote(),
            published=publish and "publishing" not in failed,
            from_make="MAKELEVEL" in os.environ and "VIRTUAL_ENV" not in os.environ,
        )
    )
    return WORSE if concluded.summary["verdict"] == "worse" else OK


def _check_commit(data: str | None) -> None:
    if data is not None:
        raise ConfigError("--commit: not with --data, which is for one run; put the path into ingest.source instead")
    commits.check_ready()


def _lock() -> bytes:
    """What says which results of which inputs lie here; nothing before the first run."""
    return lock.LOCK.read_bytes() if lock.LOCK.exists() else b""


def _take_in(world: Adapters, send: Send) -> Sequence[Taken]:
    """What waits in the inbox, landed or refused; where nothing waits nothing is imported for it."""
    taken: Sequence[Taken] = []
    landed.bring()
    for name in world.arriving():
        say(f"{shown(name)}: still arriving; the next run takes it in")
    for name in world.left_alone():
        say(f"{shown(name)}: left alone, as its name ends in neither .csv nor .csv.gz")
    if world.inbox.waiting():
        with working("taking in what waits in the inbox"):
            from churn_drift.production.intake import take_in

            taken = take_in(world.inbox)
        for one in taken:
            say(one.line())
            if one.outcome == "refused":
                send(messages.of_refusal(one))
    landed.pin()
    return taken


def _try(what: str, do: Callable[[], None], send: Send) -> bool:
    """Whether a step worked whose failure leaves the pipeline's result as it is, and is mended by the next run."""
    try:
        do()
    except PipelineError as error:
        complain(str(error), kind="warning")
        troubles.failed(what, messages.told(error), send)
        return False
    troubles.works(what, send)
    return True


@contextmanager
def _watched(what: str, send: Send) -> Iterator[None]:
    """People are told where the block fails, and where it works again."""
    try:
        yield
    except Exception as error:
        troubles.failed(what, messages.told(error), send)
        raise
    troubles.works(what, send)


def _sending(world: Adapters) -> Send:
    """Tells, and says once where somebody could not be told: the notifier keeps the message for the next run."""
    said: set[str] = set()

    def send(message: Message) -> None:
        try:
            world.notifier.send(message)
        except PipelineError as error:
            if str(error) not in said:
                complain(str(error), kind="warning")
            said.add(str(error))

    return send


def _resend(world: Adapters) -> None:
    """What people were not told by earlier runs; what still fails was kept."""
    try:
        world.resend()
    except PipelineError as error:
        complain(str(error), kind="warning")


def _publish() -> None:
    """The run into MLflow. Raises PipelineError where the store does not answer."""
    from churn_drift.commands.publish import publish_run
    from churn_drift.commands.roles import aliases_follow

    with working("publishing to MLflow"):
        warning = publish_run()
        if warning:
            raise PipelineError(warning)
        aliases_follow()


def _push(world: Adapters) -> None:
    with working("pushing to the remote"):
        done = world.push()
    say(done)


def _roll_out(world: Adapters) -> None:
    """The champion to where the mode has it answer; nothing to do where it does already. Raises PipelineError."""
    from churn_drift.commands.deploy import roll_out

    try:
        with working("rolling the champion out"):
            done = roll_out("champion", world.deployer())
    except (ConfigError, ModelError) as error:
        raise PipelineError(f"the champion was not rolled out: {error}") from error
    say(done)


def _commit() -> None:
    subject = record.keep()
    if subject:
        print(f"Committed: {subject}")


def _unkept() -> Sequence[str]:
    """What the run wrote and git's commit has not."""
    return commits.changed(record.written(lock.parse(_lock())))


def _refuse_bad(data: str, params: Params) -> None:
    """Find what the stages would refuse before anything is run or written."""
    from churn_drift.data.batch_generator import check_reference
    from churn_drift.data.ingest import read_customers
    from churn_drift.data.preprocess import preprocess

    raw = read_customers(data)
    clean = preprocess(raw, source=data, zero_is_missing=params.preprocess.zero_is_missing)
    check_reference(clean.frame, params.split_batches, source=data)


@dataclass(frozen=True)
class _Concluded:
    """The timeline and the policy's summary; the promotion's line of the ledger, and who is champion after it."""

    rows: Sequence[table.Row]
    summary: Mapping[str, Any]
    entry: Mapping[str, Any] | None
    champion: str | None


def _conclude(*, promote: bool) -> _Concluded:
    """Show the timeline, then promote what is new."""
    told, rows = files.read_json(paths.SUMMARY), table.read(paths.TIMELINE)
    table.show(rows, told)
    worse = told["verdict"] == "worse"
    fresh = promote and not worse and promotion.is_new()
    champion = None if fresh else pin.restore()
    if worse:
        say("Not promoted: the policy is significantly worse than never retraining.", sys.stderr)
    entry = promotion.promote({k: told[k] for k in ("auc_policy", "auc_never", "gain")}) if fresh else None
    return _Concluded(rows, told, entry, entry["version"] if entry else champion)
