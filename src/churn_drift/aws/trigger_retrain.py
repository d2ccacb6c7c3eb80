"""Retraining on AWS: the pipeline's run for a batch, begun once, by the first of whoever asks.

locks/retrain-KEY.json remembers the attempt and, once it has begun, its handle. It is a lease while somebody begins;
killed in between, the next one begins the same attempt, which the service knows by its name. An attempt that failed is
followed by another, ATTEMPTS in all. boto3 is all that is needed: the Lambda bundles this.
"""

import random
import time
from collections.abc import Callable, Mapping
from functools import cache

from churn_drift.aws import settings
from churn_drift.aws.asking import is_passing
from churn_drift.aws.leases import Hold, Leases, Note, held
from churn_drift.aws.machines import remote_runs
from churn_drift.aws.machines.ec2_command import Command
from churn_drift.aws.machines.ec2_instance import Instance
from churn_drift.aws.machines.remote_runs import Machine, Run, State
from churn_drift.aws.machines.sagemaker_job import Job
from churn_drift.aws.services import service
from churn_drift.aws.variables import word
from churn_drift.errors import ConfigError, PipelineError

WITH = "RETRAIN_WITH"
KINDS: Mapping[str, Callable[[Mapping[str, str]], Machine]] = {"ec2": Instance, "ssm": Command, "sagemaker": Job}
"""Values of RETRAIN_WITH."""

ATTEMPTS = 3
BEGINNING = 60.0
"""Seconds that one has for beginning a run, before another may."""

_SETTLING = 600.0
"""Seconds after which a service knows what it has begun."""


def trigger(batch: str, environment: Mapping[str, str]) -> str:
    """Start the run for a batch as the environment says; its handle. Raises ConfigError and PipelineError."""
    return trainer(environment).start(batch)


def trainer(environment: Mapping[str, str], *, every: float = 20.0) -> "Retraining":
    """Of RETRAIN_WITH. Raises ConfigError naming what is not set.

    every  seconds between two looks at a run
    """
    kind = word(environment, WITH, *KINDS)
    leases = Leases(service("s3"), settings.bucket(environment))
    return Retraining(
        kind,
        machine=cache(lambda name: KINDS[name](environment)),
        leases=leases,
        commit=remote_runs.commit(environment),
        every=every,
    )


class Retraining:
    """The port ports.Trainer.

    kind      of machine that new runs get; a handle is KIND:ID, so that old ones are known, too
    machine   of a kind
    patience  seconds to wait for somebody else who begins the same run
    """

    def __init__(
        self,
        kind: str,
        *,
        machine: Callable[[str], Machine],
        leases: Leases,
        commit: str,
        every: float,
        patience: float = BEGINNING,
    ) -> None:
        self._kind, self._machine, self._leases, self._commit = kind, machine, leases, commit
        self._patience, self._every = patience, every

    def start(self, batch: str) -> str:
        """The handle of the batch's run: of the one that goes on or is done, else of a new attempt.

        Raises PipelineError where it cannot be started, or has failed ATTEMPTS times.
        """
        name = f"retrain-{remote_runs.key_of(batch)}"
        with held(self._leases, name, seconds=BEGINNING, patience=self._patience) as hold:
            begun = hold.note.get("handle", "")
            state = self.state(begun) if begun else None
            if state and not _has_failed(state, hold.note):
                return begun
            return self._begin(batch, hold, failed=state)

    def wait(self, handle: str, *, seconds: float) -> str:
        """How it ended. Raises PipelineError where it failed, or still runs after so many seconds."""
        end, state = time.monotonic() + seconds, State("unknown", "never answered")
        while True:
            try:
                state = self.state(handle)
            except PipelineError as error:
                if not is_passing(error):
                    raise
            if state.status == "done":
                return f"{handle}: {state.told}"
            if state.status == "failed":
                raise PipelineError(f"{handle}: failed: {state.told}")
            left = end - time.monotonic()
            if left <= 0:
                raise PipelineError(
                    f"{handle}: not done after {seconds:.0f} s ({state.told}); it goes on, ask again later"
                )
            time.sleep(min(left, self._every * random.uniform(0.5, 1)))  # noqa: S311  only to spread them

    def state(self, handle: str) -> State:
        """How it stands. Raises ConfigError where this is no handle, PipelineError where nobody answers."""
        kind, _, name = handle.partition(":")
        if kind not in KINDS or not name:
            raise ConfigError(f"{handle}: no handle of a run; `churn-drift retrain BATCH` prints one")
        return self._machine(kind).state(name)

    def _begin(self, batch: str, hold: Hold, *, failed: State | None) -> str:
        attempt = int(hold.note.get("attempt", "1")) + (failed is not None)
        if failed and attempt > ATTEMPTS:
            raise PipelineError(
                f"{batch}: its run has failed {ATTEMPTS} times, last: {failed.told}; mend that, then delete "
                f"{self._leases.url(hold.name)} to have it run again"
            )
        run = Run(batch, attempt, self._commit)
        hold.remember(batch=batch, attempt=str(attempt), handle="", begun=str(int(time.time())))
        handle = f"{self._kind}:{self._machine(self._kind).begin(run)}"
        hold.remember(handle=handle)
        return handle


def _has_failed(state: State, note: Note) -> bool:
    """Whether another attempt is due: it ended badly, or its service, which has had time to, does not know it."""
    fresh = time.time() - float(note.get("begun", "0")) < _SETTLING
    return state.status == "failed" or (state.status == "unknown" and not fresh)
