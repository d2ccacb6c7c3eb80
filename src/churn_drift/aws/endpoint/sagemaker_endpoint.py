"""One SageMaker endpoint: how it stands, what is asked of it, what it answers. Nothing here decides.

Statuses: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_DescribeEndpoint.html
"""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from churn_drift.aws.asking import asked, is_passing
from churn_drift.aws.client import code, reason
from churn_drift.aws.endpoint.sagemaker_release import Release, Request, tag_list, version_in
from churn_drift.errors import PipelineError

IN_SERVICE = "InService"
IN_PROGRESS = frozenset({"Creating", "Updating", "SystemUpdating", "RollingBack", "Deleting"})


@dataclass(frozen=True)
class State:
    """How the endpoint stands.

    config  the configuration that it answers by
    reason  AWS's, of its last failure; empty where it gives none
    """

    status: str
    config: str
    reason: str
    arn: str


class Endpoint:
    """An endpoint by its name.

    sagemaker, runtime  boto3's clients
    every               seconds between two looks at it
    tell                takes a line of progress
    """

    def __init__(self, name: str, *, sagemaker: Any, runtime: Any, every: float, tell: Callable[[str], object]) -> None:
        self.name = name
        self._sagemaker, self._runtime, self._every, self.tell = sagemaker, runtime, every, tell

    def state(self) -> State | None:
        """None where there is no such endpoint."""
        with self._asked():
            try:
                found = self._sagemaker.describe_endpoint(EndpointName=self.name)
            except ClientError as error:
                if code(error) == "ValidationException" and "Could not find" in reason(error):
                    return None
                raise
        return State(
            found["EndpointStatus"], found["EndpointConfigName"], found.get("FailureReason", ""), found["EndpointArn"]
        )

    def settled(self, *, end: float) -> State | None:
        """How it stands once nothing is in progress. Raises PipelineError where that takes longer.

        end  of the clock time.monotonic
        """
        told = ""
        while True:
            state = self._patient_state(end)
            status = state.status if state else ""
            if status not in IN_PROGRESS:
                return state
            if status != told:
                self.tell(f"{self.name}: {status}")
                told = status
            if time.monotonic() > end:
                raise PipelineError(
                    f"{self.name}: still {status}; AWS goes on by itself, and the model before it answers meanwhile; "
                    "run this again to see it through"
                )
            time.sleep(self._every)

    def ensure(self, release: Release) -> None:
        """Its model and its configuration, made where they are not there."""
        with self._asked(), _made_before():
            self._sagemaker.create_model(**release.model)
        with self._asked(), _made_before():
            self._sagemaker.create_endpoint_config(**release.config)

    def create(self, config: str, tags: Mapping[str, str]) -> None:
        """Begin to make it; one that somebody else has begun to make is as well."""
        self.tell(f"{self.name}: create it with {config}")
        with self._asked(), _made_before():
            self._sagemaker.create_endpoint(EndpointName=self.name, EndpointConfigName=config, Tags=tag_list(tags))

    def update(self, config: str, deployment: Request) -> bool:
        """Begin to move it. False where another change is in progress: that one goes on, ask again after it."""
        self.tell(f"{self.name}: move to {config}")
        with self._asked():
            try:
                self._sagemaker.update_endpoint(
                    EndpointName=self.name, EndpointConfigName=config, DeploymentConfig=deployment
                )
            except ClientError as error:
                if "in-progress" not in reason(error):
                    raise
                return False
        return True

    def answer(self, body: bytes, *, end: float) -> bytes:
        """To a JSON document; what may be gone in a while is asked again. Raises PipelineError as it says."""
        while True:
            try:
                with self._asked():
                    found = self._runtime.invoke_endpoint(
                        EndpointName=self.name, ContentType="application/json", Accept="application/json", Body=body
                    )
                    content: bytes = found["Body"].read()
                    return content
            except PipelineError as error:
                if not is_passing(error) or time.monotonic() > end:
                    raise
                time.sleep(self._every)

    def tag(self, arn: str, tags: Mapping[str, str]) -> None:
        """What it serves now."""
        with self._asked():
            self._sagemaker.add_tags(ResourceArn=arn, Tags=tag_list(tags))

    def remove_old(self, *, keep: int, used: frozenset[str]) -> list[str]:
        """Delete configurations of ours and their models, but for the newest and those in use; names of what went."""
        with self._asked():
            pages = self._sagemaker.get_paginator("list_endpoint_configs").paginate(
                SortBy="CreationTime", SortOrder="Descending"
            )
            names = [found["EndpointConfigName"] for page in pages for found in page["EndpointConfigs"]]
            ours = [name for name in names if version_in(name, self.name)]
            old = [name for name in ours[keep:] if name not in used]
            for name in old:
                self._sagemaker.delete_endpoint_config(EndpointConfigName=name)
                with _gone_before():
                    self._sagemaker.delete_model(ModelName=name)
        return old

    def _patient_state(self, end: float) -> State | None:
        while True:
            try:
                return self.state()
            except PipelineError as error:
                if not is_passing(error) or time.monotonic() > end:
                    raise
                time.sleep(self._every)

    def _asked(self) -> Any:
        return asked(f"SageMaker endpoint {self.name}")


@contextmanager
def _made_before() -> Iterator[None]:
    """A name of ours says all of what it names: who made it does not matter."""
    try:
        yield
    except ClientError as error:
        if "already exist" not in reason(error):
            raise


@contextmanager
def _gone_before() -> Iterator[None]:
    try:
        yield
    except ClientError as error:
        if "Could not find" not in reason(error):
            raise
