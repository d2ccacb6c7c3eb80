"""Is the bucket of DVC's remote usable from here? Asked of the server itself, in a few short requests."""

import email.utils
import os
import uuid
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError, ProfileNotFound

from churn_drift.aws.client import PATH, VIRTUAL, Bucket, code, reason
from churn_drift.findings import Check, Finding, ok, skip, wrong

SKEW = timedelta(minutes=5)
"""S3 refuses what is signed more than 15 minutes off."""

_REFUSED = {
    "InvalidAccessKeyId": ("the server does not know the key id", "check AWS_ACCESS_KEY_ID"),
    "SignatureDoesNotMatch": ("the secret does not belong to the key id", "check AWS_SECRET_ACCESS_KEY"),
    "InvalidToken": ("the session token is not valid", "get new credentials, or unset AWS_SESSION_TOKEN"),
    "InvalidClientTokenId": ("the session token is not valid", "get new credentials, or unset AWS_SESSION_TOKEN"),
    "ExpiredToken": ("the session token has expired", "get new credentials, as by `aws sso login`"),
    "RequestTimeTooSkewed": ("the clocks differ by more than 15 minutes", "set this machine's clock"),
    "AuthorizationHeaderMalformed": ("signed for another region", "set AWS_DEFAULT_REGION to the one it names"),
}
"""Codes of a server that does not accept a signature: what they mean, and what mends it."""

_ASTRAY = {"", "NoSuchBucket", "SecondLevelDomainForbidden"}
"""Codes of a request that may not have reached its bucket; empty: no server has answered."""

_SOURCES = {
    "env": "the environment",
    "explicit": ".dvc/config.local",
    "shared-credentials-file": "the credentials file",
    "config-file": "the AWS config file",
    "iam-role": "this instance's role",
    "container-role": "this container's role",
    "assume-role": "an assumed role",
    "sso": "single sign-on",
}
"""boto3's names of where credentials come from, for people."""


def checks(url: str, remote: Mapping[str, Any], *, dotenv: Mapping[str, str | None]) -> Iterator[Check]:
    """The checks of an s3:// url, in order.

    remote  DVC's options of it
    dotenv  what .env sets, to tell where credentials come from
    """
    bucket = Bucket(url, remote)
    probe = _Probe(bucket)
    yield Check("credentials", lambda: _credentials(bucket, dotenv))
    yield Check("region", lambda: _region(bucket))
    yield Check("endpoint", probe.endpoint, needs=("region",))
    yield Check("clock", probe.clock, needs=("endpoint",))
    yield Check("addressing", lambda: _addressing(bucket), needs=("endpoint", "credentials"))
    yield Check("signature", lambda: _signature(bucket), needs=("addressing",))
    yield Check("bucket", lambda: _bucket(bucket), needs=("signature",))
    yield Check("write", probe.write, needs=("bucket",))
    yield Check("read", probe.read, needs=("write",))
    yield Check("delete", probe.delete, needs=("write",))


def _credentials(bucket: Bucket, dotenv: Mapping[str, str | None]) -> Finding:
    remedy = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in .env, or AWS_PROFILE"
    try:
        found = bucket.session.get_credentials()
        if found is None:
            return wrong("none found", remedy)
        key = found.get_frozen_credentials().access_key
    except (BotoCoreError, ClientError) as error:
        return wrong(reason(error), remedy)
    source = ".env" if found.method == "env" and key == dotenv.get("AWS_ACCESS_KEY_ID") else found.method
    return ok(f"from {_SOURCES.get(source, source)}")


def _region(bucket: Bucket) -> Finding:
    try:
        region = bucket.region
    except BotoCoreError as error:
        return wrong(reason(error), "check AWS_PROFILE")
    if region:
        return ok(region)
    if os.environ.get("AWS_REGION"):
        return wrong("AWS_REGION is set, but boto3 and DVC do not read it", "set AWS_DEFAULT_REGION")
    return wrong("not set", "set AWS_DEFAULT_REGION in .env")


def _addressing(bucket: Bucket) -> Finding:
    error, style, address = bucket.listed(), bucket.style, bucket.address
    other = VIRTUAL if style == PATH else PATH
    if error and not _arrived(error) and _arrived(bucket.listed(other)):
        file = bucket.session.get_config_variable("config_file")
        return wrong(
            f"{address} does not reach the bucket ({reason(error)}), {other} style does",
            f"set `addressing_style = {other}` below `s3 =` in {file}",
        )
    return ok(f"{style} style, {address}")


def _arrived(error: Exception | None) -> bool:
    return error is None or code(error) not in _ASTRAY


def _signature(bucket: Bucket) -> Finding:
    error = bucket.listed()
    if error and code(error) in _REFUSED:
        meaning, remedy = _REFUSED[code(error)]
        return wrong(f"{meaning} ({reason(error)})", remedy)
    if error and not code(error).strip("0123456789"):
        return wrong(f"not answered as S3 does ({reason(error)})", "check AWS_ENDPOINT_URL")
    return ok("key and secret are accepted")


def _bucket(bucket: Bucket) -> Finding:
    error = bucket.listed()
    if code(error) == "NoSuchBucket":
        return wrong(
            f"{bucket.name} does not exist there",
            "make it, or set S3_BUCKET to another and run `churn-drift remote s3`",
        )
    if code(error) == "AccessDenied":
        return wrong(f"{bucket.name} may not be listed", "have s3:ListBucket allowed")
    if error:
        return wrong(f"{bucket.name}: {reason(error)}", "mend the server, or ask again later")
    home = bucket.home
    if home and home != bucket.region:
        return wrong(f"{bucket.name} lies in {home}, not in {bucket.region}", f"set AWS_DEFAULT_REGION={home}")
    return ok(bucket.name)


class _Probe:
    """One small object that is written, read and deleted again, and what the server said by the way."""

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket
        self._content = uuid.uuid4().bytes
        self._place = {"Bucket": bucket.name, "Key": f"{bucket.prefix}/.doctor-{uuid.uuid4().hex}".lstrip("/")}
        self._version: dict[str, str] = {}
        self._date: str | None = None

    def endpoint(self) -> Finding:
        try:
            self._date = self._bucket.answer().get("date")
        except ProfileNotFound:
            return skip("needs credentials")
        except ValueError as error:
            return wrong(str(error), "set AWS_ENDPOINT_URL to an address such as http://127.0.0.1:9000")
        except BotoCoreError as error:
            return wrong(reason(error), "start the server (`make s3` starts one here), or check AWS_ENDPOINT_URL")
        return ok(f"{self._bucket.endpoint} answers")

    def clock(self) -> Finding:
        if self._date is None:
            return skip("the server does not tell its time")
        ahead = round((datetime.now(UTC) - email.utils.parsedate_to_datetime(self._date)).total_seconds())
        if abs(ahead) > SKEW.total_seconds():
            way = "ahead of" if ahead > 0 else "behind"
            return wrong(f"{abs(ahead)} s {way} the server's, S3 refuses that", "set this machine's clock (NTP)")
        return ok(f"within {abs(ahead) + 1} s of the server's")

    def write(self) -> Finding:
        try:
            answer = self._bucket.client.put_object(**self._place, Body=self._content)
        except (BotoCoreError, ClientError) as error:
            if code(error) == "AccessDenied":
                return wrong(f"not allowed ({reason(error)})", "have s3:PutObject allowed; `dvc pull` works as it is")
            return wrong(reason(error), "mend the server: is its disk full?")
        self._version = {"VersionId": answer["VersionId"]} if "VersionId" in answer else {}
        return ok(f"{len(self._content)} bytes to {self._place['Key']}")

    def read(self) -> Finding:
        try:
            content = self._bucket.client.get_object(**self._place)["Body"].read()
        except (BotoCoreError, ClientError) as error:
            return wrong(reason(error), "have s3:GetObject allowed")
        return ok("the same bytes") if content == self._content else wrong("other bytes", "do not trust this server")

    def delete(self) -> Finding:
        try:
            self._bucket.client.delete_object(**self._place, **self._version)
        except (BotoCoreError, ClientError) as error:
            return wrong(reason(error), f"have s3:DeleteObject allowed, and delete {self._place['Key']}")
        return ok("nothing is left behind")
