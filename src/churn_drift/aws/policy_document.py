"""The least that AWS must grant to whoever runs the pipeline, as an IAM policy made from the environment.

What the Lambda, the instances and SageMaker's containers may do stands in infra/template.yaml.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from churn_drift.aws import layout, settings, sns
from churn_drift.aws.endpoint.sagemaker_release import ALARMS, ENDPOINT
from churn_drift.aws.endpoint.sagemaker_release import ROLE as SAGEMAKER_ROLE
from churn_drift.aws.machines.bundles import is_bundle
from churn_drift.aws.machines.ec2_command import INSTANCE
from churn_drift.aws.machines.ec2_instance import TEMPLATE
from churn_drift.aws.machines.remote_runs import REPOSITORY
from churn_drift.aws.s3_upload import KMS_KEY
from churn_drift.aws.trigger_retrain import KINDS
from churn_drift.aws.trigger_retrain import WITH as RETRAIN
from churn_drift.aws.variables import needed, word
from churn_drift.errors import ConfigError

INSTANCE_ROLE = "EC2_ROLE_ARN"
"""The role of the launch template's instance profile: whoever starts an instance hands it over."""

CALLS: Mapping[str, tuple[str, ...]] = {
    "abort_multipart_upload": ("s3:AbortMultipartUpload",),
    "add_tags": ("sagemaker:AddTags",),
    "copy_object": ("s3:GetObject", "s3:PutObject"),
    "create_endpoint": ("sagemaker:CreateEndpoint", "sagemaker:AddTags"),
    "create_endpoint_config": ("sagemaker:CreateEndpointConfig", "sagemaker:AddTags"),
    "create_model": ("sagemaker:CreateModel", "sagemaker:AddTags", "iam:PassRole"),
    "create_training_job": ("sagemaker:CreateTrainingJob", "sagemaker:AddTags", "iam:PassRole"),
    "create_transfer_manager": ("s3:GetObject", "s3:PutObject", "s3:AbortMultipartUpload"),
    "delete_endpoint_config": ("sagemaker:DeleteEndpointConfig",),
    "delete_model": ("sagemaker:DeleteModel",),
    "delete_object": ("s3:DeleteObject",),
    "describe_endpoint": ("sagemaker:DescribeEndpoint",),
    "describe_instances": ("ec2:DescribeInstances",),
    "describe_training_job": ("sagemaker:DescribeTrainingJob",),
    "get_bucket_versioning": ("s3:GetBucketVersioning",),
    "get_caller_identity": (),  # everybody may
    "get_command_invocation": ("ssm:GetCommandInvocation",),
    "get_object": ("s3:GetObject",),
    "head_bucket": ("s3:ListBucket",),
    "head_object": ("s3:GetObject",),
    "invoke_endpoint": ("sagemaker:InvokeEndpoint",),
    "list_commands": ("ssm:ListCommands",),
    "list_endpoint_configs": ("sagemaker:ListEndpointConfigs",),
    "list_objects_v2": ("s3:ListBucket",),
    "publish": ("sns:Publish",),
    "put_object": ("s3:PutObject",),
    "run_instances": ("ec2:RunInstances", "ec2:CreateTags", "iam:PassRole"),
    "send_command": ("ssm:SendCommand",),
    "simulate_principal_policy": (),  # a help for the doctor, not needed
    "update_endpoint": ("sagemaker:UpdateEndpoint", "cloudwatch:DescribeAlarms"),
    "upload_file": ("s3:PutObject", "s3:AbortMultipartUpload"),
}
"""What each of boto3's methods asks of IAM. A test compares it with what this package calls."""

_READ, _WRITE, _DELETE, _ABORT = "s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload"
_PLACES = {
    layout.DVC: (_READ, _WRITE, _DELETE, _ABORT),  # `dvc gc --cloud` deletes
    layout.INBOX: (_READ, _DELETE),
    layout.LANDED: (_READ, _WRITE),
    layout.QUARANTINE: (_READ, _WRITE),
    layout.DATA: (_READ, _WRITE, _ABORT),
    layout.MODELS: (_READ, _WRITE, _ABORT),
    layout.REPORTS: (_READ, _WRITE, _ABORT),
    layout.INFERENCE: (_READ, _WRITE, _ABORT),
    layout.LOCKS: (_READ, _WRITE),
}


@dataclass(frozen=True)
class Grant:
    """Some actions on some resources. place: for people, in at most 12 characters; condition: as IAM writes it."""

    place: str
    actions: tuple[str, ...]
    resources: tuple[str, ...]
    condition: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Account:
    """Where resources lie that are named without account and region."""

    number: str
    region: str

    @property
    def partition(self) -> str:
        """
        >>> Account("123456789012", "cn-north-1").partition
        'aws-cn'
        """
        for start, partition in {"cn-": "aws-cn", "us-gov-": "aws-us-gov"}.items():
            if self.region.startswith(start):
                return partition
        return "aws"

    def arn(self, service: str, resource: str) -> str:
        """
        >>> Account("123456789012", "eu-west-1").arn("ec2", "instance/*")
        'arn:aws:ec2:eu-west-1:123456789012:instance/*'
        """
        return f"arn:{self.partition}:{service}:{self.region}:{self.number}:{resource}"


def policy(grants: Iterable[Grant]) -> dict[str, Any]:
    """The document; grants of the same resources are one statement."""
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "".join(part.capitalize() for part in grant.place.replace("-", " ").split()),
                "Effect": "Allow",
                "Action": list(grant.actions),
                "Resource": list(grant.resources),
                **({"Condition": grant.condition} if grant.condition else {}),
            }
            for grant in grants
        ],
    }


def names_no_account(environment: Mapping[str, str]) -> bool:
    """Whether its grants need no account's number: buckets have none in their ARNs, topics and roles bring it."""
    key = environment.get(KMS_KEY, "").strip()
    others = (environment.get(name, "").strip() for name in (RETRAIN, ENDPOINT))
    return not any(others) and (not key or key.startswith("arn:"))


def grants(environment: Mapping[str, str], account: Account) -> list[Grant]:
    """All that the environment needs. Raises ConfigError naming a variable that is not set, or too vague to grant."""
    return [
        *_bucket(environment, account),
        *_key(environment, account),
        *_topic(environment),
        *_retraining(environment, account),
        *_endpoint(environment, account),
    ]


def _bucket(environment: Mapping[str, str], account: Account) -> Iterable[Grant]:
    bucket = f"arn:{account.partition}:s3:::{settings.bucket(environment)}"
    places = dict(_PLACES)
    if environment.get(ENDPOINT, "").strip() or is_bundle(environment.get(REPOSITORY, "").strip()):
        places[layout.RELEASES] = (_READ, _WRITE, _ABORT)
    yield Grant("bucket", ("s3:ListBucket", "s3:GetBucketVersioning"), (bucket,))
    for place, actions in places.items():
        yield Grant(place, actions, (f"{bucket}/{place}/*",))


def _key(environment: Mapping[str, str], account: Account) -> Iterable[Grant]:
    said = environment.get(KMS_KEY, "").strip()
    if said.startswith("alias/") or ":alias/" in said:
        raise ConfigError(f"{KMS_KEY}: {said} is an alias, which IAM does not grant; give the key's own id or ARN")
    if said:
        key = said if said.startswith("arn:") else account.arn("kms", f"key/{said}")
        yield Grant("key", ("kms:GenerateDataKey", "kms:Decrypt"), (key,))


def _topic(environment: Mapping[str, str]) -> Iterable[Grant]:
    if topic := environment.get(sns.VARIABLE, "").strip():
        yield Grant("topic", ("sns:Publish",), (topic,))


def _retraining(environment: Mapping[str, str], account: Account) -> Iterable[Grant]:
    if not environment.get(RETRAIN, "").strip():
        return
    match word(environment, RETRAIN, *KINDS):
        case "ec2":
            yield from _instances(environment, account)
        case "ssm":
            instance = needed(environment, INSTANCE, example="i-0123456789abcdef0")
            document = f"arn:{account.partition}:ssm:{account.region}::document/AWS-RunShellScript"
            yield Grant("command", ("ssm:SendCommand",), (document, account.arn("ec2", f"instance/{instance}")))
            yield Grant("commands", ("ssm:GetCommandInvocation", "ssm:ListCommands"), ("*",))
        case _:
            actions = ("sagemaker:CreateTrainingJob", "sagemaker:DescribeTrainingJob", "sagemaker:AddTags")
            yield Grant("training", actions, (account.arn("sagemaker", "training-job/churn-drift-*"),))
            yield _pass_role("job-role", environment, SAGEMAKER_ROLE, to="sagemaker.amazonaws.com")


def _instances(environment: Mapping[str, str], account: Account) -> Iterable[Grant]:
    template = needed(environment, TEMPLATE, example="lt-0123456789abcdef0")
    if not template.startswith("lt-"):
        raise ConfigError(
            f"{TEMPLATE}: {template} is a name, which IAM does not grant; give the id that "
            f"`aws ec2 describe-launch-templates --launch-template-names {template}` shows"
        )
    arn = account.arn("ec2", f"launch-template/{template}")
    kinds = ("instance", "volume", "network-interface", "subnet", "security-group", "key-pair")
    started = (f"arn:{account.partition}:ec2:{account.region}::image/*", *(account.arn("ec2", f"{k}/*") for k in kinds))
    yield Grant("instance", ("ec2:RunInstances",), (arn, *started), {"ArnLike": {"ec2:LaunchTemplate": arn}})
    yield Grant(
        "ec2-tags",
        ("ec2:CreateTags",),
        (account.arn("ec2", "instance/*"),),
        {"StringEquals": {"ec2:CreateAction": "RunInstances"}},
    )
    yield Grant("instances", ("ec2:DescribeInstances",), ("*",))
    yield _pass_role("ec2-role", environment, INSTANCE_ROLE, to="ec2.amazonaws.com")


def _endpoint(environment: Mapping[str, str], account: Account) -> Iterable[Grant]:
    name = environment.get(ENDPOINT, "").strip()
    if not name:
        return
    endpoint = account.arn("sagemaker", f"endpoint/{name.lower()}")
    ours = f"{name[:40].rstrip('-').lower()}-*"
    config, model = (account.arn("sagemaker", f"{kind}/{ours}") for kind in ("endpoint-config", "model"))
    rollout = ("sagemaker:CreateEndpoint", "sagemaker:UpdateEndpoint")
    yield Grant("endpoint", (*rollout, "sagemaker:DescribeEndpoint", "sagemaker:InvokeEndpoint"), (endpoint,))
    yield Grant("rollout", rollout, (config,))
    yield Grant("configs", ("sagemaker:CreateEndpointConfig", "sagemaker:DeleteEndpointConfig"), (config,))
    yield Grant("model", ("sagemaker:CreateModel", "sagemaker:DeleteModel"), (model,))
    yield Grant("model-tags", ("sagemaker:AddTags",), (endpoint, config, model))
    yield Grant("config-list", ("sagemaker:ListEndpointConfigs",), ("*",))
    if alarms := [alarm.strip() for alarm in environment.get(ALARMS, "").split(",") if alarm.strip()]:
        watched = tuple(account.arn("cloudwatch", f"alarm:{alarm}") for alarm in alarms)
        yield Grant("alarms", ("cloudwatch:DescribeAlarms",), watched)
    yield _pass_role("model-role", environment, SAGEMAKER_ROLE, to="sagemaker.amazonaws.com")


def _pass_role(place: str, environment: Mapping[str, str], variable: str, *, to: str) -> Grant:
    role = needed(environment, variable, example="arn:aws:iam::123456789012:role/churn-drift")
    return Grant(place, ("iam:PassRole",), (role,), {"StringEquals": {"iam:PassedToService": to}})
