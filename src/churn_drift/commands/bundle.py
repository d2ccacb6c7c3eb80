"""`churn-drift bundle`: this repository's commits to where machines of AWS find them that reach no git server."""

import os
from pathlib import Path

from churn_drift.aws.machines import remote_runs
from churn_drift.errors import ConfigError
from churn_drift.terminal import say, working


def bundle() -> int:
    """0: they lie there."""
    url = remote_runs.repository(os.environ)
    if not url.startswith("s3://"):
        raise ConfigError(f"{remote_runs.REPOSITORY}: {url} is a git server's; `git push` does it")
    from churn_drift.aws.machines import bundles

    with working(f"bundling the repository for {url}"):
        bundles.put(Path.cwd(), url)
    say(f"Put all branches and tags into {url}.")
    return 0
