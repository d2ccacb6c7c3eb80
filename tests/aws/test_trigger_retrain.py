"""Retraining begun on machines of AWS: once a batch, whoever asks, and told how it ended."""

import functools
import json
import os
import shlex
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from churn_drift.aws import services, trigger_retrain
from churn_drift.aws.machines import ec2_command, ec2_instance, remote_runs, sagemaker_job
from churn_drift.aws.machines.ec2_command import Command
from churn_drift.aws.machines.ec2_instance import Instance
from churn_drift.aws.machines.remote_runs import Run
from churn_drift.aws.trigger_retrain import Retraining, trainer, trigger
from churn_drift.errors import ConfigError, PipelineError
from tests.aws.emulators import BUCKET, REQUEST_LIMIT, SLOW_DOWN, Refusals, World, refusing, world
from tests.aws.fake_sagemaker import Faults, Refused


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world(tmp_path_factory.mktemp("aws")) as running:
        ec2 = running.client("ec2")
        ec2.create_launch_template(
            LaunchTemplateName="churn-drift",
            LaunchTemplateData={"ImageId": "ami-12c6146b", "InstanceType": "m5.large"},
        )
        yield running


@pytest.fixture(scope="module")
def clients() -> Callable[..., Any]:
    """boto3's, each made once: that costs more than what is asked of them."""
    return functools.cache(services.service)


@pytest.fixture
def user(aws: World, clients: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """The environment of one who retrains by an instance."""
    aws.enter(monkeypatch)
    use(clients, monkeypatch)
    for name, value in {
        "RETRAIN_WITH": "ec2",
        "EC2_LAUNCH_TEMPLATE": "churn-drift",
        "RETRAIN_REPOSITORY": "s3://churn-drift/releases/source.bundle",
        "SAGEMAKER_TRAIN_IMAGE_URI": "123456789012.dkr.ecr.us-east-1.amazonaws.com/churn-drift-train:1",
        "SAGEMAKER_ROLE_ARN": "arn:aws:iam::123456789012:role/churn-drift-sagemaker",
    }.items():
        monkeypatch.setenv(name, value)
    yield aws
    aws.sagemaker.faults = Faults()


@pytest.fixture
def batch(request: pytest.FixtureRequest) -> str:
    return f"inbox/{request.node.name}.csv"


@pytest.fixture
def job(monkeypatch: pytest.MonkeyPatch, user: World) -> World:
    """The environment of one who retrains by a training job."""
    monkeypatch.setenv("RETRAIN_WITH", "sagemaker")
    return user


def use(clients: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (ec2_command, ec2_instance, sagemaker_job, trigger_retrain):
        monkeypatch.setattr(module, "service", clients)


def service(name: str) -> Any:
    return ec2_instance.service(name)


def quick() -> Retraining:
    return trainer(os.environ, every=0.02)


def instances(batch: str) -> list[dict[str, Any]]:
    """Those of a batch, oldest attempt first."""
    filters = [{"Name": f"tag:{remote_runs.RUN_TAG}", "Values": [f"{remote_runs.key_of(batch)}-*"]}]
    found = service("ec2").describe_instances(Filters=filters)["Reservations"]
    return sorted((one["Instances"][0] for one in found), key=lambda one: tags(one)[remote_runs.RUN_TAG])


def tags(instance: dict[str, Any]) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in instance["Tags"]}


def tell(handle: str, *, code: int, told: str) -> None:
    """As the user data of an instance does at its end."""
    key = remote_runs.outcome_key(handle.rpartition("/")[2])
    service("s3").put_object(Bucket=BUCKET, Key=key, Body=json.dumps({"code": code, "told": told}).encode())


def test_a_batch_gets_one_instance_however_often_it_is_asked_for(user: World, batch: str) -> None:
    handle = trigger(batch, os.environ)
    assert trigger(batch, os.environ) == handle
    (instance,) = instances(batch)
    assert handle == f"ec2:{instance['InstanceId']}/{remote_runs.key_of(batch)}-1"
    assert tags(instance)[remote_runs.BATCH_TAG] == batch
    assert tags(instance)[remote_runs.COMMIT_TAG] == "HEAD"
    assert trigger("inbox/another.csv", os.environ) != handle


def test_who_was_killed_after_the_launch_is_followed_by_one_who_finds_the_instance(user: World, batch: str) -> None:
    launched = Instance(os.environ).begin(Run(batch, 1, "HEAD"))
    assert trigger(batch, os.environ) == f"ec2:{launched}"
    assert len(instances(batch)) == 1


def test_a_run_is_waited_for_until_its_instance_tells_how_it_ended(user: World, batch: str) -> None:
    retraining = quick()
    handle = retraining.start(batch)
    with pytest.raises(PipelineError, match=r"not done after 0 s \(instance i-\w+ is running\); it goes on"):
        retraining.wait(handle, seconds=0)
    said: list[str] = []
    waiting = threading.Thread(target=lambda: said.append(retraining.wait(handle, seconds=60)))
    waiting.start()
    tell(handle, code=0, told="promoted 0911c00f5e5b")
    waiting.join()
    assert said == [f"{handle}: promoted 0911c00f5e5b"]
    assert retraining.start(batch) == handle


def test_a_failed_run_is_followed_by_another_attempt_and_the_third_failure_ends_it(user: World, batch: str) -> None:
    retraining, handles = quick(), list[str]()
    for attempt in (1, 2, 3):
        handles.append(retraining.start(batch))
        tell(handles[-1], code=1, told=f"`git push` ended with 1: no {attempt}")
        with pytest.raises(PipelineError, match=f"failed: `git push` ended with 1: no {attempt}"):
            retraining.wait(handles[-1], seconds=60)
    assert len(set(handles)) == len(instances(batch)) == 3
    name = f"s3://{BUCKET}/locks/retrain-{remote_runs.key_of(batch)}.json"
    with pytest.raises(PipelineError, match=f"failed 3 times, last: `git push` .* no 3; mend that, then delete {name}"):
        retraining.start(batch)


def test_an_instance_that_ended_without_a_word_has_failed(user: World, batch: str) -> None:
    retraining = quick()
    handle = retraining.start(batch)
    instance = handle.partition(":")[2].partition("/")[0]
    service("ec2").terminate_instances(InstanceIds=[instance])
    with pytest.raises(PipelineError, match=f"{instance} is terminated and told no outcome .*get-console-output"):
        retraining.wait(handle, seconds=60)


def test_an_instance_that_ec2_does_not_know_yet_is_not_launched_again(
    user: World, batch: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    retraining = quick()
    handle = retraining.start(batch)
    monkeypatch.setattr(Instance, "_described", lambda self, filters: [])
    assert retraining.start(batch) == handle
    monkeypatch.setattr(trigger_retrain, "_SETTLING", 0.0)
    assert retraining.start(batch).endswith("-2")


def test_a_command_is_sent_once_and_told_by_its_own_words(
    user: World, batch: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    instance = service("ec2").run_instances(ImageId="ami-12c6146b", MinCount=1, MaxCount=1)["Instances"][0]
    monkeypatch.setenv("RETRAIN_WITH", "ssm")
    monkeypatch.setenv("EC2_INSTANCE_ID", instance["InstanceId"])
    sent = Command(os.environ).begin(Run(batch, 1, "HEAD"))
    handle = trigger(batch, os.environ)
    assert handle == f"ssm:{sent}"
    commands = service("ssm").list_commands(InstanceId=instance["InstanceId"])["Commands"]
    assert [command["Comment"] for command in commands] == [f"churn-drift {remote_runs.key_of(batch)}-1"]
    assert quick().wait(handle, seconds=60).startswith(f"{handle}: ")


def test_the_command_s_lines_reach_the_instance_s_python_as_they_are(tmp_path: Path) -> None:
    folder, batch = tmp_path / "a folder", "inbox/it's $(touch x).csv"
    (folder / ".venv/bin").mkdir(parents=True)
    python = folder / ".venv/bin/python"
    python.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    python.chmod(0o755)
    lines = ec2_command.script(Run(batch, 2, "main"), {"EC2_FOLDER": str(folder)})
    said = subprocess.run(["sh", "-c", "\n".join(lines)], capture_output=True, text=True, check=True, env={}).stdout
    key = f"{remote_runs.key_of(batch)}-2"
    module = "churn_drift.aws.machines.remote_run"
    assert said.splitlines() == ["-m", module, "--commit", "main", "--batch", batch, "--run", key]
    assert list(folder.iterdir()) == [folder / ".venv"]
    assert shlex.split(lines[-1])[-1] == key


def test_a_training_job_is_begun_once_with_our_container_and_our_sources(job: World, batch: str) -> None:
    handle = trigger(batch, os.environ)
    assert trigger(batch, os.environ) == handle
    name = handle.removeprefix("sagemaker:")
    asked = job.sagemaker.jobs[name]["asked"]
    assert asked["AlgorithmSpecification"]["TrainingImage"].endswith("churn-drift-train:1")
    assert asked["HyperParameters"] == {"batch": batch, "run": f"{remote_runs.key_of(batch)}-1", "commit": "HEAD"}
    channel = asked["InputDataConfig"][0]
    assert (channel["ChannelName"], channel["DataSource"]["S3DataSource"]["S3Uri"]) == (
        "source",
        "s3://churn-drift/releases/source.bundle",
    )
    assert set(asked["Environment"]) == {"AWS_DEFAULT_REGION", "RETRAIN_REPOSITORY", "S3_BUCKET"}
    assert len(name) <= 63


def test_a_failed_job_tells_the_service_s_reason_and_is_followed_by_another(job: World, batch: str) -> None:
    retraining = quick()
    handle = retraining.start(batch)
    job.sagemaker.jobs[handle.removeprefix("sagemaker:")].update(
        TrainingJobStatus="Failed", FailureReason="AlgorithmError: `dvc pull` ended with 1: no bucket, exit code: 1"
    )
    with pytest.raises(PipelineError, match="failed: Failed: AlgorithmError: `dvc pull` ended with 1: no bucket"):
        retraining.wait(handle, seconds=60)
    again = retraining.start(batch)
    assert again == handle.removesuffix("-1") + "-2"
    job.sagemaker.jobs[again.removeprefix("sagemaker:")].update(TrainingJobStatus="Completed")
    assert retraining.wait(again, seconds=60) == f"{again}: completed"


def test_a_job_that_was_created_before_the_answer_was_lost_is_the_one(job: World, batch: str) -> None:
    handle = f"churn-drift-{remote_runs.key_of(batch)}-1"
    job.sagemaker.jobs[handle] = {"TrainingJobStatus": "InProgress", "asked": {}}
    assert trigger(batch, os.environ) == f"sagemaker:{handle}"


def test_two_who_start_a_batch_at_once_start_it_once(job: World, batch: str) -> None:
    handles: list[str] = []
    waits = threading.Event()
    second = trainer(os.environ, every=0.02)
    leases = second._leases

    def find(name: str) -> Any:
        found = type(leases).find(leases, name)
        if found and not found.is_free:
            waits.set()
        return found

    leases.find = find  # type: ignore[method-assign]
    joined = threading.Thread(target=lambda: handles.append(second.start(batch)))

    def meanwhile() -> None:
        joined.start()
        assert waits.wait(20)

    job.sagemaker.faults.then["CreateTrainingJob"] = meanwhile
    handles.append(trigger(batch, os.environ))
    joined.join()
    assert len(set(handles)) == 1
    assert [name for name in job.sagemaker.jobs if remote_runs.key_of(batch) in name] == [handles[0].partition(":")[2]]


def test_throttling_is_waited_out(user: World, batch: str, monkeypatch: pytest.MonkeyPatch) -> None:
    use(services.service, monkeypatch)
    refusals = Refusals("POST", [(503, REQUEST_LIMIT)] * 2)
    with refusing(os.environ["AWS_ENDPOINT_URL"], refusals) as address:
        monkeypatch.setenv("AWS_ENDPOINT_URL_EC2", address)
        handle = trigger(batch, os.environ)
    assert refusals.refused == 2
    assert handle.startswith("ec2:i-")
    slow = Refusals("PUT", [(503, SLOW_DOWN)] * 2)
    with refusing(os.environ["AWS_ENDPOINT_URL"], slow) as address:
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", address)
        monkeypatch.delenv("AWS_ENDPOINT_URL_EC2")
        assert trigger(batch, os.environ) == handle
    assert slow.refused == 2


def test_throttling_without_end_is_told_and_another_call_goes_on(job: World, batch: str) -> None:
    job.sagemaker.faults.refuse["CreateTrainingJob"] = [Refused("ThrottlingException", "Rate exceeded")] * 3
    with pytest.raises(PipelineError, match="Rate exceeded"):
        trigger(batch, os.environ)
    assert trigger(batch, os.environ).startswith("sagemaker:")


def test_waiting_goes_on_while_nobody_can_be_asked(job: World, batch: str) -> None:
    retraining = quick()
    handle = retraining.start(batch)
    job.sagemaker.faults.refuse["DescribeTrainingJob"] = [Refused("ThrottlingException", "Rate exceeded")] * 3
    job.sagemaker.jobs[handle.removeprefix("sagemaker:")].update(TrainingJobStatus="Completed")
    assert retraining.wait(handle, seconds=60) == f"{handle}: completed"


def test_a_limit_of_the_account_is_told_in_the_service_s_words(job: World, batch: str) -> None:
    words = "The account-level service limit 'ml.m5.xlarge for training job usage' is 0 Instances"
    job.sagemaker.faults.refuse["CreateTrainingJob"] = [Refused("ResourceLimitExceeded", words)]
    with pytest.raises(PipelineError, match=words):
        trigger(batch, os.environ)


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"RETRAIN_WITH": ""}, "RETRAIN_WITH is not set; put RETRAIN_WITH=ec2"),
        ({"RETRAIN_WITH": "lambda"}, "'lambda' is none of ec2, ssm, sagemaker"),
        ({"EC2_LAUNCH_TEMPLATE": ""}, "EC2_LAUNCH_TEMPLATE is not set"),
        ({"RETRAIN_WITH": "ssm"}, "EC2_INSTANCE_ID is not set"),
        ({"RETRAIN_COMMIT": "--upload-pack=x"}, "names no branch, tag or commit"),
        (
            {"RETRAIN_WITH": "sagemaker", "RETRAIN_REPOSITORY": "https://me:secret@example.com/x.git"},
            "holds a password",
        ),
        ({"S3_BUCKET": ""}, "S3_BUCKET is not set"),
    ],
)
def test_a_setting_that_cannot_be_is_named_and_no_secret_told(
    user: World, batch: str, settings: dict[str, str], told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError, match=told) as error:
        trigger(batch, os.environ)
    assert "secret" not in str(error.value)


def test_a_handle_that_is_none_is_refused(user: World) -> None:
    with pytest.raises(ConfigError, match="i-0123: no handle of a run"):
        quick().wait("i-0123", seconds=0)


def test_the_lambda_needs_boto3_and_nothing_else_of_the_pipeline() -> None:
    code = (
        "import sys; import churn_drift.aws.trigger_retrain as t\n"
        "heavy = ('numpy', 'pandas', 'scipy', 'xgboost', 'dvc', 'yaml', 'pydantic', 'flask')\n"
        "print([name for name in heavy if name in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_the_command_starts_a_run_and_waits_for_it(job: World, tmp_path: Path, batch: str) -> None:
    for file in ("dvc.yaml", "params.yaml"):
        (tmp_path / file).touch()
    command = [sys.executable, "-m", "churn_drift.cli", "retrain", batch, "--aws", "--wait", "0"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    handle = done.stdout.strip()
    assert (done.returncode, handle) == (1, f"sagemaker:churn-drift-{remote_runs.key_of(batch)}-1")
    assert "not done after 0 s (InProgress, Starting); it goes on" in done.stderr
    job.sagemaker.jobs[handle.removeprefix("sagemaker:")].update(TrainingJobStatus="Completed")
    command[4] = handle
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, f"{handle}\n{handle}: completed\n")
