"""The Lambda as AWS runs it: the real runtime client, the unzipped zip, S3, SNS, SQS and EC2 over HTTP (moto)."""

import json
import socket
import subprocess
import sys
import threading
import urllib.parse
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from churn_drift.data.io import read_raw
from churn_drift.model.bundle import version_of
from scripts.infra_template import FILE, look_environment
from scripts.s3_server import free_port
from tests.aws import lambda_runtime
from tests.aws.lambda_runtime import Function, running, unzipped
from tests.contracts.reach import ROOT
from tests.once import once
from tests.remote.conftest import client, enforce, moto

BUCKET = "churn-drift-lambda"
LATE = "batch_05"
"""A batch that has drifted from the baseline's customers, as the pipeline's own report says."""


@dataclass
class Account:
    """An account of AWS's, on this machine, with a champion in its bucket.

    settings  of the function as the template gives them, without trainer
    """

    settings: dict[str, str]
    alerts: str

    def client(self, service: str) -> Any:
        return client(self.settings, service=service)

    def put(self, key: str, content: bytes) -> str:
        self.client("s3").put_object(Bucket=BUCKET, Key=key, Body=content)
        return key

    def get(self, key: str) -> bytes:
        return bytes(self.client("s3").get_object(Bucket=BUCKET, Key=key)["Body"].read())

    def keys(self, prefix: str) -> list[str]:
        listed = self.client("s3").list_objects_v2(Bucket=BUCKET, Prefix=prefix)
        return [entry["Key"] for entry in listed.get("Contents", [])]

    def report(self, name: str) -> dict[str, Any]:
        return json.loads(self.get(f"inbox/{name}.drift.json"))

    def told(self) -> list[dict[str, Any]]:
        """The alerts that have come since the last call."""
        sqs, found = self.client("sqs"), []
        while got := sqs.receive_message(QueueUrl=self.alerts, MaxNumberOfMessages=10).get("Messages", []):
            for message in got:
                sqs.delete_message(QueueUrl=self.alerts, ReceiptHandle=message["ReceiptHandle"])
                found.append(json.loads(message["Body"]))
        return found

    def pass_the_time(self) -> None:
        """Every lease has ended."""
        for key in self.keys("locks/look-"):
            self.put(key, json.dumps({**json.loads(self.get(key)), "seconds": 0}).encode())

    def instances(self) -> list[dict[str, str]]:
        """Tags of each instance that has been started."""
        found = self.client("ec2").describe_instances()["Reservations"]
        started = [one for reservation in found for one in reservation["Instances"]]
        return [{tag["Key"]: tag["Value"] for tag in one.get("Tags", [])} for one in started]


@pytest.fixture(scope="session")
def package(tmp_path_factory) -> Path:
    return once(tmp_path_factory, "lambda", unzipped)


@pytest.fixture(scope="module")
def account(tmp_path_factory, finished):
    with moto(tmp_path_factory.mktemp("moto")) as owner:
        s3 = client(owner)
        s3.create_bucket(Bucket=BUCKET)
        for file in (finished.repository.root / "models/baseline").iterdir():
            s3.put_object(Bucket=BUCKET, Key=f"models/champion/{file.name}", Body=file.read_bytes())
        topic = client(owner, service="sns").create_topic(Name="churn-drift")["TopicArn"]
        sqs = client(owner, service="sqs")
        queue = sqs.create_queue(QueueName="alerts")["QueueUrl"]
        arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        client(owner, service="sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
        machine = {"ImageId": "ami-12c6146b", "InstanceType": "t3.large"}
        client(owner, service="ec2").create_launch_template(
            LaunchTemplateName="churn-drift", LaunchTemplateData=machine
        )
        made = {"BucketName": BUCKET, "Topic": topic, "RetrainWith": "none"}
        yield Account({**owner, **look_environment(made)}, queue)


@pytest.fixture(scope="module")
def function(package, account, tmp_path_factory):
    """The function with EC2 as its trainer."""
    trainer = {"RETRAIN_WITH": "ec2", "EC2_LAUNCH_TEMPLATE": "churn-drift"}
    with running(package, tmp_path_factory.mktemp("function"), {**account.settings, **trainer}) as function:
        yield function


@pytest.fixture(scope="module")
def batch(finished):
    """`batch(name)`: the raw rows of a batch of the pipeline's own timeline, as its file would have arrived."""
    root = finished.repository.root
    raw = read_raw(root / "data/raw/customers.csv")

    def csv(name: str, rows: int | None = None) -> bytes:
        customers = pd.read_parquet(root / f"data/batches/{name}.parquet")["CustomerID"].astype(str)
        return raw[raw["CustomerID"].isin(customers)][:rows].to_csv(index=False).encode()

    return csv


@contextmanager
def throttling() -> Iterator[str]:
    """The address of an S3 that has too much to do."""

    class Busy(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = b"<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"
            self.send_response(503)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *values: object) -> None:  # noqa: A002
            pass

    with HTTPServer(("127.0.0.1", 0), Busy) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def arrived(key: str, bucket: str = BUCKET, **record: Any) -> dict[str, Any]:
    """S3's notification."""
    stored = {"bucket": {"name": bucket}, "object": {"key": urllib.parse.quote_plus(key, safe="/"), "size": 1}}
    record = {"eventSource": "aws:s3", "eventName": "ObjectCreated:Put", "s3": stored, **record}
    return {"Records": [record]}


def bridged(key: str) -> dict[str, Any]:
    """EventBridge's event of the same."""
    detail = {"bucket": {"name": BUCKET}, "object": {"key": key, "size": 1}}
    return {"source": "aws.s3", "detail-type": "Object Created", "detail": detail}


def queued(*bodies: object) -> dict[str, Any]:
    """A queue's messages that hold them."""
    records = [
        {
            "messageId": f"m{place}",
            "eventSource": "aws:sqs",
            "body": body if isinstance(body, str) else json.dumps(body),
        }
        for place, body in enumerate(bodies)
    ]
    return {"Records": records}


def verdicts(function: Function, event: object) -> list[str]:
    answer = function.invoke(event)
    assert answer.outcome == "response", answer.body
    return [told["verdict"] for told in answer.body["batches"]]


def test_the_package_is_within_awss_limit_and_holds_no_pandas(package):
    sizes = json.loads((package / "built.json").read_text())
    assert sizes["unzipped"] < 150e6
    assert sizes["zipped"] < 50e6
    program = "import churn_drift, numpy, scipy.special; print(churn_drift.__file__, numpy.__file__)"
    done = lambda_runtime.python(package, "-c", program)
    assert done.stdout.split() == [str(package / "task" / name / "__init__.py") for name in ("churn_drift", "numpy")]
    for absent in ("pandas", "sklearn", "xgboost", "pyarrow", "flask", "dvc", "pydantic"):
        assert "ModuleNotFoundError" in lambda_runtime.python(package, "-c", f"import {absent}").stderr


def test_the_same_sources_make_the_same_zip_and_its_size_is_told(package, tmp_path):
    script, again = ROOT / "scripts/build_lambda.py", tmp_path / "again.zip"
    said = subprocess.run(
        [sys.executable, script, "--output", again], capture_output=True, text=True, check=True
    ).stdout
    assert "MB unzipped (AWS allows 262)" in said
    assert again.read_bytes() == (package / "lambda.zip").read_bytes()
    with zipfile.ZipFile(again) as archive:
        assert {entry.date_time for entry in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}


def test_it_finds_in_a_batch_what_drift_check_finds_in_it_number_by_number(function, account, batch, finished):
    events = finished.repository.read("reports/drift_check/events.json")
    expected = next(event["drift"] for event in events if event["batch"] == LATE)
    key = account.put("inbox/pipeline.csv", batch(LATE))
    assert verdicts(function, arrived(key)) == [expected["verdict"]]
    found = account.report("pipeline")
    for part in ("features", "share_drifted", "drifted_features", "worst", "detectable_psi", "rows_batch"):
        assert found["drift"][part] == expected[part]
    assert (found["drift"]["score"], found["drift"]["labels"]) == (None, None)
    assert found["champion"] == version_of(finished.repository.root / "models/baseline")


def test_drift_is_told_once_with_the_facts_and_starts_one_run_however_often_the_event_comes(function, account, batch):
    account.told()
    before = len(account.instances())
    key = account.put("inbox/2026-11-24 Größe+1.csv", batch(LATE, 590))
    said = [verdicts(function, event) for event in (arrived(key), arrived(key), bridged(key), queued(arrived(key)))]
    assert said == [["drifted"], ["known"], ["known"], ["known"]]
    [alert] = account.told()
    report = account.report("2026-11-24 Größe+1")
    assert alert["Subject"].isascii()
    assert alert["Subject"].startswith("Drift in ")
    assert len(alert["Subject"]) < 100
    lines = dict(line.split(": ", 1) for line in alert["Message"].splitlines() if ": " in line)
    assert lines["rows"] == "590"
    assert lines["champion"] == report["champion"]
    assert lines["moved most"].startswith(f"{report['drift']['drifted_features'][0]} PSI ")
    assert lines["report"] == f"s3://{BUCKET}/inbox/2026-11-24 Größe+1.drift.json"
    assert urllib.parse.unquote(lines["see"]).endswith("prefix=inbox/2026-11-24 Größe+1.drift.json")
    assert lines["run"].startswith("ec2:i-")
    started = account.instances()[before:]
    assert [tags["churn-drift:batch"].partition("@")[0] for tags in started] == ["2026-11-24 Größe+1.csv"]


def test_new_content_under_an_old_name_is_looked_at_anew_and_the_same_content_is_not(function, account, batch):
    key = account.put("inbox/again.csv", batch("batch_02"))
    verdicts(function, arrived(key))
    first = account.get("inbox/again.drift.json")
    account.put(key, batch("batch_02"))
    assert verdicts(function, arrived(key)) == ["known"]
    assert account.get("inbox/again.drift.json") == first
    account.put(key, batch("batch_03"))
    assert verdicts(function, arrived(key)) != ["known"]
    assert account.report("again")["sha256"] != json.loads(first)["sha256"]


def test_the_same_batch_under_another_name_makes_the_same_report(function, account, batch):
    for name in ("one", "two"):
        verdicts(function, arrived(account.put(f"inbox/{name}.csv", batch("batch_04", 300))))
    assert account.get("inbox/one.drift.json").replace(b"one.csv", b"two.csv") == account.get("inbox/two.drift.json")


def test_a_schedule_looks_at_what_no_event_has_told(function, account, batch):
    account.put("inbox/missed.csv", batch("batch_02", 250))
    account.put("inbox/labels.csv", b"CustomerID,Churn\n3000002,Yes\n")
    scheduled = {"source": "aws.events", "detail-type": "Scheduled Event", "detail": {}, "time": "2026-11-24T02:00:00Z"}
    answer = function.invoke(scheduled)
    found = {told["batch"]: told["verdict"] for told in answer.body["batches"]}
    assert found["inbox/missed.csv"] in ("stable", "drifted")
    assert found["inbox/labels.csv"] == "labels"
    assert set(verdicts(function, scheduled)) == {"known"}


def test_the_scheduled_run_starts_once_an_hour_and_only_where_something_waits(function, account, batch):
    account.put("inbox/waits.csv", batch("batch_02", 20))
    before = len(account.instances())
    for _ in range(2):
        [told] = function.invoke(queued({"run": "2026-11-24T02:00:00Z"})).body["batches"]
        assert told["run"].startswith("ec2:i-")
    assert len(account.instances()) == before + 1
    s3 = account.client("s3")
    for key in account.keys("inbox/"):
        s3.delete_object(Bucket=BUCKET, Key=key)
    [told] = function.invoke({"run": "2026-11-25T02:00:00Z"}).body["batches"]
    assert told == {"run": "nothing waits in the inbox"}
    assert len(account.instances()) == before + 1


FAULTY = {
    "no bytes": lambda text: b"",
    "not a CSV": lambda text: b"\x89PNG\r\n\x1a\n\0\0\0",
    "last week's schema": lambda text: text.replace(b"MonthlyMinutes", b"Minutes", 1),
    "cut": lambda text: text[:-30],
    "a word for a number": lambda text: text.replace(text.splitlines()[1].split(b",")[2], b"Ms Smith", 1),
}


@pytest.mark.parametrize("fault", FAULTY)
def test_a_file_that_cannot_be_read_is_told_once_and_not_tried_again(function, account, batch, fault):
    account.told()
    key = account.put(f"inbox/faulty {fault}.csv", FAULTY[fault](batch("batch_02", 20)))
    assert verdicts(function, queued(arrived(key))) == ["unreadable"]
    assert verdicts(function, queued(arrived(key))) == ["known"]
    [alert] = account.told()
    assert alert["Subject"] == f"Batch cannot be read: faulty {fault}.csv"
    assert account.report(f"faulty {fault}")["reason"] in alert["Message"]
    assert "Smith" not in alert["Message"] + json.dumps(function.lines)


@pytest.mark.parametrize(
    "event",
    [
        {},
        [],
        "text",
        None,
        7,
        {"Records": None},
        {"Records": ["text"]},
        {"Records": [{"eventSource": "aws:s3", "eventName": "ObjectCreated:Put"}]},
        {"Records": [{"eventSource": "aws:s3", "eventName": "ObjectCreated:Put", "s3": {"bucket": 7, "object": {}}}]},
        arrived("inbox/x.csv", bucket="another-bucket"),
        arrived("landed/x.csv"),
        arrived("inbox/x.drift.json"),
        arrived("inbox/x.csv", eventName="ObjectRemoved:Delete"),
        {"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": BUCKET},
        {"source": "aws.s3", "detail-type": "Object Created", "detail": None},
        queued("not JSON", [1], {"Event": "s3:TestEvent"}),
        queued("[" * 100_000),
        queued(bridged("inbox/\ud800.csv")),
    ],
    ids=lambda event: json.dumps(event)[:40],
)
def test_an_event_that_is_none_of_ours_is_passed_over(function, event):
    assert set(verdicts(function, event)) <= {"passed over"}


def test_an_object_that_has_gone_meanwhile_is_passed_over(function):
    assert verdicts(function, arrived("inbox/gone.csv")) == ["gone"]


def test_a_file_above_the_limit_is_refused_without_being_read(package, account, tmp_path):
    key = account.put("inbox/large.csv", b"7" * 1_100_000)
    with running(package, tmp_path, {**account.settings, "BATCH_MAX_MB": "1"}) as function:
        assert verdicts(function, arrived(key)) == ["unreadable"]
    assert "at most 1 are looked at" in account.report("large")["reason"]


def test_what_a_service_refuses_goes_back_to_the_queue_and_the_other_messages_do_not(package, account, batch, tmp_path):
    account.told()
    good = account.put("inbox/good.csv", batch("batch_02", 31))
    drifted = account.put("inbox/urgent.csv", batch(LATE, 580))
    settings = {**account.settings, "RETRAIN_WITH": "ec2", "EC2_LAUNCH_TEMPLATE": "not-there"}
    with running(package, tmp_path, settings) as function:
        answer = function.invoke(queued(arrived(good), arrived(drifted)))
        assert answer.outcome == "response", answer.body
        assert answer.body["batchItemFailures"] == [{"itemIdentifier": "m1"}]
        alone = function.invoke(queued(arrived(drifted)))
    assert alone.outcome == "error"
    assert "not-there" in alone.body["errorMessage"]
    assert [alert["Subject"].endswith("urgent.csv") for alert in account.told()] == [True]
    settings["EC2_LAUNCH_TEMPLATE"] = "churn-drift"
    with running(package, tmp_path, settings) as function:
        [told] = function.invoke(queued(arrived(drifted))).body["batches"]
    assert told["run"].startswith("ec2:i-")
    assert account.told() == []


def test_a_function_that_is_killed_before_its_alert_leaves_it_to_the_next_one(package, account, batch, tmp_path):
    account.told()
    key = account.put("inbox/killed.csv", batch(LATE, 560))
    with socket.create_server(("127.0.0.1", 0)) as silent:
        nowhere = {"AWS_ENDPOINT_URL_SNS": f"http://127.0.0.1:{silent.getsockname()[1]}"}
        with running(package, tmp_path, {**account.settings, **nowhere}) as function:
            function.begin(arrived(key))
            connection, _ = silent.accept()  # the alert is on its way, and nobody answers
            function.kill()
            connection.close()
    report = account.get("inbox/killed.drift.json")
    account.pass_the_time()
    with running(package, tmp_path, account.settings) as function:
        assert verdicts(function, arrived(key)) == ["drifted"]
        assert verdicts(function, arrived(key)) == ["known"]
    assert len(account.told()) == 1
    assert account.get("inbox/killed.drift.json") == report


def test_two_functions_at_once_on_one_batch_tell_it_once(package, account, batch, tmp_path):
    account.told()
    key = account.put("inbox/both.csv", batch(LATE, 550))
    with running(package, tmp_path, account.settings) as one, running(package, tmp_path, account.settings) as other:
        one.begin(arrived(key))
        other.begin(arrived(key))
        ends = [function.answer() for function in (one, other)]
        assert all(end.outcome == "response" or "held by" in end.body["errorMessage"] for end in ends)
        assert verdicts(one, arrived(key)) == ["known"]
    assert len(account.told()) == 1


@pytest.mark.parametrize("fault", ["down", "throttles"])
def test_a_service_that_fails_is_an_error_so_that_the_message_comes_again(package, account, tmp_path, fault):
    with throttling() as address:
        s3 = {"AWS_ENDPOINT_URL_S3": address if fault == "throttles" else f"http://127.0.0.1:{free_port()}"}
        with running(package, tmp_path, {**account.settings, **s3, "AWS_MAX_ATTEMPTS": "2"}) as function:
            answer = function.invoke(arrived("inbox/any.csv"))
    assert answer.outcome == "error"
    assert ("SlowDown" if fault == "throttles" else "Could not connect") in answer.body["errorMessage"]


def test_without_a_champion_the_message_goes_back_to_the_queue(package, account, batch, tmp_path):
    account.client("s3").create_bucket(Bucket="churn-drift-empty")
    account.client("s3").put_object(Bucket="churn-drift-empty", Key="inbox/x.csv", Body=batch("batch_02", 210))
    with running(package, tmp_path, {**account.settings, "S3_BUCKET": "churn-drift-empty"}) as function:
        answer = function.invoke(arrived("inbox/x.csv", bucket="churn-drift-empty"))
    assert answer.outcome == "error"
    assert "no champion there yet; `churn-drift upload models` sends it" in answer.body["errorMessage"]


def test_while_another_champion_is_uploaded_the_message_goes_back_to_the_queue(package, account, batch, tmp_path):
    key, name = account.put("inbox/meanwhile.csv", batch("batch_02", 220)), "models/champion/profile.json"
    whole = account.get(name)
    account.put(name, whole.replace(b'"rows": ', b'"rows":  ', 1))
    with running(package, tmp_path, account.settings) as function:
        assert "profile.json: is not the one in manifest.json" in function.invoke(arrived(key)).body["errorMessage"]
        account.put(name, whole)
        assert len(verdicts(function, arrived(key))) == 1
    assert account.report("meanwhile")["rows"] == 220


def test_under_never_a_drifted_batch_is_told_and_starts_nothing(package, account, batch, tmp_path):
    before = len(account.instances())
    key = account.put("inbox/never.csv", batch(LATE, 570))
    settings = {**account.settings, "RETRAIN_WITH": "ec2", "EC2_LAUNCH_TEMPLATE": "churn-drift"}
    with running(package, tmp_path, {**settings, "RETRAIN_POLICY": "never", "DRIFT_SHARE": "0.01"}) as function:
        [told] = function.invoke(arrived(key)).body["batches"]
    assert (told["verdict"], told["run"]) == ("drifted", "the next scheduled one")
    assert len(account.instances()) == before


def test_the_templates_role_may_do_all_that_the_function_does_and_nothing_elsewhere(package, batch, finished, tmp_path):
    with moto(tmp_path) as owner:
        s3, iam, formation = (client(owner, service=name) for name in ("s3", "iam", "cloudformation"))
        for bucket in (BUCKET, "churn-drift-other"):
            s3.create_bucket(Bucket=bucket)
            for file in (finished.repository.root / "models/baseline").iterdir():
                s3.put_object(Bucket=bucket, Key=f"models/champion/{file.name}", Body=file.read_bytes())
            s3.put_object(Bucket=bucket, Key="inbox/day.csv", Body=batch(LATE))
        given = {"BucketName": BUCKET, "NewBucket": "no", "Repository": "https://example.org/churn-drift.git"}
        formation.create_stack(
            StackName="churn-drift",
            TemplateBody=FILE.read_text(),
            Parameters=[{"ParameterKey": name, "ParameterValue": value} for name, value in given.items()],
            Capabilities=["CAPABILITY_IAM"],
        )
        outputs = formation.describe_stacks(StackName="churn-drift")["Stacks"][0]["Outputs"]
        told = {one["Description"]: one["OutputValue"] for one in outputs}
        iam.create_user(UserName="look")
        role = next(one["RoleName"] for one in iam.list_roles()["Roles"] if "LookRole" in one["RoleName"])
        for name in iam.list_role_policies(RoleName=role)["PolicyNames"]:
            document = iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]
            for statement in document["Statement"]:
                if "s3:" not in str(statement["Action"]):  # moto judges resources and conditions of S3 only
                    statement["Resource"] = "*"
                    statement.pop("Condition", None)
            iam.put_user_policy(UserName="look", PolicyName=name, PolicyDocument=json.dumps(document))
        key = iam.create_access_key(UserName="look")["AccessKey"]
        enforce(owner)
        settings = {
            **owner,
            "AWS_ACCESS_KEY_ID": key["AccessKeyId"],
            "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"],
            **{name: told[name] for name in ("S3_BUCKET", "SNS_TOPIC_ARN", "RETRAIN_WITH", "EC2_LAUNCH_TEMPLATE")},
        }
        with running(package, tmp_path, settings) as function:
            answer = function.invoke(arrived("inbox/day.csv"))
            assert answer.outcome == "response", answer.body
            [found] = answer.body["batches"]
            assert found["run"].startswith("ec2:i-")
            assert verdicts(function, arrived("inbox/gone.csv")) == ["gone"]
        with running(package, tmp_path, {**settings, "S3_BUCKET": "churn-drift-other"}) as function:
            refused = function.invoke(arrived("inbox/day.csv", bucket="churn-drift-other"))
        assert refused.outcome == "error"
        assert "AccessDenied" in refused.body["errorMessage"]


def test_the_log_is_lines_of_json_without_a_customer(function, account, batch):
    text = batch("batch_02", 30)
    verdicts(function, arrived(account.put("inbox/logged.csv", text)))
    line = next(line for line in function.lines if line.get("batch") == "inbox/logged.csv")
    assert (line["level"], line["message"], line["verdict"], line["rows"]) == ("INFO", "looked", "insufficient", 30)
    assert line["requestId"].startswith("request-")
    customers = [row.split(b",")[0].decode() for row in text.splitlines()[1:]]
    assert [customer for customer in customers if customer in json.dumps(function.lines)] == []
