"""What a version is on SageMaker: the requests that make its model and its endpoint configuration, named by content.

A name ends with a hash of all that makes it, so that what has this name is this: made twice is once, and whoever was
killed in between goes on.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from churn_drift.aws import layout, settings
from churn_drift.aws.variables import needed, number
from churn_drift.errors import ConfigError

ENDPOINT, IMAGE, ROLE = "SAGEMAKER_ENDPOINT", "SAGEMAKER_IMAGE_URI", "SAGEMAKER_ROLE_ARN"
TYPE, COUNT, CANARY = "SAGEMAKER_INSTANCE_TYPE", "SAGEMAKER_INSTANCE_COUNT", "SAGEMAKER_CANARY_PERCENT"
ALARMS, LOG = "SAGEMAKER_ALARMS", "SAGEMAKER_LOG"

Request = dict[str, Any]

_NAME = re.compile(r"[A-Za-z0-9](-*[A-Za-z0-9]){0,62}")


@dataclass(frozen=True)
class Hosting:
    """How models are hosted, as the environment says it.

    count   of instances
    canary  percent of them that a new model gets first; 0: all at once
    alarms  names of CloudWatch's that have AWS go back by itself
    log     the container's SERVE_LOG; off, and then it has no network
    """

    bucket: str
    endpoint: str
    image: str
    role: str
    instance: str
    count: int
    canary: int
    alarms: tuple[str, ...]
    log: str

    @property
    def is_isolated(self) -> bool:
        """Whether the container needs no network."""
        return self.log == "off"


@dataclass(frozen=True)
class Release:
    """A version as it is hosted. `name` is that of model and endpoint configuration.

    model, config  the requests that make them
    """

    version: str
    name: str
    model: Request
    config: Request


def hosting(environment: Mapping[str, str]) -> Hosting:
    """Raises ConfigError naming what is not set, or cannot be."""
    endpoint = needed(environment, ENDPOINT, example="churn-drift")
    if not _NAME.fullmatch(endpoint):
        raise ConfigError(f"{ENDPOINT}: {endpoint!r} is no name; give at most 63 letters, digits and hyphens")
    count = number(environment, COUNT, 1, low=1, high=100)
    canary = number(environment, CANARY, 0, low=0, high=50)
    if canary and count < 2:
        raise ConfigError(f"{CANARY}: one instance cannot be shared out; set {COUNT}=2, or {CANARY}=0")
    return Hosting(
        bucket=settings.bucket(environment),
        endpoint=endpoint,
        image=needed(environment, IMAGE, example="123456789012.dkr.ecr.us-east-1.amazonaws.com/churn-drift:1"),
        role=needed(environment, ROLE, example="arn:aws:iam::123456789012:role/churn-drift-sagemaker"),
        instance=environment.get(TYPE, "").strip() or "ml.m5.large",
        count=count,
        canary=canary,
        alarms=tuple(name.strip() for name in environment.get(ALARMS, "").split(",") if name.strip()),
        log=environment.get(LOG, "").strip() or "off",
    )


def release(host: Hosting, version: str, *, archive: bytes, tags: Mapping[str, str]) -> Release:
    """The requests for a version whose model.tar.gz is this."""
    container = {
        "Image": host.image,
        "ModelDataUrl": f"s3://{host.bucket}/{archive_key(version)}",
        "Environment": {"SERVE_AUTH": "sagemaker", "SERVE_LOG": host.log},
    }
    model = {
        "PrimaryContainer": container,
        "ExecutionRoleArn": host.role,
        "EnableNetworkIsolation": host.is_isolated,
    }
    variant = {
        "VariantName": "AllTraffic",
        "InstanceType": host.instance,
        "InitialInstanceCount": host.count,
        "InitialVariantWeight": 1.0,
        "ContainerStartupHealthCheckTimeoutInSeconds": 300,
    }
    content = json.dumps([model, variant, hashlib.sha256(archive).hexdigest()], sort_keys=True).encode()
    name = f"{_stem(host.endpoint)}-{version}-{hashlib.sha256(content).hexdigest()[:8]}"
    tagged = tag_list(tags)
    return Release(
        version,
        name,
        model={"ModelName": name, **model, "Tags": tagged},
        config={
            "EndpointConfigName": name,
            "ProductionVariants": [{**variant, "ModelName": name}],
            "Tags": tagged,
        },
    )


def archive_key(version: str) -> str:
    """Where in the bucket a version's model.tar.gz lies."""
    return f"{layout.RELEASES}/{version}/model.tar.gz"


def version_in(name: str, endpoint: str) -> str | None:
    """The version that a configuration of ours hosts; None where the name is not of our making.

    >>> version_in("churn-0911c00f5e5b-1a2b3c4d", "churn"), version_in("churn-blue", "churn")
    ('0911c00f5e5b', None)
    """
    found = re.fullmatch(rf"{re.escape(_stem(endpoint))}-([0-9a-f]{{12}})-[0-9a-f]{{8}}", name)
    return found[1] if found else None


def deployment(host: Hosting, *, guarded: bool = True) -> Request:
    """How traffic moves from one fleet to the other; not guarded: at once, and no alarm turns it back."""
    routing: Request = {"Type": "ALL_AT_ONCE", "WaitIntervalInSeconds": 60}
    if guarded and host.canary:
        size = {"Type": "CAPACITY_PERCENT", "Value": host.canary}
        routing = {"Type": "CANARY", "CanarySize": size, "WaitIntervalInSeconds": 300}
    policy = {
        "TrafficRoutingConfiguration": routing,
        "TerminationWaitInSeconds": 120 if guarded else 0,
        "MaximumExecutionTimeoutInSeconds": 1800,
    }
    alarms = [{"AlarmName": name} for name in host.alarms]
    rollback = {"AutoRollbackConfiguration": {"Alarms": alarms}} if guarded and alarms else {}
    return {"BlueGreenUpdatePolicy": policy, **rollback}


def tag_list(tags: Mapping[str, str]) -> list[dict[str, str]]:
    """As AWS takes them."""
    return [{"Key": f"churn-drift:{name}", "Value": value} for name, value in sorted(tags.items())]


def _stem(endpoint: str) -> str:
    return endpoint[:40].rstrip("-")
