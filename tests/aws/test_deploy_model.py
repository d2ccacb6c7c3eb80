"""A model rolled out to an endpoint: our own container answers, whatever fails on the way."""

import functools
import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from churn_drift.aws import deploy_model
from churn_drift.aws.deploy_model import SageMakerDeployer, deployer
from churn_drift.aws.endpoint import sagemaker_archive
from churn_drift.aws.leases import Leases
from churn_drift.aws.services import service
from churn_drift.commands.local_server import LocalServer
from churn_drift.errors import ConfigError, ModelError, PipelineError, VersionError
from churn_drift.model.bundle import load, save
from tests.aws.emulators import BUCKET, SLOW_DOWN, Refusals, World, refusing, world
from tests.aws.fake_sagemaker import FakeSageMaker, Faults, Refused
from tests.serving.conftest import fitted, until

THROTTLED = ("ThrottlingException", "Rate exceeded")
Roll = Callable[..., str]
Clients = Callable[..., Any]


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world(tmp_path_factory.mktemp("aws")) as running:
        yield running


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Two model directories, by version."""
    folder = tmp_path_factory.mktemp("models")
    return {save(fitted(seed), folder / str(seed)): folder / str(seed) for seed in (0, 1)}


@pytest.fixture(scope="module")
def clients() -> Clients:
    """boto3's, each made once: that costs more than what is asked of them."""
    return functools.cache(service)


@pytest.fixture
def first(models: dict[str, Path]) -> str:
    return next(iter(models))


@pytest.fixture
def second(models: dict[str, Path]) -> str:
    return [*models][1]


@pytest.fixture
def fake(
    aws: World, clients: Clients, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest, tmp_path: Path
) -> Iterator[FakeSageMaker]:
    """The service, and a user whose endpoint is called as the test is."""
    aws.enter(monkeypatch)
    monkeypatch.setenv("SAGEMAKER_ENDPOINT", re.sub(r"\W+|_", "-", request.node.name)[5:40].strip("-"))
    monkeypatch.setenv("SAGEMAKER_IMAGE_URI", "123456789012.dkr.ecr.us-east-1.amazonaws.com/churn-drift:1")
    monkeypatch.setenv("SAGEMAKER_ROLE_ARN", "arn:aws:iam::123456789012:role/churn-drift-sagemaker")
    monkeypatch.setattr(deploy_model, "service", clients)
    monkeypatch.chdir(tmp_path)
    aws.sagemaker.calls.clear()
    yield aws.sagemaker
    aws.sagemaker.faults = Faults()


def quick(*, seconds: float = 60, lease: float = 20) -> SageMakerDeployer:
    return replace(deployer(os.environ, tell=str, every=0.02), seconds=seconds, lease=lease)


@pytest.fixture
def roll(models: dict[str, Path], fake: FakeSageMaker) -> Roll:
    """`roll(version)` deploys it."""
    return lambda version, **options: quick(**options).deploy(models[version], version=version)


def let_its_lease_end() -> None:
    """As two minutes do."""
    leases = Leases(deploy_model.service("s3"), BUCKET)
    lease = leases.find(f"deploy-{name()}")
    assert lease
    assert lease.seconds > 60
    leases.renew(lease, seconds=0)


def name() -> str:
    return os.environ["SAGEMAKER_ENDPOINT"]


def answering(folder: Path, runtime: Any = None) -> tuple[str, list[float]]:
    """The version that answers, and its probabilities of a model's golden records."""
    records = [golden.record for golden in load(folder).golden]
    answer = (runtime or deploy_model.service("sagemaker-runtime", read_timeout=65)).invoke_endpoint(
        EndpointName=name(), ContentType="application/json", Body=json.dumps(records).encode()
    )
    said = json.loads(answer["Body"].read())
    return said["model_version"], [one["probability"] for one in said["predictions"]]


def test_a_first_deployment_answers_as_the_model_did_when_it_was_made(
    roll: Roll, fake: FakeSageMaker, models: dict[str, Path], first: str
) -> None:
    told = roll(first)
    assert f"answers with {first}, as its golden records say" in told
    assert answering(models[first]) == (first, [golden.probability for golden in load(models[first]).golden])
    tags = fake.endpoints[name()].tags
    assert tags == {"churn-drift:version": first, "churn-drift:data": "d", "churn-drift:params": "p"}
    config = fake.configs[fake.endpoints[name()].config]
    assert "DataCaptureConfig" not in config
    assert fake.models[config["EndpointConfigName"]]["EnableNetworkIsolation"] is True


def test_the_same_version_twice_changes_nothing(roll: Roll, fake: FakeSageMaker, first: str) -> None:
    roll(first)
    place = {"Bucket": BUCKET, "Key": f"releases/{first}/model.tar.gz"}
    stored, configs = service("s3").head_object(**place), dict(fake.configs)
    fake.calls.clear()
    roll(first)
    assert (fake.calls["CreateEndpoint"], fake.calls["UpdateEndpoint"]) == (0, 0)
    assert fake.configs == configs
    assert service("s3").head_object(**place)["LastModified"] == stored["LastModified"]


def test_another_version_takes_over_in_place_and_no_request_is_lost_meanwhile(
    roll: Roll, fake: FakeSageMaker, models: dict[str, Path], first: str, second: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SAGEMAKER_ALARMS", "endpoint-5xx, endpoint-latency")
    monkeypatch.setenv("SAGEMAKER_INSTANCE_COUNT", "2")
    monkeypatch.setenv("SAGEMAKER_CANARY_PERCENT", "50")
    roll(first)
    seen, done, runtime = list[str](), threading.Event(), service("sagemaker-runtime")

    def ask() -> None:
        while not done.wait(0.02):
            seen.append(answering(models[first], runtime)[0])

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        fake.faults.looks = 5
        roll(second)
        assert until(lambda: seen[-1] == second, seconds=20)
    finally:
        done.set()
        asking.join()
    assert seen == sorted(seen, key=[first, second].index)
    assert (fake.calls["CreateEndpoint"], fake.calls["UpdateEndpoint"]) == (1, 1)
    moved = fake.endpoints[name()].deployments[0]
    assert moved["AutoRollbackConfiguration"]["Alarms"] == [
        {"AlarmName": "endpoint-5xx"},
        {"AlarmName": "endpoint-latency"},
    ]
    assert moved["BlueGreenUpdatePolicy"]["TrafficRoutingConfiguration"]["Type"] == "CANARY"
    assert fake.endpoints[name()].tags["churn-drift:version"] == second


def test_a_container_that_refuses_its_model_leaves_the_model_before_it_answering(
    roll: Roll, fake: FakeSageMaker, models: dict[str, Path], first: str, tmp_path: Path
) -> None:
    roll(first)
    version = save(replace(load(models[first]), facts={"reason": "to be damaged"}), tmp_path / "third")

    def damage() -> None:
        model = tmp_path / "third/model.ubj"
        model.write_bytes(model.read_bytes()[:-1] + b"x")
        body = sagemaker_archive.packed(tmp_path / "third")
        service("s3").put_object(Bucket=BUCKET, Key=f"releases/{version}/model.tar.gz", Body=body)

    fake.faults.then["UpdateEndpoint"] = damage
    with pytest.raises(PipelineError, match=f"did not pass the ping health check.*; {first} answers as before"):
        quick().deploy(tmp_path / "third", version=version)
    assert answering(models[first])[0] == first


def test_answers_that_are_not_the_golden_ones_bring_the_model_before_back(
    roll: Roll, fake: FakeSageMaker, models: dict[str, Path], first: str, second: str
) -> None:
    roll(first)
    golden = [one.probability for one in load(models[second]).golden]
    said = {"model_version": second, "predictions": [{"probability": one} for one in golden]}
    said["predictions"][1]["probability"] = golden[1] + 1e-5
    fake.faults.answers = [json.dumps(said).encode()]
    with pytest.raises(PipelineError, match=f"golden record 1 scores .*; moved back, {first} answers as before"):
        roll(second)
    assert answering(models[first])[0] == first
    assert len(fake.endpoints[name()].deployments) == 2
    roll(second)
    assert answering(models[first])[0] == second


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (b'{"model_version": "0123456789ab", "predictions": []}', "0123456789ab answers, not"),
        (b'{"predictions": [1]}', "is not one of our container"),
        (b"<html>", "is not one of our container"),
    ],
)
def test_a_first_deployment_that_answers_wrongly_is_told_and_left_to_a_person(
    roll: Roll, fake: FakeSageMaker, first: str, answer: bytes, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SAGEMAKER_ENDPOINT", f"wrong-{len(fake.endpoints)}")
    fake.faults.answers = [answer]
    with pytest.raises(PipelineError, match=f"{told}.*no model before it.*delete-endpoint --endpoint-name {name()}"):
        roll(first)
    roll(first)


def test_throttling_is_waited_out_on_every_call(
    roll: Roll, fake: FakeSageMaker, models: dict[str, Path], first: str, second: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    roll(first)
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "2")
    monkeypatch.setattr(deploy_model, "service", service)
    once = ("CreateModel", "CreateEndpointConfig", "UpdateEndpoint", "AddTags")
    fake.faults.refuse = {call: [Refused(*THROTTLED)] for call in once}
    fake.faults.refuse["DescribeEndpoint"] = [Refused(*THROTTLED) for _ in range(3)]
    fake.faults.refuse["InvokeEndpoint"] = [Refused("ServiceUnavailable", "later", 503) for _ in range(3)]
    with refusing(os.environ["AWS_ENDPOINT_URL"], refusals := Refusals("PUT", [(503, SLOW_DOWN)])) as address:
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", address)
        roll(second)
    assert refusals.refused == 1
    assert not any(fake.faults.refuse.values())
    assert answering(models[first])[0] == second


def test_what_aws_refuses_for_good_is_told_in_its_words(roll: Roll, fake: FakeSageMaker, first: str) -> None:
    denied = "User: x is not authorized to perform: sagemaker:CreateModel"
    fake.faults.refuse = {"CreateModel": [Refused("AccessDeniedException", denied)]}
    with pytest.raises(PipelineError, match=f"{name()}: {denied}; `churn-drift doctor --aws`"):
        roll(first)


def test_what_takes_too_long_is_seen_through_by_the_next_call(
    roll: Roll, fake: FakeSageMaker, models: dict[str, Path], first: str, second: str
) -> None:
    roll(first)
    fake.faults.looks = 10**6
    with pytest.raises(PipelineError, match="still Updating; AWS goes on by itself"):
        roll(second, seconds=0.3)
    assert answering(models[first])[0] == first
    fake.endpoints[name()].looks = 2
    roll(second)
    assert (answering(models[first])[0], fake.calls["UpdateEndpoint"]) == (second, 1)


def test_a_change_that_somebody_else_makes_is_waited_for(
    roll: Roll, fake: FakeSageMaker, models: dict[str, Path], first: str, second: str
) -> None:
    roll(first)
    endpoint = fake.endpoints[name()]

    def interfere() -> None:
        endpoint.status, endpoint.next, endpoint.looks = "Updating", endpoint.config, 3

    fake.faults.then["UpdateEndpoint"] = interfere
    roll(second)
    assert (answering(models[first])[0], fake.calls["UpdateEndpoint"]) == (second, 2)


def test_two_who_deploy_at_once_do_it_one_after_the_other(
    roll: Roll, fake: FakeSageMaker, models: dict[str, Path], first: str, second: str
) -> None:
    roll(first)
    waits, said = list[str](), list[str]()
    other = replace(deployer(os.environ, tell=waits.append, every=0.02), seconds=60)
    joined = threading.Thread(target=lambda: said.append(other.deploy(models[second], version=second)))

    def meanwhile() -> None:
        joined.start()
        assert until(lambda: waits, seconds=20)

    fake.faults.then["CreateModel"] = meanwhile
    roll(second)
    joined.join()
    assert "held by another" in waits[0]
    assert second in said[0]
    assert fake.calls["UpdateEndpoint"] == 1


KILLED = (
    "import os, sys; from pathlib import Path;"
    "from churn_drift.aws.deploy_model import deployer;"
    "deployer(os.environ, every=.02).deploy(Path(sys.argv[1]), version=sys.argv[2])"
)


@pytest.mark.parametrize("call", ["CreateEndpointConfig", "UpdateEndpoint", "InvokeEndpoint"])
def test_who_is_killed_at_a_call_is_followed_by_one_that_goes_on(
    roll: Roll,
    fake: FakeSageMaker,
    models: dict[str, Path],
    first: str,
    second: str,
    call: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SAGEMAKER_ENDPOINT", f"killed-{call}")
    roll(first)
    process: list[subprocess.Popen[bytes]] = []
    fake.faults.then[call] = lambda: process[0].send_signal(signal.SIGKILL)
    process.append(subprocess.Popen([sys.executable, "-c", KILLED, str(models[second]), second]))
    assert process[0].wait(60) == -signal.SIGKILL
    let_its_lease_end()
    assert f"answers with {second}" in roll(second)
    assert (answering(models[first])[0], fake.calls["UpdateEndpoint"]) == (second, 1)


@pytest.mark.parametrize("instances", ["1", "2"])
def test_what_was_never_proved_is_not_gone_back_to(
    roll: Roll,
    fake: FakeSageMaker,
    models: dict[str, Path],
    first: str,
    second: str,
    instances: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The next call may want the same once more, or something else."""
    monkeypatch.setenv("SAGEMAKER_ENDPOINT", f"unproved-{instances}")
    roll(first)
    proved = fake.endpoints[name()].config
    fake.faults.refuse = {"InvokeEndpoint": [Refused("AccessDeniedException", "no")]}
    fake.faults.then["InvokeEndpoint"] = lambda: fake.faults.refuse.update(
        UpdateEndpoint=[Refused("AccessDeniedException", "no")]
    )
    with pytest.raises(PipelineError):
        roll(second)
    assert answering(models[first])[0] == second
    monkeypatch.setenv("SAGEMAKER_INSTANCE_COUNT", instances)
    fake.faults.answers = [b"{}"]
    with pytest.raises(PipelineError, match=f"moved back, {first} answers as before"):
        roll(second)
    assert fake.endpoints[name()].config == proved


def test_a_failed_endpoint_is_told_with_what_clears_it_away(roll: Roll, fake: FakeSageMaker, first: str) -> None:
    fake.faults.unfit = lambda config: True
    for _ in range(2):
        with pytest.raises(PipelineError, match=f"{name()} is Failed.*ping health check.*delete-endpoint"):
            roll(first)


def test_old_configurations_go_once_a_newer_one_answers(
    roll: Roll, fake: FakeSageMaker, first: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = []
    for count in range(1, 6):
        monkeypatch.setenv("SAGEMAKER_INSTANCE_COUNT", str(count))
        roll(first)
        names.append(fake.endpoints[name()].config)
    assert [one for one in fake.configs if one in names] == names[2:]
    assert [one for one in fake.models if one in names] == names[2:]
    monkeypatch.setenv("SAGEMAKER_INSTANCE_COUNT", "6")
    fake.faults.unfit = lambda config: True
    with pytest.raises(PipelineError):
        roll(first)
    assert [one for one in fake.configs if one in names] == names[2:]


def test_a_folder_with_another_version_is_not_deployed(
    fake: FakeSageMaker, models: dict[str, Path], first: str, second: str
) -> None:
    with pytest.raises(ModelError, match=f"holds version {second}, not {first}"):
        quick().deploy(models[second], version=first)
    assert fake.calls == {}


def test_the_same_model_makes_the_same_archive(models: dict[str, Path], first: str, tmp_path: Path) -> None:
    save(load(models[first]), tmp_path / "again")
    os.utime(tmp_path / "again/model.ubj", (0, 0))
    (tmp_path / "again/model.ubj").chmod(0o600)
    assert sagemaker_archive.packed(tmp_path / "again") == sagemaker_archive.packed(models[first])


@pytest.mark.parametrize(
    ("variable", "value", "told"),
    [
        ("SAGEMAKER_ENDPOINT", "", "SAGEMAKER_ENDPOINT is not set"),
        ("SAGEMAKER_ENDPOINT", "a_b", "no name"),
        ("SAGEMAKER_IMAGE_URI", "", "SAGEMAKER_IMAGE_URI is not set"),
        ("SAGEMAKER_CANARY_PERCENT", "20", "one instance cannot be shared out"),
        ("SAGEMAKER_INSTANCE_COUNT", "two", "'two' is no whole number from 1 to 100"),
    ],
)
def test_a_setting_that_cannot_be_is_named(
    fake: FakeSageMaker, variable: str, value: str, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(ConfigError, match=told):
        deployer(os.environ)


def test_the_command_deploys_the_champion(fake: FakeSageMaker, models: dict[str, Path], first: str) -> None:
    repository(models[first], version=first)
    done = churn_drift("deploy", "--aws")
    assert done.stdout.splitlines()[-1].startswith(f"{name()} answers with {first}, as its golden records say")
    assert fake.endpoints[name()].tags["churn-drift:commit"] == "c0ffee"


def test_the_command_asks_the_server_here_in_local_mode(
    roll: Roll, fake: FakeSageMaker, models: dict[str, Path], first: str, second: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    roll(first)
    container = fake.containers[fake.endpoints[name()].config]
    repository(models[first], version=first)
    monkeypatch.setenv("SERVE_URL", f"http://127.0.0.1:{container.server.port}/")
    assert churn_drift("deploy").stdout == f"http://127.0.0.1:{container.server.port} answers with {first}\n"
    server = LocalServer(f"http://127.0.0.1:{container.server.port}", seconds=0.1)
    with pytest.raises(VersionError, match=f"serves the champion, {first}; `churn-drift models rollback {second}`"):
        server.deploy(models[second], version=second)
    save(load(models[second]), Path("models/champion"))
    with pytest.raises(PipelineError, match=f"serves {first}, not {second}, after 0 s"):
        server.deploy(models[second], version=second)
    with pytest.raises(PipelineError, match=r"no server of ours answers .*`python serve-model\.py` starts one"):
        LocalServer("http://127.0.0.1:9").deploy(models[second], version=second)


def repository(model: Path, *, version: str) -> None:
    """Here: a champion and its line in the ledger."""
    for file in ("dvc.yaml", "params.yaml"):
        Path(file).touch()
    save(load(model), Path("models/champion"))
    line = {"at": "2026-11-23T12:00:00+00:00", "version": version, "commit": "c0ffee", "action": "promote"}
    Path("models/ledger.jsonl").write_text(json.dumps(line) + "\n")


def churn_drift(*arguments: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-m", "churn_drift.cli", *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done
