"""A run on an EC2 instance of its own, from a launch template whose user data runs the pipeline and ends the machine.

The user data reads batch, run and commit from the instance's tags, and tells the outcome in the bucket
(`remote_runs.outcome_key`): an instance that has ended without one has failed.
"""

import json
import re
from collections.abc import Mapping
from functools import cached_property
from typing import Any

from botocore.exceptions import ClientError

from churn_drift.aws import settings
from churn_drift.aws.asking import asked
from churn_drift.aws.client import code
from churn_drift.aws.machines import remote_runs
from churn_drift.aws.machines.remote_runs import Run, State
from churn_drift.aws.services import service
from churn_drift.aws.variables import needed

TEMPLATE = "EC2_LAUNCH_TEMPLATE"

_ALIVE = {"pending", "running"}
_TAG = re.compile(r"[^\w\s+=.:/@-]")


class Instance:
    """The port remote_runs.Machine. An id is INSTANCE/RUN."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment

    @cached_property
    def _ec2(self) -> Any:
        return service("ec2")

    @cached_property
    def _s3(self) -> Any:
        return service("s3")

    def begin(self, run: Run) -> str:
        """One instance for the run: by its ClientToken, and by its tag where a token cannot be used again."""
        template = needed(self._environment, TEMPLATE, example="churn-drift")
        with asked(f"EC2, launch template {template}"):
            found = self._find(run) or self._launch(run, template)
        return f"{found}/{run.key}"

    def state(self, name: str) -> State:
        """By the outcome that it wrote, else by the instance's own."""
        instance, _, run = name.partition("/")
        outcome = self._outcome(run)
        if outcome:
            return outcome
        with asked(f"EC2 instance {instance}"):
            found = self._described([{"Name": "instance-id", "Values": [instance]}])
        if not found:
            return State("unknown", f"EC2 knows no instance {instance}")
        phase = found[0]["State"]["Name"]
        if phase in _ALIVE:
            return State("running", f"instance {instance} is {phase}")
        reason = found[0].get("StateReason", {}).get("Message", "no reason given")
        told = f"instance {instance} is {phase} and told no outcome ({reason})"
        return State("failed", f"{told}; `aws ec2 get-console-output --instance-id {instance}` shows its end")

    def _launch(self, run: Run, template: str) -> str:
        which = "LaunchTemplateId" if template.startswith("lt-") else "LaunchTemplateName"
        try:
            launched = self._ec2.run_instances(
                LaunchTemplate={which: template},
                MinCount=1,
                MaxCount=1,
                ClientToken=f"churn-drift-{run.key}",
                InstanceInitiatedShutdownBehavior="terminate",
                MetadataOptions={"HttpTokens": "required", "InstanceMetadataTags": "enabled"},
                TagSpecifications=[{"ResourceType": "instance", "Tags": _tags(run)}],
            )
        except ClientError as error:
            found = self._find(run) if code(error) == "IdempotentParameterMismatch" else None
            if found is None:  # else: launched before, when the template was another
                raise
            return found
        return str(launched["Instances"][0]["InstanceId"])

    def _find(self, run: Run) -> str | None:
        found = self._described([{"Name": f"tag:{remote_runs.RUN_TAG}", "Values": [run.key]}])
        return str(found[0]["InstanceId"]) if found else None

    def _described(self, filters: list[dict[str, Any]]) -> list[Any]:
        pages = self._ec2.get_paginator("describe_instances").paginate(Filters=filters)
        return [one for page in pages for reservation in page["Reservations"] for one in reservation["Instances"]]

    def _outcome(self, run: str) -> State | None:
        bucket, key = settings.bucket(self._environment), remote_runs.outcome_key(run)
        with asked(f"s3://{bucket}/{key}"):
            try:
                answer = self._s3.get_object(Bucket=bucket, Key=key)
            except ClientError as error:
                if code(error) == "NoSuchKey":
                    return None
                raise
        said = json.loads(answer["Body"].read())
        return State("failed" if said["code"] else "done", str(said["told"]))


def _tags(run: Run) -> list[dict[str, str]]:
    """What EC2 takes in a tag: the batch's name may hold more."""
    values = {
        "Name": f"churn-drift {run.key}",
        remote_runs.BATCH_TAG: _TAG.sub("_", run.batch)[:256],
        remote_runs.RUN_TAG: run.key,
        remote_runs.COMMIT_TAG: run.commit,
    }
    return [{"Key": name, "Value": value} for name, value in values.items()]
