"""`churn-drift doctor --aws` finds each permission that is missing; the policy it prints is the least that it needs."""

import ast
import http.server
import json
import os
import subprocess
import sys
import threading
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import botocore.session
import pytest
from botocore import xform_name

from churn_drift.aws import permissions, policy_document
from churn_drift.aws.policy_document import CALLS, Account, Grant
from churn_drift.errors import ConfigError
from churn_drift.findings import examine
from tests.aws.servers import ISOLATED, user_of
from tests.contracts.reach import ROOT
from tests.remote.conftest import client, enforce, moto

BUCKET, NUMBER = "churn-drift", "123456789012"
HERE = Account(NUMBER, "us-east-1")
ROLE = f"arn:aws:iam::{NUMBER}:role/churn-drift"
FULL = {
    "S3_BUCKET": BUCKET,
    "S3_KMS_KEY_ID": "1234abcd-12ab-34cd-56ef-1234567890ab",
    "SNS_TOPIC_ARN": f"arn:aws:sns:us-east-1:{NUMBER}:churn-drift",
    "EC2_LAUNCH_TEMPLATE": "lt-0123456789abcdef0",
    "EC2_ROLE_ARN": ROLE,
    "EC2_INSTANCE_ID": "i-0123456789abcdef0",
    "SAGEMAKER_ENDPOINT": "churn-drift",
    "SAGEMAKER_ROLE_ARN": ROLE,
    "SAGEMAKER_ALARMS": "churn-drift-5xx",
}
LAMBDA = ("lambda_handler", "batch_look", "batch_report", "batch_alert", "batch_reader", "reference", "events")
"""Modules that run under the Lambda's own role."""


def grants_of(environment):
    return policy_document.grants(environment, HERE)


def every_grant():
    """Of every way to retrain."""
    ways = [{**FULL, "RETRAIN_WITH": way} for way in ("ec2", "ssm", "sagemaker")]
    return [grant for environment in ways for grant in grants_of(environment)]


# --- the policy and the code -------------------------------------------------------------------------------------


@cache
def methods() -> set[str]:
    """Of boto3's clients of the services that the code may use."""
    session = botocore.session.Session()
    services = (
        "s3",
        "sns",
        "sts",
        "iam",
        "ec2",
        "ssm",
        "kms",
        "sagemaker",
        "sagemaker-runtime",
        "cloudwatch",
        "events",
    )
    return {xform_name(name) for service in services for name in session.get_service_model(service).operation_names}


def called() -> dict[str, set[str]]:
    """boto3's methods that each module of the package calls or pages through."""
    found = {}
    for path in [*sorted((ROOT / "src/churn_drift/aws").rglob("*.py")), ROOT / "src/churn_drift/commands/doctor.py"]:
        if path.stem in (*LAMBDA, "policy_document", "permissions"):
            continue
        tree = ast.parse(path.read_text())
        calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
        named = {call.func.attr for call in calls if isinstance(call.func, ast.Attribute) and call.keywords}
        plain = {call.func.id for call in calls if isinstance(call.func, ast.Name)}
        paged = {
            call.args[0].value
            for call in calls
            if getattr(call.func, "attr", "") in ("get_paginator", "get_waiter")
            and isinstance(call.args[0], ast.Constant)
        }
        found[path.stem] = ((named | paged) & methods()) | ((named | plain) & TRANSFERS)
    return found


TRANSFERS = {"create_transfer_manager", "upload_file", "upload_fileobj", "download_file", "download_fileobj"}


def test_clients_are_made_nowhere_else():
    texts = {path: path.read_text() for path in (ROOT / "src/churn_drift").rglob("*.py") if "aws" not in path.parts}
    makers = [path.name for path, text in texts.items() if "aws.services import" in text or "import boto3" in text]
    assert makers == ["doctor.py"]


def test_every_call_of_the_code_is_known_to_the_policy():
    unknown = {module: names - CALLS.keys() for module, names in called().items() if names - CALLS.keys()}
    assert unknown == {}
    assert "run_instances" in called()["ec2_instance"]


def test_the_policy_grants_what_the_code_calls_and_nothing_else():
    needed = {action for names in called().values() for name in names for action in CALLS[name]}
    granted = {action for grant in every_grant() for action in grant.actions if not action.startswith("kms:")}
    assert granted == needed


def test_nothing_is_granted_on_everything_where_aws_takes_a_resource():
    everywhere = {action for grant in every_grant() if "*" in grant.resources for action in grant.actions}
    assert everywhere == {
        "ec2:DescribeInstances",
        "sagemaker:ListEndpointConfigs",
        "ssm:GetCommandInvocation",
        "ssm:ListCommands",
    }
    assert all(":" in action and "*" not in action for grant in every_grant() for action in grant.actions)


def test_a_role_is_passed_on_to_its_own_service_only():
    passed = {grant.place: grant for grant in every_grant() if "iam:PassRole" in grant.actions}
    assert {place: grant.condition["StringEquals"]["iam:PassedToService"] for place, grant in passed.items()} == {
        "ec2-role": "ec2.amazonaws.com",
        "job-role": "sagemaker.amazonaws.com",
        "model-role": "sagemaker.amazonaws.com",
    }
    assert {resource for grant in passed.values() for resource in grant.resources} == {ROLE}


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"S3_BUCKET": ""}, "S3_BUCKET is not set"),
        ({"S3_KMS_KEY_ID": "alias/mine"}, "alias/mine is an alias, which IAM does not grant"),
        ({"EC2_LAUNCH_TEMPLATE": "churn"}, "churn is a name, which IAM does not grant; give the id"),
        ({"EC2_ROLE_ARN": ""}, "EC2_ROLE_ARN is not set"),
        ({"RETRAIN_WITH": "lambda"}, "RETRAIN_WITH: 'lambda' is none of ec2, ssm, sagemaker"),
    ],
)
def test_a_setting_that_is_too_vague_to_grant_is_refused(change, fault):
    with pytest.raises(ConfigError, match=fault):
        policy_document.grants({**FULL, "RETRAIN_WITH": "ec2", **change}, HERE)


# --- the doctor, against an IAM that denies ----------------------------------------------------------------------


@pytest.fixture(scope="module")
def iam(tmp_path_factory):
    """An IAM that is enforced: `iam(grants)` gives the settings of the one user, who now may do that and no more."""
    with moto(tmp_path_factory.mktemp("moto")) as owner:
        client(owner).create_bucket(Bucket=BUCKET)
        client(owner, service="sns").create_topic(Name="churn-drift")
        for name in ("owner", "pipeline"):
            client(owner, service="iam").create_user(UserName=name)
        keys = {
            name: client(owner, service="iam").create_access_key(UserName=name)["AccessKey"]
            for name in ("owner", "pipeline")
        }
        settings = {
            name: {**owner, "AWS_ACCESS_KEY_ID": key["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"]}
            for name, key in keys.items()
        }
        everything = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
        admin = client(settings["owner"], service="iam")
        admin.put_user_policy(UserName="owner", PolicyName="all", PolicyDocument=json.dumps(everything))
        enforce(owner)

        def granted(grants):
            document = json.dumps(policy_document.policy(grants or [NOTHING]))
            admin.put_user_policy(UserName="pipeline", PolicyName="ours", PolicyDocument=document)
            return {**settings["pipeline"], **ISOLATED}

        yield granted


def asked(environment, grants, settings):
    """Line by line: state and text of what is said about the grants."""
    with user_of(settings):
        found = list(examine(permissions.checks(environment, grants)))
    return [(finding.state, finding.line(name)) for name, finding in found]


NOTHING = Grant("nothing", ("s3:ListAllMyBuckets",), ("*",))
LOCAL = {"S3_BUCKET": BUCKET}


def test_who_has_the_policy_lacks_nothing(iam):
    said = asked(LOCAL, grants_of(LOCAL), iam(grants_of(LOCAL)))
    assert [line for state, line in said if state != "ok"] == []
    assert said[0][1].startswith(f"ok     identity     arn:aws:iam::{NUMBER}:user/pipeline")
    assert said[1][1].startswith("ok     way          by calls that do nothing (IAM may not be asked: ")
    assert len(said) == 2 + sum(len(grant.actions) for grant in grants_of(LOCAL))


def test_each_permission_that_is_missing_is_named_with_its_place(iam):
    missing, seen = [], []
    for place, action in [
        ("inbox", "s3:DeleteObject"),
        ("data", "s3:PutObject"),
        ("locks", "s3:GetObject"),
        ("dvc", "s3:AbortMultipartUpload"),
        ("bucket", "s3:GetBucketVersioning"),
    ]:
        short = [without(grant, action) if grant.place == place else grant for grant in grants_of(LOCAL)]
        said = asked(LOCAL, [g for g in grants_of(LOCAL) if g.place == place], iam(short))
        resource = f"arn:aws:s3:::{BUCKET}" + ("" if place == "bucket" else f"/{place}/*")
        missing.append(
            f"WRONG  {place:<13}{action} on {resource} is denied: "
            "have it allowed; `churn-drift doctor --policy` prints the policy"
        )
        seen += [line for state, line in said if state != "ok"]
    assert seen == missing


def without(grant: Grant, action: str) -> Grant:
    return Grant(grant.place, tuple(one for one in grant.actions if one != action), grant.resources, grant.condition)


def test_who_may_not_list_is_not_told_that_reading_is_denied(iam):
    short = [without(grant, "s3:ListBucket") for grant in grants_of(LOCAL) if grant.place == "bucket"]
    said = asked(LOCAL, [g for g in grants_of(LOCAL) if g.place in ("bucket", "locks")], iam(short))
    assert [state for state, _ in said] == ["ok", "ok", "WRONG", "ok", "skip", "WRONG"]
    assert said[4][1].endswith("locks/*: not told to one who may not list")


def test_what_no_harmless_call_can_try_is_said_to_be_untried(iam):
    environment = {**FULL, "RETRAIN_WITH": "ssm"}
    grants = [grant for grant in grants_of(environment) if grant.place in ("topic", "command", "commands")]
    said = asked(environment, grants, iam(grants))
    assert [line.split(" on ")[0] for state, line in said if state == "skip"] == [
        "skip   topic        sns:Publish",
        "skip   command      ssm:SendCommand",
    ]


def test_starting_an_instance_is_tried_without_starting_one(iam):
    environment = {**FULL, "RETRAIN_WITH": "ec2"}
    grants = [grant for grant in grants_of(environment) if grant.place in ("instance", "instances")]
    assert [state for state, _ in asked(environment, grants, iam([]))][2:] == ["WRONG", "WRONG"]


def test_a_service_that_is_none_of_awss_is_told_in_one_line(tmp_path):
    environment = {**FULL, "RETRAIN_WITH": "ec2"}
    with moto(tmp_path) as owner:  # not enforced: its IAM is asked, and answers a page of HTML
        said = asked(environment, [g for g in grants_of(environment) if g.place == "topic"], {**owner, **ISOLATED})
    assert said[1][1].endswith("by calls that do nothing (IAM may not be asked: not answered as AWS does)")
    assert said[2][0] == "skip"


def test_nothing_is_left_behind(iam):
    settings = iam(grants_of(LOCAL))
    asked(LOCAL, grants_of(LOCAL), settings)
    s3 = client(settings)
    assert s3.list_objects_v2(Bucket=BUCKET).get("Contents", []) == []


def test_a_key_that_nobody_knows_is_told_and_nothing_more_is_asked(iam):
    settings = {**iam([]), "AWS_ACCESS_KEY_ID": "nobody"}
    said = asked(LOCAL, grants_of(LOCAL), settings)
    assert said[0][0] == "WRONG"
    assert {state for state, _ in said[1:]} == {"skip"}


# --- IAM that may be asked ---------------------------------------------------------------------------------------

_ANSWER = """<SimulatePrincipalPolicyResponse xmlns="https://iam.amazonaws.com/doc/2010-05-08/">
<SimulatePrincipalPolicyResult><IsTruncated>false</IsTruncated><EvaluationResults>{members}</EvaluationResults>
</SimulatePrincipalPolicyResult><ResponseMetadata><RequestId>1</RequestId></ResponseMetadata>
</SimulatePrincipalPolicyResponse>"""
_MEMBER = """<member><EvalActionName>{action}</EvalActionName><EvalResourceName>{resource}</EvalResourceName>
<EvalDecision>{decision}</EvalDecision></member>"""
_IDENTITY = """<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult>
<Arn>arn:aws:sts::123456789012:assumed-role/churn-drift/i-0123</Arn><UserId>x</UserId><Account>123456789012</Account>
</GetCallerIdentityResult><ResponseMetadata><RequestId>1</RequestId></ResponseMetadata></GetCallerIdentityResponse>"""


@contextmanager
def simulating(*, denied):
    """It stands for the IAM and STS of AWS, since moto does not simulate: its address, and what it was asked."""
    questions: list[dict[str, Any]] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            form = {k: v[0] for k, v in parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode()).items()}
            questions.append(form)
            if form["Action"] == "GetCallerIdentity":
                text = _IDENTITY
            else:
                action = form["ActionNames.member.1"]
                decision = "implicitDeny" if action in denied else "allowed"
                resources = [value for name, value in form.items() if name.startswith("ResourceArns.")]
                members = (_MEMBER.format(action=action, resource=one, decision=decision) for one in resources)
                text = _ANSWER.format(members="".join(members))
            self.send_response(200)
            self.send_header("Content-Length", str(len(text.encode())))
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}", questions
        server.shutdown()


def test_where_iam_may_be_asked_it_is_asked_of_every_action_for_the_role():
    environment = {**FULL, "RETRAIN_WITH": "ec2"}
    grants = grants_of(environment)
    with simulating(denied={"sns:Publish", "iam:PassRole"}) as (address, questions):
        settings = {
            **ISOLATED,
            "AWS_ENDPOINT_URL": address,
            "AWS_ACCESS_KEY_ID": "k",
            "AWS_SECRET_ACCESS_KEY": "s",
            "AWS_DEFAULT_REGION": "us-east-1",
        }
        said = asked(environment, grants, settings)
    assert said[1][1].startswith("ok     way          IAM is asked (SimulatePrincipalPolicy)")
    assert {line.split()[2] for state, line in said if state == "WRONG"} == {"sns:Publish", "iam:PassRole"}
    assert {state for state, _ in said} == {"ok", "WRONG"}
    simulated = [form for form in questions if form["Action"] == "SimulatePrincipalPolicy"]
    assert {form["PolicySourceArn"] for form in simulated} == {f"arn:aws:iam::{NUMBER}:role/churn-drift"}
    (passing,) = [form for form in simulated if form["ActionNames.member.1"] == "iam:PassRole"][-1:]
    assert passing["ContextEntries.member.1.ContextKeyName"] == "iam:PassedToService"


# --- as a user types it ------------------------------------------------------------------------------------------


def typed(folder: Path, *arguments, code, **env):
    for name in ("dvc.yaml", "params.yaml"):
        (folder / name).write_text("{}\n")
    command = [sys.executable, "-m", "churn_drift.cli", "doctor", *arguments]
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "S3_", "USE_AWS"))}
    done = subprocess.run(command, cwd=folder, env={**clean, **env}, capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stderr
    return done


def test_the_policy_is_json_and_needs_no_network_where_the_environment_names_the_account(tmp_path):
    env = {**FULL, "RETRAIN_WITH": "ec2", "AWS_DEFAULT_REGION": "us-east-1", "AWS_ENDPOINT_URL": "http://127.0.0.1:1"}
    done = typed(tmp_path, "--policy", code=0, **env)
    document = json.loads(done.stdout)
    assert document == json.loads(json.dumps(policy_document.policy(grants_of(env))))
    sids = [statement["Sid"] for statement in document["Statement"]]
    assert len(set(sids)) == len(sids)
    assert all(sid.isalnum() for sid in sids)


def test_who_reads_no_further_than_the_first_lines_gets_no_traceback(tmp_path):
    for name in ("dvc.yaml", "params.yaml"):
        (tmp_path / name).write_text("{}\n")
    environment = {**os.environ, **FULL, "RETRAIN_WITH": "ec2", "AWS_DEFAULT_REGION": "us-east-1"}
    reads, writes = os.pipe()
    os.close(reads)
    command = [sys.executable, "-m", "churn_drift.cli", "doctor", "--policy"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, stdout=writes, stderr=subprocess.PIPE, check=False)
    os.close(writes)
    assert (done.returncode, done.stderr) == (141, b"")


def test_the_doctor_prints_a_line_a_permission_and_ends_with_2_where_one_is_missing(iam, tmp_path):
    settings = iam([without(grant, "s3:DeleteObject") for grant in grants_of(LOCAL)])
    said = typed(tmp_path, "--aws", code=2, **settings, **LOCAL).stdout.splitlines()
    assert said[-1] == f"2 of {len(said) - 1} checks found something wrong"
    assert sum(line.startswith("WRONG") for line in said) == 2
    assert "S3_BUCKET is not set" in typed(tmp_path, "--aws", code=2, AWS_DEFAULT_REGION="us-east-1").stderr


def test_without_credentials_the_doctor_names_those_and_no_permission(tmp_path):
    said = typed(tmp_path, "--aws", code=2, AWS_DEFAULT_REGION="us-east-1", **ISOLATED, **LOCAL).stdout.splitlines()
    assert said[0].startswith("WRONG  identity     Unable to locate credentials")
    assert said[-1] == f"1 of {len(said) - 1} checks found something wrong"
