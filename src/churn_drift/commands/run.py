"""`churn-drift run`: take in what waits, reproduce, read the verdicts, promote, publish, push, commit, roll out, tell.

Every step looks at what is there: a run that was killed anywhere is finished by the next one.
"""

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import Any

from rich.console import Console

from churn_drift import paths
from churn_drift.aws import settings
from churn_drift.commands import table
from churn_drift.commands.adapters import Adapters, adapters
from churn_drift.config import Params, load_params
from churn_drift.data import files
from churn_drift.errors import ConfigError, ModelError, PipelineError
from churn_drift.ports import Message
from churn_drift.production import commits, landed, lease, messages, news, record, source, troubles
from churn_drift.production.inbox import shown
from churn_drift.production.mend import mend
from churn_drift.production.troubles import Send
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
            print(f"an earlier {left.what} ended before it was done ({left}); this one goes on from there")
        for line in source.put_back():
            print(f"mended {line}")
        params = load_params(paths.PARAMS)
        with _watched("the run", send) if data is None else nullcontext():
            for line in mend():
                print(f"mended {line}")
            news.begin()
            if data is None:
                _take_in(world, send)
                dvc.reproduce()
            else:
                _refuse_bad(data, params)
                with source.other(data):
                    dvc.reproduce()
            status = _conclude(promote=promote, hint=not commit)
            rolls_out = world.rolls_out and promote and data is None
            for what, wanted, do in (
                ("publishing", publish, _publish),
                ("pushing", push, lambda: print(world.push())),
                ("committing", commit, _commit),
                ("rolling out", rolls_out, lambda: _roll_out(world)),
            ):
                if wanted:
                    _try(what, do, send)
            news.tell(send)
        _resend(world)
    return status


def _check_commit(data: str | None) -> None:
    if data is not None:
        raise ConfigError("--commit: not with --data, which is for one run; put the path into ingest.source instead")
    commits.check_ready()


def _take_in(world: Adapters, send: Send) -> None:
    """What waits in the inbox, landed or refused; where nothing waits nothing is imported for it."""
    landed.bring()
    for name in world.arriving():
        print(f"{shown(name)}: still arriving; the next run takes it in")
    if world.inbox.waiting():
        from churn_drift.production.intake import take_in

        for one in take_in(world.inbox):
            print(one.line())
            if one.outcome == "refused":
                send(messages.of_refusal(one))
    landed.pin()


def _try(what: str, do: Callable[[], None], send: Send) -> None:
    """A step whose failure leaves the pipeline's result as it is, and is mended by the next run."""
    try:
        do()
    except PipelineError as error:
        print(f"warning: {error}", file=sys.stderr)
        troubles.failed(what, messages.told(error), send)
    else:
        troubles.works(what, send)


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
                print(f"warning: {error}", file=sys.stderr)
            said.add(str(error))

    return send


def _resend(world: Adapters) -> None:
    """What people were not told by earlier runs; what still fails was kept."""
    try:
        world.resend()
    except PipelineError as error:
        print(f"warning: {error}", file=sys.stderr)


def _publish() -> None:
    """The run into MLflow. Raises PipelineError where the store does not answer."""
    from churn_drift.commands.publish import publish_run
    from churn_drift.commands.roles import aliases_follow

    warning = publish_run()
    if warning:
        raise PipelineError(warning)
    aliases_follow()


def _roll_out(world: Adapters) -> None:
    """The champion to where the mode has it answer; nothing to do where it does already. Raises PipelineError."""
    from churn_drift.commands.deploy import roll_out

    try:
        print(roll_out("champion", world.deployer()))
    except (ConfigError, ModelError) as error:
        raise PipelineError(f"the champion was not rolled out: {error}") from error


def _commit() -> None:
    subject = record.keep()
    if subject:
        print(f"Committed: {subject}")


def _refuse_bad(data: str, params: Params) -> None:
    """Find what the stages would refuse before anything is run or written."""
    from churn_drift.data.batch_generator import check_reference
    from churn_drift.data.ingest import read_customers
    from churn_drift.data.preprocess import preprocess

    raw = read_customers(data)
    clean = preprocess(raw, source=data, zero_is_missing=params.preprocess.zero_is_missing)
    check_reference(clean.frame, params.split_batches, source=data)


def _conclude(*, promote: bool, hint: bool) -> int:
    console = Console(highlight=False)
    summary = files.read_json(paths.SUMMARY)
    table.show(table.read(paths.TIMELINE), summary, console)
    fresh = promote and summary["verdict"] != "worse" and promotion.is_new()
    champion = None if fresh else pin.restore()
    if summary["verdict"] == "worse":
        print("Not promoted: the policy is significantly worse than never retraining.", file=sys.stderr)
        return WORSE
    entry = promotion.promote({k: summary[k] for k in ("auc_policy", "auc_never", "gain")}) if fresh else None
    console.print(_what_next(entry, champion, summary["candidate"], hint=hint), soft_wrap=True)
    return OK


def _what_next(entry: Mapping[str, Any] | None, champion: str | None, candidate: str, *, hint: bool) -> str:
    if entry:
        done = f"Promoted {entry['version']} to {paths.CHAMPION} (it replaces {entry['replaces'] or 'nothing'})."
        keep = f"\nKeep it: git add models reports dvc.lock && git commit -m 'Promote {entry['version']}'"
        return done + (keep if hint else "")
    if champion == candidate:
        return f"Champion {champion}: the candidate is what serves already."
    return f"Champion {champion or 'none'} stays; candidate {candidate} was not promoted or was champion before."
