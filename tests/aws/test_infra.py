"""infra/template.yaml: clean by cfn-lint, in step with the code, and made on moto as far as moto makes it."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from churn_drift.aws import policy_document
from churn_drift.aws.look.lambda_settings import Settings
from churn_drift.aws.policy_document import Account
from scripts import aws_stack
from scripts.infra_template import FILE, look_environment, template
from tests.contracts.reach import ROOT
from tests.remote.conftest import client, moto

BUCKET = "churn-drift-infra"
NUMBER, REGION = "123456789012", "us-east-1"
NOT_BY_MOTO = {"AWS::S3::BucketPolicy", "AWS::SQS::QueuePolicy", "AWS::CloudWatch::Alarm", "AWS::SNS::Subscription"}
"""Types that moto's CloudFormation passes over without an error: nothing here says that they work."""


@pytest.fixture(scope="module")
def owner(tmp_path_factory):
    with moto(tmp_path_factory.mktemp("moto")) as owner:
        yield owner


@pytest.fixture(scope="module")
def stack(owner):
    """Names and outputs of the whole stack, made in one go on moto."""
    s3, formation = client(owner), client(owner, service="cloudformation")
    s3.create_bucket(Bucket="code")
    given = {
        "BucketName": BUCKET,
        "CodeKey": "releases/x/lambda.zip",
        "Repository": "https://example.org/churn-drift.git",
        "EndpointName": "Churn",
        "AlertEmail": "somebody@example.org",
    }
    parameters = [{"ParameterKey": name, "ParameterValue": value} for name, value in given.items()]
    formation.create_stack(
        StackName="churn-drift",
        TemplateBody=FILE.read_text().replace("Code: {S3Bucket: !Ref BucketName, S3Key: !Ref CodeKey}", CODE),
        Parameters=parameters,
        Capabilities=["CAPABILITY_IAM"],
    )
    described = formation.describe_stacks(StackName="churn-drift")["Stacks"][0]
    assert described["StackStatus"] == "CREATE_COMPLETE"
    resources = formation.describe_stack_resources(StackName="churn-drift")["StackResources"]
    names = {one["LogicalResourceId"]: one["PhysicalResourceId"] for one in resources if "LogicalResourceId" in one}
    return names, {one["Description"]: one["OutputValue"] for one in described["Outputs"]}


CODE = 'Code: {ZipFile: "def handler(event, context): pass"}'
"""In one go there is no bucket yet that the zip could lie in; `aws_stack.py deploy` makes it in two."""


def test_cfn_lint_finds_nothing():
    tool = Path(sys.executable).with_name("cfn-lint")
    done = subprocess.run(
        [tool, "--include-checks", "I", "--template", FILE], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "")


def test_the_defaults_are_those_of_params_yaml():
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    for name, key in aws_stack.BY_PARAMS.items():
        section, _, entry = key.partition(".")
        assert template()["Parameters"][name]["Default"] == params[section][entry], name


def test_every_setting_of_the_script_is_a_parameter_of_the_template():
    assert {*aws_stack.BY_ENVIRONMENT, *aws_stack.BY_PARAMS, *aws_stack.ANEW} <= set(template()["Parameters"])


def test_what_is_kept_is_what_the_template_retains():
    retained = {one["Type"] for one in template()["Resources"].values() if one.get("DeletionPolicy") == "Retain"}
    assert retained == aws_stack.KEPT


def test_the_function_gets_variables_that_it_understands(owner, stack):
    names, _ = stack
    function = client(owner, service="lambda").get_function(FunctionName=names["Look"])["Configuration"]
    given = {name: str(value) for name, value in function["Environment"]["Variables"].items()}  # moto leaves numbers
    settings = Settings.of(given)
    assert settings.bucket == BUCKET
    assert settings.topic == names["Topic"]
    assert settings.trainer == "ec2"
    assert given["EC2_LAUNCH_TEMPLATE"] == names["LaunchTemplate"]
    assert function["Timeout"] * 6 <= template()["Resources"]["InboxQueue"]["Properties"]["VisibilityTimeout"]
    read = "".join(path.read_text() for path in (ROOT / "src/churn_drift/aws").rglob("*.py"))
    assert [name for name in given if f'"{name}"' not in read] == []


def test_an_emulator_gets_the_same_variables_without_cloudformation(owner, stack):
    names, outputs = stack
    function = client(owner, service="lambda").get_function(FunctionName=names["Look"])["Configuration"]
    made = {"BucketName": BUCKET, "EndpointName": "Churn", "Repository": "https://example.org/churn-drift.git"}
    arn = {"SageMakerRole.Arn": outputs["SAGEMAKER_ROLE_ARN"]}
    found = look_environment({**made, **arn, **{name: names[name] for name in ("Topic", "LaunchTemplate")}})
    assert found == {name: str(value) for name, value in function["Environment"]["Variables"].items()}


def test_the_outputs_are_lines_of_env_that_the_code_reads(stack):
    names, outputs = stack
    told = {name: value for name, value in outputs.items() if name.isupper()}
    assert told["S3_BUCKET"] == BUCKET
    assert told["EC2_LAUNCH_TEMPLATE"] == names["LaunchTemplate"]
    example = (ROOT / ".env.example").read_text()
    assert [name for name in told if not re.search(rf"^#?{name}=", example, re.MULTILINE)] == []


def test_moto_makes_all_but_a_few_types_that_are_known(stack):
    names, _ = stack
    left_out = {name: one for name, one in template()["Resources"].items() if name not in names}
    conditional = {"StartByCommand", "StartOnSageMaker"}
    assert {one["Type"] for name, one in left_out.items() if name not in conditional} <= NOT_BY_MOTO
    assert conditional <= set(left_out)


def test_a_message_is_tried_five_times_and_then_kept_beside(owner, stack):
    names, _ = stack
    sqs = client(owner, service="sqs")

    def attributes(name: str) -> dict[str, str]:
        url = sqs.get_queue_url(QueueName=names[name].rpartition("/")[2])["QueueUrl"]
        return sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]

    redrive = json.loads(attributes("InboxQueue")["RedrivePolicy"])
    assert redrive == {"deadLetterTargetArn": attributes("DeadLetters")["QueueArn"], "maxReceiveCount": 5}
    [source] = client(owner, service="lambda").list_event_source_mappings()["EventSourceMappings"]
    assert source["EventSourceArn"] == attributes("InboxQueue")["QueueArn"]
    assert source["BatchSize"] == 1


def test_schedules_send_to_the_queue_what_the_function_understands(owner, stack):
    names, _ = stack
    events = client(owner, service="events")
    [look] = events.list_targets_by_rule(Rule=names["LookRule"])["Targets"]
    [run] = events.list_targets_by_rule(Rule=names["RunRule"])["Targets"]
    assert look["Arn"] == run["Arn"]
    assert "Input" not in look
    assert run["InputTransformer"] == {"InputPathsMap": {"time": "$.time"}, "InputTemplate": '{"run": "<time>"}'}
    assert events.describe_rule(Name=names["RunRule"])["ScheduleExpression"] == "cron(0 2 * * ? *)"


def test_an_instance_gives_its_credentials_to_nobody_and_ends_with_its_run(owner, stack):
    names, _ = stack
    ec2 = client(owner, service="ec2")
    [version] = ec2.describe_launch_template_versions(LaunchTemplateId=names["LaunchTemplate"])[
        "LaunchTemplateVersions"
    ]
    data = version["LaunchTemplateData"]
    assert data["MetadataOptions"]["HttpTokens"] == "required"
    assert data["InstanceInitiatedShutdownBehavior"] == "terminate"
    assert data["BlockDeviceMappings"][0]["Ebs"]["Encrypted"] is True


def test_the_bucket_is_closed_encrypted_and_versioned():
    properties = template()["Resources"]["Bucket"]["Properties"]
    assert set(properties["PublicAccessBlockConfiguration"].values()) == {True}
    assert properties["VersioningConfiguration"] == {"Status": "Enabled"}
    [rule] = properties["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert rule["ServerSideEncryptionByDefault"] == {"SSEAlgorithm": "AES256"}
    [statement] = template()["Resources"]["BucketPolicy"]["Properties"]["PolicyDocument"]["Statement"]
    assert statement["Effect"] == "Deny"
    assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


def policies(owner: dict[str, str], names: dict[str, str], role: str) -> list[dict[str, Any]]:
    """Statements of a role as moto has them, references resolved; AWS's own policies aside."""
    iam, role_name = client(owner, service="iam"), names[role]
    inline = iam.list_role_policies(RoleName=role_name)["PolicyNames"]
    found = [iam.get_role_policy(RoleName=role_name, PolicyName=name)["PolicyDocument"] for name in inline]
    return [statement for document in found for statement in document["Statement"]]


def allowed(statements: list[dict[str, Any]], action: str, resource: str) -> bool:
    return any(
        action in several(statement["Action"])
        and any(_covers(pattern, resource) for pattern in several(statement["Resource"]))
        for statement in statements
    )


def several(value: str | list[str]) -> list[str]:
    return value if isinstance(value, list) else [value]


def _covers(pattern: str, resource: str) -> bool:
    """Whether every resource of the second form is one of the first."""
    return re.fullmatch(re.escape(pattern).replace(r"\*", ".*"), resource) is not None


@pytest.mark.parametrize("role", ["InstanceRole", "SageMakerRole"])
def test_a_run_on_aws_may_do_what_doctor_says_that_it_needs(owner, stack, role):
    names, outputs = stack
    environment = {
        name: outputs[name] for name in outputs if name.isupper() and not name.startswith(("EC2", "RETRAIN"))
    }
    statements = policies(owner, names, role)
    needed = [
        # Of releases/ the models only: who may replace the Lambda's zip is the Lambda.
        (action, resource.replace("/releases/*", "/releases/0123/model.tar.gz"))
        for grant in policy_document.grants(environment, Account(NUMBER, REGION))
        for action in grant.actions
        for resource in grant.resources
    ]
    assert len(needed) > 20
    assert [one for one in needed if not allowed(statements, *one)] == []


def test_no_role_may_do_everything_to_anything():
    found = []
    for name, resource in template()["Resources"].items():
        for document in documents(resource):
            for statement in document["Statement"]:
                actions, places = several(statement["Action"]), several(statement.get("Resource", ""))
                if statement["Effect"] == "Allow" and any(action.endswith("*") for action in actions):
                    found.append(name)
                if statement["Effect"] == "Allow" and places == ["*"] and "Condition" not in statement:
                    found += [f"{name} {action}" for action in actions]
    lists = [
        "DescribeInstances",
        "ListCommands",
        "GetCommandInvocation",
        "ListEndpointConfigs",
        "GetAuthorizationToken",
    ]
    assert [one for one in found if not one.endswith(tuple(lists))] == []


def documents(resource: dict[str, Any]) -> list[dict[str, Any]]:
    properties = resource["Properties"]
    inline = [policy["PolicyDocument"] for policy in properties.get("Policies", [])]
    return inline + [properties[name] for name in ("PolicyDocument",) if name in properties]


# ---- user data

STUB = """#!/bin/sh
echo "$(basename "$0") $*" >> "$STUBS/calls"
"""
METADATA = """#!/bin/sh
case "$*" in
  *api/token*) echo token ;;
  *instance-id*) echo i-1 ;;
  *churn-drift:run*) [ -n "$TAGGED" ] && echo day-1a2b3c4d-1 || exit 22 ;;
  *churn-drift:batch*) [ -n "$TAGGED" ] && echo day.csv@abc || exit 22 ;;
  *churn-drift:commit*) [ -n "$TAGGED" ] && echo v1 || exit 22 ;;
esac
"""
CLONE = """#!/bin/sh
echo "git $*" >> "$STUBS/calls"
[ -z "$BROKEN" ] || exit 128
for last; do :; done
mkdir -p "$last/.venv/bin"
printf '#!/bin/sh\\necho "python $*" >> "$STUBS/calls"\\n' > "$last/.venv/bin/python"
chmod +x "$last/.venv/bin/python"
"""


@pytest.fixture
def boot(tmp_path):
    """`boot(**environment)`: the user data, run where nothing but stubs can be called; the calls in order."""
    stubs, home = tmp_path / "bin", tmp_path / "root"
    stubs.mkdir()
    home.mkdir()
    programs = dict.fromkeys(("aws", "dnf", "make", "shutdown"), STUB) | {"curl": METADATA, "git": CLONE}
    for name, text in programs.items():
        (stubs / name).write_text(text)
        (stubs / name).chmod(0o755)
    for name in ("basename", "cat", "chmod", "mkdir", "sh", "tee", "timeout"):
        (stubs / name).symlink_to(next(p for d in ("/usr/bin", "/bin") if (p := Path(d, name)).exists()))
    user_data = template()["Resources"]["LaunchTemplate"]["Properties"]["LaunchTemplateData"]["UserData"]
    text = user_data["Fn::Base64"]["Fn::Sub"]

    def run(repository: str = "https://example.org/churn-drift.git", **environment: str) -> list[str]:
        values = {"RunSeconds": "7200", "BucketName": "b", "Repository": repository, "Commit": "HEAD"}
        filled = re.sub(r"\$\{([A-Za-z:.]+)\}", lambda found: values.get(found[1], "x"), text)
        script = filled.replace("/root", str(home)).replace("/var/log", str(tmp_path))
        clean = {"PATH": str(stubs), "STUBS": str(tmp_path), **environment}
        subprocess.run(["/bin/bash", "-c", script], env=clean, cwd=tmp_path, capture_output=True, check=False)
        calls = (tmp_path / "calls").read_text().replace(str(home), "~").replace(str(tmp_path), "/var/log")
        return calls.splitlines()

    return run


def test_an_instance_runs_the_batch_of_its_tags_keeps_its_log_and_ends(boot):
    assert boot(TAGGED="yes") == [
        "shutdown -h +150",
        "dnf install --quiet --assumeyes git make python3.11",
        "git clone --quiet https://example.org/churn-drift.git ~/churn-drift",
        "make --silent .venv/ready",
        "python -m churn_drift.aws.machines.remote_run --run day-1a2b3c4d-1 --batch day.csv@abc --commit v1",
        "aws s3 cp --quiet /var/log/churn-drift.log s3://b/locks/retrain-day-1a2b3c4d-1.log",
        "shutdown -h now",
    ]


def test_an_instance_that_cannot_clone_ends_all_the_same(boot):
    assert boot(TAGGED="yes", BROKEN="yes")[-1] == "shutdown -h now"


def test_an_instance_started_by_hand_runs_the_stacks_own_commit(boot):
    run = next(call for call in boot() if call.startswith("python"))
    assert run == "python -m churn_drift.aws.machines.remote_run --run by-hand-i-1 --batch by-hand-i-1 --commit HEAD"


def test_sources_may_come_as_a_bundle_from_the_bucket(boot):
    calls = boot(repository="s3://b/source.bundle", TAGGED="yes")
    assert "aws s3 cp --quiet s3://b/source.bundle ~/churn-drift.bundle" in calls
    assert "git clone --quiet ~/churn-drift.bundle ~/churn-drift" in calls
