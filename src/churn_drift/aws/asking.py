"""A block of requests to AWS: what it refuses, or does not answer, comes out as one line."""

from collections.abc import Iterator
from contextlib import contextmanager

from botocore.exceptions import ClientError, HTTPClientError

from churn_drift.aws.client import code
from churn_drift.aws.services import FAULTS, failure

_PASSING = frozenset(
    {
        "InternalError",
        "InternalFailure",
        "InternalServerError",
        "RequestLimitExceeded",
        "ServiceUnavailable",
        "SlowDown",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
        "Unavailable",
    }
)


@contextmanager
def asked(what: str) -> Iterator[None]:
    """Raises PipelineError with AWS's own words, naming what was asked for; its cause is boto3's error."""
    try:
        yield
    except FAULTS as error:
        raise failure(what, error) from error


def is_passing(error: BaseException | None) -> bool:
    """Whether boto3's error, or that behind `asked`'s, may be gone in a while: throttling, a server that is away."""
    cause = error.__cause__ if error is not None and not isinstance(error, FAULTS) else error
    if isinstance(cause, ClientError):
        return code(cause) in _PASSING or cause.response["ResponseMetadata"].get("HTTPStatusCode", 0) >= 500
    return isinstance(cause, HTTPClientError)
