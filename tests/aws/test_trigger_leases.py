"""Leases in the bucket: one holder at a time, whoever is killed, and no clock of ours counts."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from churn_drift.aws.leases import Hold, Leases, held
from churn_drift.aws.services import service
from churn_drift.errors import PipelineError
from scripts.s3_server import serve
from tests.aws.emulators import BUCKET, SLOW_DOWN, Refusals, refusing
from tests.remote.conftest import client, moto
from tests.serving.conftest import until


@pytest.fixture(scope="module")
def owner(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    with moto(tmp_path_factory.mktemp("moto")) as settings:
        client(settings).create_bucket(Bucket=BUCKET)
        yield settings


@pytest.fixture
def leases(owner: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Leases:
    for name, value in owner.items():
        monkeypatch.setenv(name, value)
    return Leases(service("s3"), BUCKET)


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    return request.node.name


def test_a_lease_that_is_held_is_given_to_nobody_else(leases: Leases, name: str) -> None:
    assert leases.take(name, seconds=60)
    assert leases.take(name, seconds=60) is None


def test_what_is_given_back_is_free_and_keeps_its_note(leases: Leases, name: str) -> None:
    with held(leases, name, seconds=60, patience=0) as hold:
        hold.remember(handle="x")
    with held(leases, name, seconds=60, patience=0) as hold:
        assert hold.note == {"handle": "x"}


def test_who_waits_in_vain_is_told_who_holds_it(leases: Leases, name: str) -> None:
    leases.take(name, seconds=60)
    told: list[str] = []
    with (
        pytest.raises(PipelineError, match=rf"{name}.json: held by \S+ {os.getpid()}, seen \d+ s ago"),
        held(leases, name, seconds=60, patience=0.1, tell=told.append),
    ):
        pass
    assert told == [f"s3://{BUCKET}/locks/{name}.json: held by another; waiting for at most 0 s"]


def test_a_killed_holder_s_lease_is_taken_over_when_its_time_is_up(leases: Leases, name: str) -> None:
    code = (
        "import sys, threading; from churn_drift.aws.leases import Leases, held;"
        "from churn_drift.aws.services import service\n"
        f"with held(Leases(service('s3'), '{BUCKET}'), sys.argv[1], seconds=2, patience=0) as hold:\n"
        "    hold.remember(done='half'); print('held', flush=True); threading.Event().wait()"
    )
    with subprocess.Popen([sys.executable, "-c", code, name], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "held\n"
            before = leases.find(name)
            assert before
            assert until(lambda: getattr(leases.find(name), "etag", "") != before.etag, seconds=20)  # it is renewed
            assert leases.take(name, seconds=60) is None
        finally:
            process.kill()
    with held(leases, name, seconds=60, patience=20) as hold:
        assert hold.note == {"done": "half"}


@pytest.mark.parametrize("there", [False, True])
def test_of_two_who_find_it_free_at_the_same_time_one_gets_it(
    leases: Leases, name: str, there: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if there:
        leases.take(name, seconds=0)
    found, late = [leases.find(name)], Leases(service("s3"), BUCKET)
    monkeypatch.setattr(late, "find", lambda name: found.pop() if found else leases.find(name))
    assert leases.take(name, seconds=60)
    assert late.take(name, seconds=60) is None


def test_who_found_it_expired_does_not_get_it_when_it_was_renewed_meanwhile(leases: Leases, name: str) -> None:
    lease = leases.take(name, seconds=0)
    stale = leases.find(name)
    assert lease
    assert stale
    assert leases.renew(lease)
    assert leases._write(name, token="t", seconds=60, note={}, IfMatch=stale.etag) is None


def test_an_object_that_is_no_lease_is_told(leases: Leases, name: str) -> None:
    service("s3").put_object(Bucket=BUCKET, Key=f"locks/{name}.json", Body=b"[]")
    with pytest.raises(PipelineError, match=rf"{name}.json: no lease of ours; delete it"):
        leases.take(name, seconds=60)


def test_a_holder_who_has_lost_it_is_told_before_the_next_step(leases: Leases, name: str) -> None:
    lease = leases.take(name, seconds=60)
    assert lease
    hold = Hold(leases, lease)
    leases._write(name, token="another", seconds=60, note={})
    hold.beat()
    with pytest.raises(PipelineError, match="lost meanwhile"):
        hold.check()
    hold.end()
    found = leases.find(name)
    assert found
    assert found.token == "another"


def test_a_holder_who_cannot_renew_in_time_stops(leases: Leases, name: str) -> None:
    lease = leases.take(name, seconds=1)
    assert lease
    hold = Hold(leases, lease)
    hold.check()
    assert until(lambda: not _checks(hold), seconds=10)


def _checks(hold: Hold) -> bool:
    try:
        hold.check()
    except PipelineError:
        return False
    return True


def test_an_answer_that_was_lost_does_not_lose_the_lease(
    leases: Leases, owner: dict[str, str], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server has written it and says 503: botocore asks again and is refused by its own first write."""
    lost = Refusals("PUT", [(503, SLOW_DOWN)], after=True)
    with refusing(owner["AWS_ENDPOINT_URL"], lost) as address:
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", address)
        lease = Leases(service("s3"), BUCKET).take(name, seconds=60)
        assert lease
        lost.waiting.append((503, SLOW_DOWN))
        assert Leases(service("s3"), BUCKET).renew(lease, note={"a": "b"})
    assert lost.refused == 2


def test_a_server_that_ignores_conditions_is_refused(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serve(tmp_path / "s3") as server:
        server.create_bucket(BUCKET)
        for variable, value in server.environment().items():
            monkeypatch.setenv(variable, value)
        with pytest.raises(PipelineError, match=f"{server.endpoint}: this S3 server ignores conditional writes"):
            Leases(service("s3"), BUCKET).take(name, seconds=60)


def test_a_bucket_that_is_not_there_is_told(leases: Leases, name: str) -> None:
    with pytest.raises(PipelineError, match=rf"s3://elsewhere/locks/{name}.json: .*make the bucket"):
        Leases(service("s3"), "elsewhere").take(name, seconds=60)
