"""MLflow's aliases follow the pin; a store that does not answer changes nothing of what was done."""

from churn_drift.errors import PipelineError
from churn_drift.publishing import roles
from churn_drift.terminal import complain


def aliases_follow() -> None:
    """Move them where they are not right; a store that does not answer is told on stderr and left for later.

    Where no role has changed hands since they were last right, no store is asked.
    """
    try:
        roles.follow(mend=True, ask=False)
    except PipelineError as error:
        complain(f"MLflow's aliases stay as they are: {error}", kind="warning")
