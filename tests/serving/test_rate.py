"""How often a key may ask: one second's worth at once, then at the rate, over all workers together."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from churn_drift.serving import keys
from churn_drift.serving.app import create_app
from churn_drift.serving.gate import Gate
from churn_drift.serving.metrics import Metrics
from churn_drift.serving.rate import Limiter
from churn_drift.serving.seat import Seat
from tests.serving.conftest import SMALL
from tests.serving.test_keys import Clock
from tests.serving.test_problems import refused


def limiter(rate: int, clock: Clock) -> Limiter:
    return Limiter(places=3, rate=rate, clock=clock)


@pytest.mark.parametrize("rate", [1, 3, 7, 200, 9_973])
@pytest.mark.parametrize("since", [0.0, 12_345.678, 3e7])
def test_a_second_s_worth_is_taken_at_once_and_one_more_is_not(rate: int, since: float) -> None:
    clock = Clock()
    clock.now = since
    asked = limiter(rate, clock)
    assert [asked.take(0) for _ in range(rate)] == [0.0] * rate
    assert 0 < asked.take(0) <= 1 / rate


def test_who_waits_as_long_as_told_is_let_in_again() -> None:
    clock = Clock()
    asked = limiter(4, clock)
    while not (wait := asked.take(0)):
        pass
    clock.now += wait - 0.001
    assert asked.take(0) == pytest.approx(0.001)
    clock.now += 0.001
    assert asked.take(0) == 0


def test_over_a_long_time_the_rate_is_kept_whatever_the_client_does() -> None:
    clock = Clock()
    asked = limiter(10, clock)
    taken = 0
    for _ in range(60 * 100):
        taken += asked.take(0) == 0
        clock.now += 0.01
    assert taken == pytest.approx(60 * 10 + 10, abs=1)


def test_a_key_s_haste_is_not_another_s() -> None:
    asked = limiter(2, Clock())
    assert [asked.take(0) > 0 for _ in range(3)] == [False, False, True]
    assert asked.take(1) == asked.take(2) == 0


def test_a_rate_of_0_is_no_limit() -> None:
    asked = limiter(0, Clock())
    assert [asked.take(0) for _ in range(1000)] == [0.0] * 1000


def test_what_one_process_has_taken_is_taken_for_its_siblings() -> None:
    asked = limiter(5, Clock())
    child = os.fork()
    if not child:
        os._exit(sum(asked.take(0) == 0 for _ in range(4)))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 4
    assert [asked.take(0) > 0 for _ in range(2)] == [False, True]


def test_a_key_that_asks_too_often_is_told_when_to_come_again(seat: Seat, tmp_path: Path) -> None:
    file, clock = tmp_path / "keys.json", Clock()
    headers = {"Authorization": f"Bearer {keys.add('billing', scopes=['predict'], path=file)}"}
    other = {"Authorization": f"Bearer {keys.add('sales', scopes=['predict'], path=file)}"}
    chosen = replace(SMALL, keys=file, rate=2)
    client = create_app(
        seat, settings=chosen, metrics=Metrics(), gate=Gate(chosen, keyed=True, clock=clock)
    ).test_client()
    answers = [client.post("/predict", json={}, headers=headers) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    found = refused(answers[2], 429, "too-often")
    assert found["detail"] == "key billing asks more than 2 times a second"
    assert client.post("/predict", json={}, headers=other).status_code == 200
    assert client.get("/health").status_code == 200
    clock.now += float(answers[2].headers["Retry-After"])
    assert client.post("/predict", json={}, headers=headers).status_code == 200
