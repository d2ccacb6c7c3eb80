"""scripts/aws_stack.py as a person uses it, on moto."""

import json
import re
import subprocess
import sys
import uuid
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from scripts.infra_template import FILE, template
from tests.contracts.reach import ROOT
from tests.remote.conftest import client, moto

pytestmark = pytest.mark.long

REPOSITORY = "https://example.org/churn-drift.git"


class User:
    """Somebody in a checkout with an account of AWS's; each has a bucket and a stack of their own."""

    def __init__(self, root: Path, owner: Mapping[str, str], name: str) -> None:
        self.root, self.owner, self.name = root, owner, name
        self.bucket = f"bucket-{name}"

    def client(self, service: str) -> Any:
        return client(self.owner, service=service)

    def stack(self, *arguments: str, code: int = 0, answer: str | None = None, **env: str) -> str:
        """What the script says."""
        settings = {
            **self.owner,
            "AWS_EC2_METADATA_DISABLED": "true",
            "PYTHONPATH": str(ROOT / "src"),
            "RETRAIN_REPOSITORY": REPOSITORY,
            "RETRAIN_WITH": "ec2",
            "S3_BUCKET": self.bucket,
            **env,
        }
        done = subprocess.run(
            [sys.executable, ROOT / "scripts/aws_stack.py", *arguments, "--stack", self.name],
            cwd=self.root,
            env={name: value for name, value in settings.items() if value},
            input=answer,
            stdin=None if answer is not None else subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    def build(self, content: str) -> None:
        with zipfile.ZipFile(self.root / "dist/lambda.zip", "w") as archive:
            archive.writestr("churn_drift/__init__.py", content)

    @property
    def releases(self) -> list[str]:
        listed = self.client("s3").list_objects_v2(Bucket=self.bucket, Prefix="releases/")
        return [entry["Key"] for entry in listed["Contents"]]

    @property
    def status(self) -> str | None:
        stacks = {
            one["StackName"]: one["StackStatus"] for one in self.client("cloudformation").describe_stacks()["Stacks"]
        }
        return stacks.get(self.name)

    @property
    def buckets(self) -> list[str]:
        return [bucket["Name"] for bucket in self.client("s3").list_buckets()["Buckets"]]

    def compute_outputs(self) -> None:
        """moto computes them on an update without a change set only."""
        formation = self.client("cloudformation")
        held = formation.describe_stacks(StackName=self.name)["Stacks"][0]["Parameters"]
        formation.update_stack(
            StackName=self.name,
            TemplateBody=FILE.read_text(),
            Parameters=[
                {name: str(one[name]) for name in ("ParameterKey", "ParameterValue")}
                for one in held
                if one["ParameterKey"] != "InstanceImage"
            ],
            Capabilities=["CAPABILITY_IAM"],
        )


@pytest.fixture(scope="module")
def owner(tmp_path_factory):
    with moto(tmp_path_factory.mktemp("moto")) as owner:
        yield owner


def checkout(folder: Path, owner: Mapping[str, str], name: str) -> User:
    for file in ("infra/template.yaml", "params.yaml"):
        (folder / file).parent.mkdir(exist_ok=True)
        (folder / file).write_bytes((ROOT / file).read_bytes())
    (folder / "dist").mkdir()
    user = User(folder, owner, name)
    user.build(name)
    return user


@pytest.fixture
def user(owner, tmp_path):
    return checkout(tmp_path, owner, f"s{uuid.uuid4().hex[:8]}")


@pytest.fixture(scope="module")
def deployed(owner, tmp_path_factory):
    """Somebody whose stack stands."""
    user = checkout(tmp_path_factory.mktemp("deployed"), owner, "deployed")
    assert "Stack deployed stands." in user.stack("deploy", "--yes")
    return user


def test_a_plan_lists_what_would_be_made_and_makes_nothing(user):
    said = user.stack("plan")
    assert f"({'new'}), bucket {user.bucket}" in said
    for name, resource in template()["Resources"].items():
        assert any(line.split() == ["make", name, resource["Type"]] for line in said.splitlines()), name
    assert "(to be uploaded)" in said
    assert user.status is None
    assert user.bucket not in user.buckets


def test_a_deployment_makes_the_stack_and_puts_the_zip_by_its_content(deployed):
    assert deployed.status == "UPDATE_COMPLETE"
    [release] = deployed.releases
    functions = deployed.client("lambda").list_functions()["Functions"]
    [ours] = [one for one in functions if one["Environment"]["Variables"]["S3_BUCKET"] == deployed.bucket]
    assert (ours["Runtime"], ours["Handler"]) == ("python3.11", "churn_drift.aws.lambda_handler.handler")
    again = deployed.stack("deploy", "--yes")
    assert "Nothing to do." in again
    assert release in again
    deployed.compute_outputs()
    lines = dict(line.split("=", 1) for line in deployed.stack("env").splitlines() if "=" in line)
    assert lines["USE_AWS"] == "true"
    assert lines["S3_BUCKET"] == deployed.bucket
    assert lines["EC2_LAUNCH_TEMPLATE"].startswith("lt-")


def test_a_new_zip_is_uploaded_and_the_one_before_stays(deployed):
    before = deployed.releases
    deployed.build("new")
    assert "uploading" in deployed.stack("deploy", "--yes")
    assert set(before) < set(deployed.releases)


def test_another_bucket_than_the_stacks_own_is_refused(deployed):
    assert f"its bucket is {deployed.bucket}" in deployed.stack("plan", code=2, S3_BUCKET="another-bucket")


def test_the_empty_stack_that_a_killed_plan_left_is_in_nobodys_way(user):
    user.client("cloudformation").create_change_set(
        StackName=user.name,
        ChangeSetName="killed",
        ChangeSetType="CREATE",
        TemplateBody=FILE.read_text(),
        Parameters=[{"ParameterKey": "BucketName", "ParameterValue": user.bucket}],
        Capabilities=["CAPABILITY_IAM"],
    )
    assert user.status == "REVIEW_IN_PROGRESS"
    user.stack("deploy", "--yes")
    assert user.status == "UPDATE_COMPLETE"


def test_without_somebody_to_agree_nothing_is_made_or_deleted(user):
    for action in ("deploy", "destroy"):
        assert f"nobody is there to agree to a {action}; `--yes` agrees beforehand" in user.stack(action, code=2)
    assert user.status is None


def test_a_bucket_that_is_there_is_used_and_goes_on_telling_others(user):
    s3, sqs = user.client("s3"), user.client("sqs")
    s3.create_bucket(Bucket=user.bucket)
    other = sqs.get_queue_attributes(
        QueueUrl=sqs.create_queue(QueueName=f"other-{user.name}")["QueueUrl"], AttributeNames=["QueueArn"]
    )["Attributes"]["QueueArn"]
    s3.put_bucket_notification_configuration(
        Bucket=user.bucket,
        NotificationConfiguration={
            "QueueConfigurations": [{"Id": "other", "QueueArn": other, "Events": ["s3:ObjectRemoved:*"]}]
        },
    )
    planned = user.stack("plan")
    assert "is used as it is (versioning: off)" in planned
    s3.put_object(Bucket=user.bucket, Key=re.findall(r"releases/\S+\.zip", planned)[0], Body=b"uploaded before")
    given = {"BucketName": user.bucket, "NewBucket": "no"}
    user.client("cloudformation").create_stack(  # moto computes a stack's outputs only where it is made like this
        StackName=user.name,
        TemplateBody=FILE.read_text(),
        Parameters=[{"ParameterKey": name, "ParameterValue": value} for name, value in given.items()],
        Capabilities=["CAPABILITY_IAM"],
    )
    user.stack("deploy", "--yes")

    def told() -> list[tuple[str, str]]:
        held = s3.get_bucket_notification_configuration(Bucket=user.bucket)["QueueConfigurations"]
        rules = [one.get("Filter", {}).get("Key", {}).get("FilterRules", []) for one in held]
        return sorted((one["Id"], json.dumps(rule)) for one, rule in zip(held, rules, strict=True))

    ours = [identifier for identifier, rule in told() if "inbox/" in rule]
    assert ours == [f"churn-drift-{user.name}.csv", f"churn-drift-{user.name}.csv.gz"]
    user.stack("destroy", "--yes")
    assert [identifier for identifier, _ in told()] == ["other"]
    assert user.bucket in user.buckets


def test_a_destruction_says_what_goes_and_leaves_the_bucket_for_the_next_stack(user):
    user.stack("deploy", "--yes")
    user.client("s3").put_object(Bucket=user.bucket, Key="inbox/day.csv", Body=b"kept")
    said = user.stack("destroy", "--yes")
    assert any(line.split()[:2] == ["keep", "Bucket"] for line in said.splitlines())
    assert any(line.split()[:2] == ["delete", "InboxQueue"] for line in said.splitlines())
    assert user.status is None
    assert user.client("s3").get_object(Bucket=user.bucket, Key="inbox/day.csv")["Body"].read() == b"kept"
    assert "The bucket is there already" in user.stack("deploy", "--yes")
    assert user.status == "CREATE_COMPLETE"


def test_there_is_nothing_to_destroy_twice(user):
    assert "nothing to delete" in user.stack("destroy", "--yes")


FAULTS = {
    "no repository": ({"RETRAIN_REPOSITORY": ""}, (), "RETRAIN_REPOSITORY is not set, and RETRAIN_WITH=ec2 needs it"),
    "no bucket": ({"S3_BUCKET": ""}, (), "S3_BUCKET is not set"),
    "no server": ({"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}, (), "Could not connect"),
    "no region": ({"AWS_DEFAULT_REGION": ""}, (), "set AWS_DEFAULT_REGION"),
    "no such parameter": ({}, ("--set", "Colour=red"), "--set Colour: no parameter of infra/template.yaml"),
    "half a parameter": ({}, ("--set", "Colour"), "give NAME=VALUE"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_is_missing_is_said_in_a_line(user, fault):
    env, arguments, expected = FAULTS[fault]
    said = user.stack("plan", *arguments, code=2, **{"AWS_MAX_ATTEMPTS": "1", **env})
    assert said.splitlines()[-1].startswith("error: ")
    assert expected in said.splitlines()[-1]
    assert user.status is None


def test_without_the_zip_it_says_how_to_make_it(user):
    (user.root / "dist/lambda.zip").unlink()
    assert "dist/lambda.zip: not there; `make lambda` makes it" in user.stack("deploy", "--yes", code=2)
