"""What the Lambda needs of the champion in the bucket: its drift profile, and how raw cells are typed for it."""

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from churn_drift.aws import layout
from churn_drift.aws.client import code
from churn_drift.aws.services import FAULTS
from churn_drift.drift import Profile, from_json
from churn_drift.errors import ModelError, PipelineError
from churn_drift.model.bundle import FORMAT, MANIFEST


@dataclass(frozen=True)
class Reference:
    """The champion's view of the customers that it was fitted on."""

    version: str
    profile: Profile
    zero_is_missing: bool


def champion(s3: Any, bucket: str) -> Reference:
    """The champion's profile, of which each byte is what its manifest says.

    Raises PipelineError where there is no champion, and ModelError where its files do not belong together, as for a
    moment while another one is uploaded.
    """
    manifest = _content(s3, bucket, MANIFEST)
    features = json.loads(_verified(s3, bucket, "features.json", manifest))
    return Reference(
        version=hashlib.sha256(manifest).hexdigest()[:12],
        profile=from_json(json.loads(_verified(s3, bucket, "profile.json", manifest))),
        zero_is_missing=features["zero_is_missing"],
    )


def _verified(s3: Any, bucket: str, name: str, manifest: bytes) -> bytes:
    url = f"s3://{bucket}/{layout.CHAMPION}"
    try:
        listed = json.loads(manifest)
        known, expected = listed["format"] == FORMAT, listed["files"][name]
    except (ValueError, KeyError, TypeError):
        raise ModelError(f"{url}/{MANIFEST}: cannot be read; `churn-drift upload models` sends it again") from None
    if not known:
        raise ModelError(f"{url}/{MANIFEST}: not of format {FORMAT}; `make aws-deploy` brings this Lambda up to date")
    content = _content(s3, bucket, name)
    if hashlib.sha256(content).hexdigest() != expected:
        raise ModelError(
            f"{url}/{name}: is not the one in {MANIFEST}; an upload may be under way, else `churn-drift upload models`"
        )
    return content


def _content(s3: Any, bucket: str, name: str) -> bytes:
    key = f"{layout.CHAMPION}/{name}"
    try:
        return bytes(s3.get_object(Bucket=bucket, Key=key)["Body"].read())
    except FAULTS as error:
        if code(error) == "NoSuchKey":
            raise PipelineError(
                f"s3://{bucket}/{key}: no champion there yet; `churn-drift upload models` sends it"
            ) from None
        raise
