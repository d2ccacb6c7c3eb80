"""MLflow's aliases follow the pin; a store that does not answer changes nothing of what was done."""

import sys

from churn_drift.errors import PipelineError
from churn_drift.publishing import roles
from churn_drift.terminal import say


def aliases_follow() -> None:
    """Move them where they are not right; a store that does not answer is told on stderr and left for later.

    Where no role has changed hands since they were last right, no store is asked.
    """
    try:
        roles.follow(mend=True, ask=False)
    except PipelineError as error:
        say(f"warning: MLflow's aliases stay as they are: {error}", sys.stderr)
