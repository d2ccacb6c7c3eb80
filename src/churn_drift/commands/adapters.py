"""The one place where the mode is looked at: what a production run needs of the world, local or on AWS.

Nothing of AWS is imported in local mode.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from churn_drift.aws import layout, settings
from churn_drift.errors import ConfigError
from churn_drift.notify import notifier
from churn_drift.ports import Deployer, Inbox, Notifier, Trainer
from churn_drift.production.inbox import LocalInbox, quiet_seconds
from churn_drift.terminal import complain


@dataclass(frozen=True)
class Adapters:
    """The adapters of one run.

    resend    tell what earlier runs could not. Raises PipelineError
    arriving  names of files in the inbox that somebody may still be writing; left_alone: of those that are no CSV
    push      what is pinned goes where it is kept; what went there, in one line. Raises PipelineError
    deployer  who rolls a model out; trainer: who runs the pipeline elsewhere. Raise ConfigError where nobody does
    rolls_out whether a run rolls the champion out, too; a server on this machine takes in by itself what is pinned
    """

    aws: bool
    inbox: Inbox
    notifier: Notifier
    resend: Callable[[], None]
    arriving: Callable[[], Sequence[str]]
    left_alone: Callable[[], Sequence[str]]
    push: Callable[[], str]
    deployer: Callable[[], Deployer]
    trainer: Callable[[], Trainer]
    rolls_out: bool


def adapters(environment: Mapping[str, str], *, aws: bool | None = None) -> Adapters:
    """What the environment says, or the mode that is asked for. Raises ConfigError where a setting is missing."""
    if settings.use_aws(environment) if aws is None else aws:
        return _on_aws(environment)
    inbox, told = LocalInbox(quiet=quiet_seconds(environment)), notifier(environment)
    return Adapters(
        aws=False,
        inbox=inbox,
        notifier=told,
        resend=told.resend,
        arriving=inbox.arriving,
        left_alone=inbox.left_alone,
        push=_push_by_default,
        deployer=lambda: _local_server(environment),
        trainer=_no_trainer,
        rolls_out=False,
    )


def _on_aws(environment: Mapping[str, str]) -> Adapters:
    from churn_drift.aws import sns
    from churn_drift.aws.inbox import SETTLED_LATER, S3Inbox

    bucket = settings.bucket(environment)
    topic = environment.get(sns.VARIABLE, "").strip()
    told = notifier(environment, more=[sns.SnsNotifier(topic)] if topic else [])
    noted = environment.get(SETTLED_LATER, "")
    return Adapters(
        aws=True,
        inbox=S3Inbox(bucket, noted=Path(noted) if noted else None),
        notifier=told,
        resend=told.resend,
        arriving=tuple,
        left_alone=tuple,
        push=lambda: _push_to_bucket(environment, bucket),
        deployer=lambda: _sagemaker(environment),
        trainer=lambda: _trainer(environment),
        rolls_out=bool(environment.get("SAGEMAKER_ENDPOINT", "").strip()),
    )


def _local_server(environment: Mapping[str, str]) -> Deployer:
    from churn_drift.commands.local_server import local_server

    return local_server(environment)


def _no_trainer() -> Trainer:
    raise ConfigError("retrain: starts machines of AWS, and this is local mode; `churn-drift run` runs it here")


def _sagemaker(environment: Mapping[str, str]) -> Deployer:
    from churn_drift.aws.deploy_model import deployer

    return deployer(environment)


def _trainer(environment: Mapping[str, str]) -> Trainer:
    from churn_drift.aws.trigger_retrain import trainer

    return trainer(environment)


def _push_by_default() -> str:
    from churn_drift.tracking import dvc

    dvc.push()
    return "Pushed what is pinned to the default remote."


def _push_to_bucket(environment: Mapping[str, str], bucket: str) -> str:
    """Of DVC's data to the bucket of the environment, then of copies for those who have no DVC."""
    from churn_drift.aws.s3_upload import upload
    from churn_drift.commands.remote import S3
    from churn_drift.tracking import dvc

    dvc.point(S3, f"s3://{bucket}/{layout.DVC}")
    dvc.push(S3)
    moved = upload(environment)
    if moved.warning:
        complain(moved.warning, kind="warning")
    return f"Pushed what is pinned to s3://{bucket}; copies: {moved.text()}."
