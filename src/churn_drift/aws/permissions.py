"""Does AWS grant what the pipeline needs? Asked of IAM where that may be asked, else by calls that do nothing.

IAM's SimulatePrincipalPolicy tells of every action; it knows the policies of the user or role, not the bucket's own.
Where it may not be called, each action is tried on something that is not there (an object, an upload, a job), with
If-Match where it would write or delete, or with DryRun. Some actions have no such call: those are told as not tried.
"""

import uuid
from collections.abc import Iterable, Iterator, Mapping
from functools import cache, partial
from typing import Any

from churn_drift.aws.client import code
from churn_drift.aws.machines.ec2_command import INSTANCE
from churn_drift.aws.machines.ec2_instance import TEMPLATE
from churn_drift.aws.policy_document import Grant
from churn_drift.aws.services import FAULTS, said, service
from churn_drift.errors import PipelineError
from churn_drift.findings import Check, Finding, ok, skip, wrong

REMEDY = "have it allowed; `churn-drift doctor --policy` prints the policy"

_DENIED = frozenset(
    {
        "AccessDenied",
        "AccessDeniedException",
        "AuthorizationError",
        "UnauthorizedOperation",
        "AuthorizationErrorException",
    }
)
_NOTHING_DONE = frozenset(
    {
        *("NoSuchKey", "NoSuchUpload", "PreconditionFailed", "404", "412"),
        *("DryRunOperation", "DryRunOperationException"),
        *("InvalidCommandId", "InvocationDoesNotExist", "ValidationException", "ResourceNotFound"),
    }
)
"""What AWS says of a call that it would have allowed, had there been something to do."""

_NO_TAG = '"0"'


def checks(environment: Mapping[str, str], grants: Iterable[Grant]) -> Iterator[Check]:
    """Who asks, then a check an action, in the order of the grants."""
    asked = _Asked(environment)
    yield Check("identity", asked.identity)
    yield Check("way", asked.way, needs=("identity",))
    for grant in grants:
        for action in grant.actions:
            yield Check(grant.place, partial(asked.permission, grant, action), needs=("identity",))


class _Asked:
    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self._principal = ""
        self._client = cache(service)
        self._simulates = False
        self._lists = True

    def identity(self) -> Finding:
        try:
            arn = self._client("sts").get_caller_identity()["Arn"]
        except FAULTS as error:
            return wrong(said(error), "check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_PROFILE")
        except PipelineError as error:
            fault, _, remedy = str(error).partition("; ")
            return wrong(fault, remedy)
        self._principal = principal(arn)
        return ok(arn)

    def way(self) -> Finding:
        error = self._simulated("s3:ListBucket", ("*",), {})[1]
        self._simulates = error is None
        if self._simulates:
            return ok("IAM is asked (SimulatePrincipalPolicy); what the bucket's own policy denies, it does not know")
        return ok(f"by calls that do nothing (IAM may not be asked: {said(error) if error else ''})")

    def permission(self, grant: Grant, action: str) -> Finding:
        where = ", ".join(grant.resources[:1]) + (
            f" and {len(grant.resources) - 1} more" if grant.resources[1:] else ""
        )
        if self._simulates:
            denied, error = self._simulated(action, grant.resources, grant.condition)
            if error is not None:
                return wrong(f"{action}: {said(error)}", "ask again later")
            return wrong(f"{action} on {denied[0]} is denied", REMEDY) if denied else ok(f"{action} on {where}")
        return self._tried(action, grant.resources[0], where)

    def _tried(self, action: str, arn: str, where: str) -> Finding:
        if action not in _TRIALS:
            return skip(f"{action} on {where}: not tried, for no call of it does nothing")
        name, method, arguments = _TRIALS[action]
        try:
            getattr(self._client(name), method)(**_filled(arguments, _fields(self._environment, arn)))
        except FAULTS as error:
            if code(error) in _DENIED:
                self._lists = self._lists and action != "s3:ListBucket"
                if action == "s3:GetObject" and not self._lists:
                    return skip(f"{action} on {where}: not told to one who may not list")
                return wrong(f"{action} on {where} is denied", REMEDY)
            if code(error) not in _NOTHING_DONE:
                return wrong(f"{action}: {said(error)}", "mend that, then ask again")
        return ok(f"{action} on {where}")

    def _simulated(
        self, action: str, resources: tuple[str, ...], condition: Mapping[str, Mapping[str, str]]
    ) -> tuple[list[str], Exception | None]:
        """The resources that are denied, and what went wrong with the question."""
        context = [
            {"ContextKeyName": key, "ContextKeyValues": [value], "ContextKeyType": "string"}
            for pairs in condition.values()
            for key, value in pairs.items()
        ]
        try:
            answer = self._client("iam").simulate_principal_policy(
                PolicySourceArn=self._principal,
                ActionNames=[action],
                ResourceArns=list(resources),
                ContextEntries=context,
            )
        except FAULTS as error:
            return [], error
        results = answer["EvaluationResults"]
        return [one["EvalResourceName"] for one in results if one["EvalDecision"] != "allowed"], None


def principal(arn: str) -> str:
    """The user or role that IAM knows, of the one who asks.

    >>> principal("arn:aws:sts::123456789012:assumed-role/churn-drift/i-0123")
    'arn:aws:iam::123456789012:role/churn-drift'
    """
    head, _, rest = arn.partition(":assumed-role/")
    return f"{head.replace(':sts:', ':iam:')}:role/{rest.split('/')[0]}" if rest else arn


def _fields(environment: Mapping[str, str], arn: str) -> dict[str, str]:
    """What a trial's arguments may name: of an S3 prefix an object that is not there."""
    bucket, _, prefix = arn.partition(":::")[2].partition("/")
    return {
        "arn": arn,
        "bucket": bucket,
        "key": f"{prefix.removesuffix('*')}.doctor-{uuid.uuid4().hex}",
        "name": arn.rpartition("/")[2].replace("*", "doctor"),
        "template": environment.get(TEMPLATE, "").strip(),
        "instance": environment.get(INSTANCE, "").strip(),
    }


def _filled(value: Any, fields: Mapping[str, str]) -> Any:
    if isinstance(value, dict):
        return {key: _filled(one, fields) for key, one in value.items()}
    return value.format(**fields) if isinstance(value, str) else value


_OBJECT = {"Bucket": "{bucket}", "Key": "{key}"}
_TRIALS: Mapping[str, tuple[str, str, Mapping[str, Any]]] = {
    "s3:ListBucket": ("s3", "list_objects_v2", {"Bucket": "{bucket}", "MaxKeys": 1}),
    "s3:GetBucketVersioning": ("s3", "get_bucket_versioning", {"Bucket": "{bucket}"}),
    "s3:GetObject": ("s3", "get_object", _OBJECT),
    "s3:PutObject": ("s3", "put_object", {**_OBJECT, "Body": b"", "IfMatch": _NO_TAG}),
    "s3:DeleteObject": ("s3", "delete_object", {**_OBJECT, "IfMatch": _NO_TAG}),
    "s3:AbortMultipartUpload": ("s3", "abort_multipart_upload", {**_OBJECT, "UploadId": "none"}),
    "kms:GenerateDataKey": ("kms", "generate_data_key", {"KeyId": "{arn}", "KeySpec": "AES_256", "DryRun": True}),
    "ec2:RunInstances": (
        "ec2",
        "run_instances",
        {"LaunchTemplate": {"LaunchTemplateId": "{template}"}, "MinCount": 1, "MaxCount": 1, "DryRun": True},
    ),
    "ec2:DescribeInstances": ("ec2", "describe_instances", {"DryRun": True}),
    "ssm:GetCommandInvocation": (
        "ssm",
        "get_command_invocation",
        {"CommandId": "00000000-0000-0000-0000-000000000000", "InstanceId": "{instance}"},
    ),
    "ssm:ListCommands": ("ssm", "list_commands", {"MaxResults": 1}),
    "sagemaker:DescribeTrainingJob": ("sagemaker", "describe_training_job", {"TrainingJobName": "{name}"}),
    "sagemaker:DescribeEndpoint": ("sagemaker", "describe_endpoint", {"EndpointName": "{name}"}),
    "sagemaker:DeleteEndpointConfig": ("sagemaker", "delete_endpoint_config", {"EndpointConfigName": "{name}"}),
    "sagemaker:DeleteModel": ("sagemaker", "delete_model", {"ModelName": "{name}"}),
    "sagemaker:ListEndpointConfigs": ("sagemaker", "list_endpoint_configs", {"MaxResults": 1}),
}
"""By action: service, method and arguments of a call that does nothing."""
