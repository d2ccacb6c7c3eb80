"""Clients of AWS's services: standard retries with backoff, bounded waits; endpoint and credentials as boto3 has them.

boto3 reads AWS_ENDPOINT_URL and AWS_ENDPOINT_URL_S3 and the like by itself.
"""

from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, NoRegionError, PartialCredentialsError
from botocore.parsers import ResponseParserError
from botocore.session import Session

from churn_drift.aws.client import code, reason
from churn_drift.errors import PipelineError

CONNECT_SECONDS, READ_SECONDS = 10, 60
TRIES = 6
"""Of one request, the first included; AWS_MAX_ATTEMPTS sets another number."""

FAULTS = (BotoCoreError, ClientError, ResponseParserError)
"""What boto3 raises where a service refuses, does not answer, or is none of AWS's."""


def service(name: str, *, region: str | None = None, **config: Any) -> Any:
    """boto3's client; config: more of botocore's. Raises PipelineError where no region is set."""
    session = Session()
    try:
        tries = session.get_config_variable("max_attempts") or TRIES
        options = {
            "connect_timeout": CONNECT_SECONDS,
            "read_timeout": READ_SECONDS,
            "retries": {"mode": "standard", "total_max_attempts": tries},
            **config,
        }
        return boto3.Session(botocore_session=session, region_name=region).client(name, config=Config(**options))
    except FAULTS as error:
        raise failure(name, error) from None


def failure(what: str, error: Exception) -> PipelineError:
    """What AWS said about this, with what mends it where that is known."""
    remedy = _REMEDIES.get(code(error)) or _REMEDIES.get(type(error).__name__)
    return PipelineError(f"{what}: {said(error)}{f'; {remedy}' if remedy else ''}")


def said(error: Exception) -> str:
    """In AWS's own words, in one line; a page of HTML is not shown."""
    return "not answered as AWS does" if isinstance(error, ResponseParserError) else reason(error)


_ALLOW = "`churn-drift doctor --aws` names the permission that is missing"
_KEYS = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in .env, or AWS_PROFILE"
_REMEDIES = {
    "NoSuchBucket": "make the bucket, or set S3_BUCKET to another",
    "AccessDenied": _ALLOW,
    "AccessDeniedException": _ALLOW,
    "AuthorizationError": _ALLOW,
    "UnauthorizedOperation": _ALLOW,
    "403": _ALLOW,
    "InvalidAccessKeyId": "check AWS_ACCESS_KEY_ID",
    "SignatureDoesNotMatch": "check AWS_SECRET_ACCESS_KEY",
    "ExpiredToken": "get new credentials, as by `aws sso login`",
    "SlowDown": "AWS throttles us, and the tries are used up; run it again later",
    "RequestTimeTooSkewed": "set this machine's clock",
    NoCredentialsError.__name__: _KEYS,
    PartialCredentialsError.__name__: _KEYS,
    NoRegionError.__name__: "set AWS_DEFAULT_REGION in .env",
    "ProfileNotFound": "check AWS_PROFILE",
    ResponseParserError.__name__: "check AWS_ENDPOINT_URL",
    "EndpointConnectionError": "is it up? check AWS_ENDPOINT_URL",
}
"""By code or by botocore's class."""
