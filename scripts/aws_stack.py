"""The AWS mode's stack, infra/template.yaml: what it would become, make it, take it away.

    python scripts/aws_stack.py plan | deploy [--yes] | env | destroy [--yes]

Settings come from .env or the environment and from params.yaml; `--set NAME=VALUE` gives any other parameter of the
template, and what is not given stays as the stack has it. The bucket is never deleted.
"""

import hashlib
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from os import environ
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from churn_drift.aws import layout, settings
from churn_drift.aws.asking import asked
from churn_drift.aws.client import code
from churn_drift.aws.services import service
from churn_drift.config import load_params
from churn_drift.environment import read_env
from churn_drift.errors import ChurnDriftError, ConfigError, PipelineError
from churn_drift.terminal import working
from churn_drift.usage import Parser

TEMPLATE = Path("infra/template.yaml")
ZIP = Path("dist/lambda.zip")
BY_ENVIRONMENT = {
    "AlertEmail": "ALERT_EMAIL",
    "BucketName": "S3_BUCKET",
    "Commit": "RETRAIN_COMMIT",
    "EndpointName": "SAGEMAKER_ENDPOINT",
    "InstanceId": "EC2_INSTANCE_ID",
    "Repository": "RETRAIN_REPOSITORY",
    "RetrainWith": "RETRAIN_WITH",
    "RunSeconds": "RETRAIN_SECONDS",
    "ServeImage": "SAGEMAKER_IMAGE_URI",
    "TrainImage": "SAGEMAKER_TRAIN_IMAGE_URI",
}
BY_PARAMS = {
    "DriftFdr": "drift_check.fdr",
    "DriftMinRows": "drift_check.min_rows",
    "DriftPsiThreshold": "drift_check.psi_threshold",
    "DriftShare": "drift_check.drift_share",
    "RetrainPolicy": "retrain.policy",
}
"""Parameters of the template: what sets them."""

ANEW = {"InstanceImage"}
"""Parameters that a stack does not keep: the default is the newest image each time."""

NEEDS = {"ec2": ["Repository"], "ssm": ["InstanceId"], "sagemaker": ["Repository", "TrainImage"]}
"""By RetrainWith; the template's rules say the same."""

KEPT = {"AWS::S3::Bucket", "AWS::S3::BucketPolicy"}
"""Types whose DeletionPolicy is Retain."""

_WORDS = {"Add": "make", "Modify": "change", "Remove": "remove", "Import": "take in", "Dynamic": "change"}
_OURS = "churn-drift-"
_FAILED = ("ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "CREATE_FAILED", "DELETE_FAILED")
_PLANNED = "REVIEW_IN_PROGRESS"


@dataclass
class Stack:
    """A stack by its name, and the services that make it."""

    name: str
    bucket: str
    given: Mapping[str, str]
    say: Callable[[str], None] = print
    every: float = 3.0
    _told: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.formation, self.s3 = service("cloudformation"), service("s3")
        self.region = self.formation.meta.region_name

    @property
    def described(self) -> Any:
        """None where there is none, or a plan only."""
        found = self._described()
        return None if found is None or found["StackStatus"] == _PLANNED else found

    def _described(self) -> Any:
        try:
            return self.formation.describe_stacks(StackName=self.name)["Stacks"][0]
        except ClientError as error:
            if code(error) == "ValidationError":
                return None
            raise

    def plan(self) -> None:
        """Say what `deploy` would do. Nothing stays of it."""
        with asked(f"stack {self.name}"):
            change_set, _ = self._planned(self._key())
            self._drop(change_set)
            self.say("Nothing was made. `make aws-deploy` makes it.")

    def deploy(self, agreed: Callable[[str], bool]) -> None:
        """Make or change the stack, once somebody has agreed to the plan."""
        with asked(f"stack {self.name}"):
            key = self._key()
            change_set, changes = self._planned(key)
            if not changes and self._has(key):
                self._drop(change_set)
                self.say("Nothing to do.")
            elif agreed(f"Make this in {self.region}? It costs money from then on."):
                self._deploy(change_set, key)
            else:
                self._drop(change_set)
                raise PipelineError(f"stack {self.name}: not agreed to, so nothing was made")
            self._hear_of_arrivals()
        self.env()

    def env(self) -> None:
        """The stack's outputs as lines of .env."""
        with asked(f"stack {self.name}"):
            found = self.described
        if found is None:
            raise PipelineError(f"stack {self.name}: not there in {self.region}; `make aws-deploy` makes it")
        self.say("\n# paste into .env")
        self.say("USE_AWS=true")
        for output in sorted(found.get("Outputs", []), key=lambda output: str(output.get("Description"))):
            if (name := output.get("Description", "")).isupper():
                self.say(f"{name}={output['OutputValue']}")

    def destroy(self, agreed: Callable[[str], bool]) -> None:
        """Delete the stack, once somebody has agreed; the bucket and all that is in it stays."""
        with asked(f"stack {self.name}"):
            found = self.described
            if found is None:
                self.say(f"No stack {self.name} in {self.region}: nothing to delete.")
                return
            resources = self.formation.describe_stack_resources(StackName=self.name)["StackResources"]
            for resource in sorted((one for one in resources if one.get("ResourceType")), key=_by_type):
                word = "keep" if resource["ResourceType"] in KEPT else "delete"
                self.say(f"  {word:8}{resource['LogicalResourceId']:18}{resource['ResourceType']}")
            self.say(f"\ns3://{self.bucket} stays, with every version of what is in it, and goes on costing money.")
            if not agreed(f"Delete stack {self.name} in {self.region}?"):
                raise PipelineError(f"stack {self.name}: not agreed to, so nothing was deleted")
            self._forget_arrivals()
            self._told = {event["EventId"] for event in self._events(self.name)}
            self.formation.delete_stack(StackName=found["StackId"])
            self._wait(found["StackId"])
            self.say(f"Stack {self.name} is deleted. `aws s3 rb s3://{self.bucket} --force` would delete the bucket.")

    def _deploy(self, change_set: str, key: str) -> None:
        """A new bucket is made first, with all but the Lambda, whose zip lies in it."""
        if self.described is None and self._makes_bucket():
            self._drop(change_set)
            self._execute(self._change_set({**self._values(), "CodeKey": ""}))
            self._upload(key)
            self._execute(self._change_set({**self._values(), "CodeKey": key}))
        else:
            self._upload(key)
            self._execute(change_set)
        self.say(f"Stack {self.name} stands.")

    def _planned(self, key: str) -> tuple[str, bool]:
        """Print what would become of the stack: the change set, and whether it changes anything."""
        self._drop_plan()
        found, values = self.described, {**self._values(), "CodeKey": key}
        if found and found["StackStatus"] in _FAILED:
            raise PipelineError(
                f"stack {self.name}: {found['StackStatus']}; `make aws-destroy` first, then deploy again"
            )
        self.say(f"Stack {self.name} in {self.region} ({'there' if found else 'new'}), bucket {self.bucket}")
        self._show_bucket()
        change_set = self._change_set(values)
        changes = [change["ResourceChange"] for change in self._changes(change_set)]
        for change in sorted(changes, key=lambda change: (change["ResourceType"], change["LogicalResourceId"])):
            fate = "  REPLACES what is there" if change.get("Replacement") == "True" else ""
            word = _WORDS.get(change["Action"], change["Action"])
            self.say(f"  {word:8}{change['LogicalResourceId']:18}{change['ResourceType']}{fate}")
        size = ZIP.stat().st_size / 1e6
        self.say(f"Lambda: {size:.0f} MB as s3://{self.bucket}/{key}{'' if self._has(key) else ' (to be uploaded)'}")
        for name, value in sorted(values.items()):
            if value and name not in ("BucketName", "CodeKey"):
                self.say(f"  {name:20}{value}")
        return change_set, bool(changes)

    def _show_bucket(self) -> None:
        if self._makes_bucket():
            return
        versions = self.s3.get_bucket_versioning(Bucket=self.bucket).get("Status", "off")
        self.say(f"The bucket is there already and is used as it is (versioning: {versions.lower()}).")

    def _makes_bucket(self) -> bool:
        """Whether the bucket is the stack's own, and none that was there before. Raises PipelineError for another's."""
        found = self.described
        if found:
            held = {one["ParameterKey"]: one["ParameterValue"] for one in found["Parameters"]}
            if held.get("BucketName", self.bucket) != self.bucket:
                raise PipelineError(
                    f"stack {self.name}: its bucket is {held['BucketName']}; set S3_BUCKET to that, or give another "
                    "--stack for another bucket"
                )
            return bool(held.get("NewBucket", "yes") == "yes")
        try:
            self.s3.head_bucket(Bucket=self.bucket)
        except ClientError as error:
            if code(error) in ("404", "NoSuchBucket"):
                return True
            raise
        return False

    def _values(self) -> dict[str, str]:
        return {**self.given, "BucketName": self.bucket, "NewBucket": "yes" if self._makes_bucket() else "no"}

    def _change_set(self, values: Mapping[str, str]) -> str:
        """The id of a change set. Raises PipelineError where AWS finds fault with it."""
        body, exists = TEMPLATE.read_text(encoding="utf-8"), self.described is not None
        known = [one["ParameterKey"] for one in self.formation.get_template_summary(TemplateBody=body)["Parameters"]]
        strange = sorted(set(values) - set(known))
        if strange:
            raise ConfigError(f"--set {strange[0]}: no parameter of {TEMPLATE}; it has {', '.join(known)}")
        parameters: list[dict[str, Any]] = [
            {"ParameterKey": name, "ParameterValue": value} for name, value in values.items()
        ]
        held = [one["ParameterKey"] for one in (self.described or {}).get("Parameters", [])]
        kept = [name for name in held if name in known and name not in {*values, *ANEW}]
        parameters += [{"ParameterKey": name, "UsePreviousValue": True} for name in kept]
        answer = self.formation.create_change_set(
            StackName=self.name,
            ChangeSetName=f"{_OURS}{time.time_ns()}",
            ChangeSetType="UPDATE" if exists else "CREATE",
            TemplateBody=body,
            Parameters=parameters,
            Capabilities=["CAPABILITY_IAM"],
        )
        return str(answer["Id"])

    def _changes(self, change_set: str) -> list[Any]:
        """What it would change, once it is made; none where nothing would."""
        with working("asking CloudFormation what would change"):
            while (found := self._found(change_set))["Status"] in ("CREATE_PENDING", "CREATE_IN_PROGRESS"):
                time.sleep(self.every)
        if found["Status"] == "FAILED" and not _is_empty(found):
            self._drop(change_set)
            raise PipelineError(f"stack {self.name}: {found.get('StatusReason', 'refused')}")
        changes, token = list(found.get("Changes", [])), found.get("NextToken")
        while token:
            found = self._found(change_set, NextToken=token)
            changes, token = changes + found["Changes"], found.get("NextToken")
        return changes

    def _found(self, change_set: str, **more: str) -> Any:
        return self.formation.describe_change_set(StackName=self.name, ChangeSetName=change_set, **more)

    def _drop(self, change_set: str) -> None:
        """Leave nothing of it: not even the empty stack that a first change set makes."""
        self.formation.delete_change_set(StackName=self.name, ChangeSetName=change_set)
        self._drop_plan()

    def _drop_plan(self) -> None:
        """The empty stack of a plan, whose maker may have been killed."""
        found = self._described()
        if found is not None and found["StackStatus"] == _PLANNED:
            self.formation.delete_stack(StackName=found["StackId"])
            while (left := self._described()) is not None and left["StackId"] == found["StackId"]:
                time.sleep(self.every)

    def _execute(self, change_set: str) -> None:
        self._changes(change_set)
        if self._found(change_set)["Status"] == "FAILED":  # nothing to change
            self._drop(change_set)
            return
        self._told = {event["EventId"] for event in self._events(self.name)}
        self.formation.execute_change_set(StackName=self.name, ChangeSetName=change_set)
        self._wait(self.name)

    def _wait(self, name: str) -> None:
        """Say what happens until it is over. Raises PipelineError with the first reason of a failure."""
        failures: list[str] = []
        while True:
            status = self.formation.describe_stacks(StackName=name)["Stacks"][0]["StackStatus"]
            for event in self._events(name):
                if event["EventId"] not in self._told:
                    self._told.add(event["EventId"])
                    self.say(f"  {event['ResourceStatus']:28}{event['LogicalResourceId']}")
                    if event["ResourceStatus"].endswith("FAILED"):
                        failures.append(f"{event['LogicalResourceId']}: {event.get('ResourceStatusReason', '')}")
            if not status.endswith("IN_PROGRESS"):
                break
            time.sleep(self.every)
        if status not in ("CREATE_COMPLETE", "UPDATE_COMPLETE", "DELETE_COMPLETE"):
            raise PipelineError(f"stack {self.name}: {status}; {failures[0] if failures else 'no reason given'}")

    def _events(self, name: str) -> list[Any]:
        pages = self.formation.get_paginator("describe_stack_events").paginate(StackName=name)
        return [event for page in pages for event in page["StackEvents"]][::-1]

    def _key(self) -> str:
        """Where the zip lies in the bucket: by its content, so that other content is another key."""
        if not ZIP.exists():
            raise PipelineError(f"{ZIP}: not there; `make lambda` makes it")
        return f"{layout.RELEASES}/{hashlib.sha256(ZIP.read_bytes()).hexdigest()[:12]}/lambda.zip"

    def _has(self, key: str) -> bool:
        try:
            self.s3.head_object(Bucket=self.bucket, Key=key)
        except ClientError as error:
            if code(error) in ("404", "NoSuchKey", "NoSuchBucket"):
                return False
            raise
        return True

    def _upload(self, key: str) -> None:
        if not self._has(key):
            self.say(f"  uploading {ZIP}")
            self.s3.upload_file(str(ZIP), self.bucket, key)

    def _hear_of_arrivals(self) -> None:
        """A bucket that is not the stack's own is told where arrivals go; what else it tells stays."""
        if self._makes_bucket():
            return
        outputs = {one["OutputKey"]: one["OutputValue"] for one in (self.described or {}).get("Outputs", [])}
        if "InboxQueue" in outputs:
            self._notify(
                [
                    {
                        "Id": f"{_OURS}{self.name}{suffix}",
                        "QueueArn": outputs["InboxQueue"],
                        "Events": ["s3:ObjectCreated:*"],
                        "Filter": {"Key": {"FilterRules": _rules(suffix)}},
                    }
                    for suffix in (".csv", ".csv.gz")
                ]
            )

    def _forget_arrivals(self) -> None:
        if not self._makes_bucket():
            self._notify([])

    def _notify(self, ours: Sequence[Mapping[str, Any]]) -> None:
        held = self.s3.get_bucket_notification_configuration(Bucket=self.bucket)
        held.pop("ResponseMetadata", None)
        others = [
            one for one in held.get("QueueConfigurations", []) if not one["Id"].startswith(f"{_OURS}{self.name}.")
        ]
        wanted = {**held, "QueueConfigurations": [*others, *ours]}
        self.s3.put_bucket_notification_configuration(Bucket=self.bucket, NotificationConfiguration=wanted)


def _rules(suffix: str) -> list[dict[str, str]]:
    return [{"Name": "prefix", "Value": f"{layout.INBOX}/"}, {"Name": "suffix", "Value": suffix}]


def _by_type(resource: Any) -> tuple[str, str]:
    return resource["ResourceType"], resource["LogicalResourceId"]


def _is_empty(found: Any) -> bool:
    told = found.get("StatusReason", "")
    return "didn't contain changes" in told or "No updates are to be performed" in told


def given(environment: Mapping[str, str], pairs: Sequence[str]) -> dict[str, str]:
    """The template's parameters that somebody has set. Raises ConfigError where one that is needed is not."""
    params = load_params().model_dump()
    values = {
        name: environment[key].strip() for name, key in BY_ENVIRONMENT.items() if environment.get(key, "").strip()
    }
    for name, key in BY_PARAMS.items():
        section, _, entry = key.partition(".")
        values[name] = str(params[section][entry])
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals:
            raise ConfigError(f"--set {pair}: give NAME=VALUE")
        values[name] = value
    trainer = values.setdefault("RetrainWith", "ec2")
    for name in NEEDS.get(trainer, []):
        if not values.get(name):
            raise ConfigError(
                f"{BY_ENVIRONMENT[name]} is not set, and RETRAIN_WITH={trainer} needs it; set it in .env, or "
                "RETRAIN_WITH=none where a scheduler elsewhere runs the pipeline"
            )
    return values


def agree(question: str) -> bool:
    """Ask whoever sits there."""
    return input(f"{question} [y/N] ").strip().lower() in ("y", "yes")


def agreed_beforehand(question: str) -> bool:
    """By `--yes`."""
    print(f"{question} yes")
    return True


def main() -> int:
    parser = Parser(description=__doc__)
    parser.add_argument("action", choices=["plan", "deploy", "env", "destroy"], help="env prints lines for .env")
    parser.add_argument("--stack", default="churn-drift", help="its name (default: %(default)s)")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="a parameter of the template")
    parser.add_argument("--yes", action="store_true", help="agree beforehand")
    chosen = parser.parse_args()
    read_env()
    try:
        if chosen.action in ("deploy", "destroy") and not chosen.yes and not sys.stdin.isatty():
            raise ConfigError(f"nobody is there to agree to a {chosen.action}; `--yes` agrees beforehand")
        values = given(environ, chosen.set) if chosen.action in ("plan", "deploy") else {}
        stack = Stack(chosen.stack, settings.bucket(environ), values)
        match chosen.action:
            case "plan":
                stack.plan()
            case "deploy":
                stack.deploy(agreed_beforehand if chosen.yes else agree)
            case "env":
                stack.env()
            case _:
                stack.destroy(agreed_beforehand if chosen.yes else agree)
    except ChurnDriftError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
