"""`churn-drift remote`: where this clone's `dvc push` and `dvc pull` go, by DVC's own configuration."""

import os

from churn_drift.aws import settings
from churn_drift.errors import PipelineError
from churn_drift.terminal import say

LOCAL, S3 = "local", "s3"


def remote(name: str | None) -> int:
    """0: .dvc/config.local names the remote; None takes the one of the mode. No credentials are written."""
    chosen = name or (S3 if settings.use_aws(os.environ) else LOCAL)
    if chosen == S3:
        _dvc("remote", "modify", "--local", S3, "url", f"s3://{settings.bucket(os.environ)}/dvc")
    _dvc("config", "--local", "core.remote", chosen)
    say(f"`dvc push` and `dvc pull` now go to {_url(chosen)} (remote {chosen}, chosen in .dvc/config.local)")
    return 0


def _dvc(*arguments: str) -> None:
    """DVC's own command, in this process: starting two more would take a second each."""
    from dvc.cli import main

    if main(list(arguments)):
        raise PipelineError(f"`dvc {' '.join(arguments)}` failed (see above); is the remote in .dvc/config?")


def _url(name: str) -> str:
    from dvc.config import Config

    return str(Config.from_cwd()["remote"][name]["url"])
