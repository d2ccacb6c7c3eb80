import json
from dataclasses import asdict
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from churn_drift.config import Retrain
from churn_drift.model.compare import Difference, PairedSums
from churn_drift.policy.evidence import BatchEvidence, Evidence
from churn_drift.policy.timeline import Event, State, begin, step
from tests.policy.fake_world import Asked, FakeWorld, fold, settings, steps

POLICIES = ("never", "always", "periodic", "triggered", "evidence", "price")


def arrivals(events: list[Event]) -> dict[str, list[str]]:
    return {event.batch: [arrived["batch"] for arrived in event.arrived] for event in events}


# Who scores


def test_a_promotion_serves_from_the_next_batch_on() -> None:
    world = FakeWorld()
    events = fold(world, settings("always"), label_delay=0, last=4)
    assert [(event.batch, event.champion, event.promoted) for event in events] == [
        ("2", "first", "after 2"),
        ("3", "after 2", "after 3"),
        ("4", "after 3", "after 4"),
    ]
    assert world.about("observe") == [
        Asked("observe", "first", "2"), Asked("observe", "after 2", "3"), Asked("observe", "after 3", "4")
    ]  # fmt: skip


def test_a_batch_is_observed_before_any_label_is_asked_for() -> None:
    world = FakeWorld()
    fold(world, settings("always"), label_delay=0, last=2)
    assert [asked.what for asked in world.asked] == [
        "observe", "labels_of", "performance", "label_drift", "challenge", "refit"
    ]  # fmt: skip


def test_a_hold_changes_no_champion() -> None:
    states = steps(FakeWorld(z={"2": 2.33}), settings("evidence"), label_delay=0, last=5)
    assert {state.champion for state, _ in states} == {"first"}
    assert {event.promoted for _, event in states} == {None}


# When labels arrive


@pytest.mark.parametrize(
    ("label_delay", "arrived"),
    [
        (0, {"2": ["2"], "3": ["3"], "4": ["4"], "5": ["5"]}),
        (1, {"2": [], "3": ["2"], "4": ["3"], "5": ["4"]}),
        (2, {"2": [], "3": [], "4": ["2"], "5": ["3"]}),
        (9, {"2": [], "3": [], "4": [], "5": []}),
    ],
)
def test_labels_arrive_exactly_the_delay_after_their_batch(label_delay: int, arrived: dict[str, list[str]]) -> None:
    assert arrivals(fold(FakeWorld(), settings("never"), label_delay=label_delay, last=5)) == arrived


def test_before_the_first_labels_arrive_every_policy_holds() -> None:
    for policy in POLICIES:
        first = fold(FakeWorld(alarms=frozenset("2")), settings(policy, period=1), label_delay=1, last=2)[0]
        assert (first.decision.promote, first.arrived) == (False, ())


def test_a_batch_without_labels_waits_and_is_learnt_when_they_exist() -> None:
    world, how = FakeWorld(unlabelled={"2"}), settings("evidence")
    state, _ = step(begin("first", ["0", "1"]), "2", settings=how, label_delay=0, world=world)
    state, third = step(state, "3", settings=how, label_delay=0, world=world)
    assert (state.waiting, state.labelled) == (("2",), ("0", "1", "3"))
    world.unlabelled.clear()
    state, fourth = step(state, "4", settings=how, label_delay=0, world=world)
    assert (state.waiting, state.labelled) == ((), ("0", "1", "3", "2", "4"))
    assert arrivals([third, fourth]) == {"3": ["3"], "4": ["2", "4"]}


def test_a_batch_is_learnt_once() -> None:
    world = FakeWorld(unlabelled={"3"})
    fold(world, settings("evidence"), label_delay=1, last=6)
    assert [asked.batch for asked in world.about("challenge")] == ["2", "4", "5"]


def test_labels_that_arrive_together_are_each_challenged_with_those_before_them() -> None:
    world, how = FakeWorld(unlabelled={"2", "3"}), settings("evidence")
    state = steps(world, how, label_delay=0, last=3)[-1][0]
    world.unlabelled.clear()
    step(state, "4", settings=how, label_delay=0, world=world)
    assert [(asked.batch, asked.others) for asked in world.about("challenge")] == [
        ("2", ("0", "1")), ("3", ("0", "1", "2")), ("4", ("0", "1", "2", "3"))
    ]  # fmt: skip


# Evidence


def test_evidence_adds_up_until_it_promotes_and_starts_again_from_nothing() -> None:
    world = FakeWorld(z={"2": 1.5, "3": 1.9, "4": 1.5, "5": 1.9})
    done = steps(world, settings("evidence"), label_delay=0, last=5)
    assert [[b.batch for b in event.evidence.batches] for _, event in done] == [["2"], ["2", "3"], ["4"], ["4", "5"]]
    assert [event.promoted for _, event in done] == [None, "after 3", None, "after 5"]
    assert [len(state.evidence.batches) for state, _ in done] == [1, 0, 1, 0]


def test_after_a_promotion_the_challenger_faces_the_new_champion() -> None:
    world = FakeWorld(z={"2": 3.0})
    fold(world, settings("evidence"), label_delay=1, last=5)
    assert [(asked.version, asked.batch) for asked in world.about("challenge")] == [
        ("first", "2"), ("after 2", "3"), ("after 2", "4")
    ]  # fmt: skip


def test_the_record_of_a_promotion_holds_the_evidence_that_decided_it() -> None:
    promotion = fold(FakeWorld(z={"2": 3.0}), settings("evidence"), label_delay=0, last=2)[0].to_dict()
    assert promotion["evidence"]["z"] == 3.0
    assert (promotion["decision"], promotion["promoted"]) == ("promote", "after 2")
    assert promotion["reason"] == "z 3.00 > 2.33 without an alarm"


def test_the_periodic_policy_counts_from_its_last_promotion() -> None:
    events = fold(FakeWorld(), settings("periodic", period=2), label_delay=0, last=7)
    assert [event.batch for event in events if event.promoted] == ["3", "5", "7"]


def test_a_moved_label_rate_is_an_alarm() -> None:
    z = {"2": 1.5}
    calm = fold(FakeWorld(z=z), settings("evidence"), label_delay=0, last=2)[0]
    moved = fold(FakeWorld(z=z, label_moves=frozenset("2")), settings("evidence"), label_delay=0, last=2)[0]
    assert (calm.promoted, moved.promoted) == (None, "after 2")
    assert moved.decision.reason == "z 1.50 > 1 under a drift alarm"


# Windows


def test_the_window_all_is_everything_labelled_so_far() -> None:
    world = FakeWorld()
    fold(world, settings("always"), label_delay=1, last=4)
    assert [asked.others for asked in world.about("refit")] == [("0", "1", "2"), ("0", "1", "2", "3")]


def test_the_window_last_n_is_the_newest_labelled_batches() -> None:
    world = FakeWorld()
    fold(world, settings("always", window="last_n", window_batches=2), label_delay=1, last=4)
    assert [asked.others for asked in world.about("refit")] == [("1", "2"), ("2", "3")]


def test_a_window_longer_than_the_history_is_the_whole_of_it() -> None:
    world = FakeWorld()
    fold(world, settings("always", window="last_n", window_batches=9), label_delay=0, last=2)
    assert world.about("refit")[0].others == ("0", "1", "2")


# What is never asked


def test_a_policy_that_never_promotes_asks_for_no_fit() -> None:
    world = FakeWorld(z={"2": 9.0}, alarms=frozenset("2345"))
    fold(world, settings("never"), label_delay=0, last=5)
    assert world.about("challenge") == world.about("refit") == []
    assert len(world.about("performance")) == 4


numbers = st.integers(2, 9)
scores = st.integers(-30, 50).map(lambda tenths: tenths / 10)
batch_sets = st.frozensets(numbers.map(str))


@given(
    policy=st.sampled_from(POLICIES),
    window=st.sampled_from(["all", "last_n"]),
    label_delay=st.integers(0, 4),
    last=numbers,
    z=st.dictionaries(numbers.map(str), scores),
    alarms=batch_sets,
    unlabelled=batch_sets,
)
def test_no_step_looks_ahead(
    policy: str,
    window: str,
    label_delay: int,
    last: int,
    z: dict[str, float],
    alarms: frozenset[str],
    unlabelled: frozenset[str],
) -> None:
    """At step t no batch after t is asked for, and no label of a batch after t - delay."""
    world, how = FakeWorld(z=z, alarms=alarms, unlabelled=set(unlabelled)), settings(policy, window=window, period=1)
    state = begin("first", ["0", "1"])
    for t in range(2, last + 1):
        world.asked.clear()
        before, (state, event) = state, step(state, str(t), settings=how, label_delay=label_delay, world=world)
        assert world.about("observe") == [Asked("observe", before.champion, str(t))]
        with_labels = [asked for asked in world.asked if asked.what != "observe"]
        assert all(int(name) <= t - label_delay for asked in with_labels for name in (asked.batch, *asked.others))
        fits = world.about("challenge") + world.about("refit")
        assert all(name not in unlabelled for asked in fits for name in (asked.batch, *asked.others))
        assert all(asked.batch not in asked.others for asked in world.about("challenge"))
        assert {asked.version for asked in world.about("challenge")} <= {event.champion}


@given(
    policy=st.sampled_from(POLICIES),
    label_delay=st.integers(0, 3),
    z=st.dictionaries(numbers.map(str), scores),
    alarms=batch_sets,
)
def test_evidence_of_two_champions_is_never_added_up(
    policy: str, label_delay: int, z: dict[str, float], alarms: frozenset[str]
) -> None:
    world = FakeWorld(z=z, alarms=alarms)
    for event in fold(world, settings(policy), label_delay=label_delay, last=9):
        challenged = {asked.batch: asked.version for asked in world.about("challenge")}
        assert {challenged[b.batch] for b in event.evidence.batches} <= {event.champion}


@given(
    policy=st.sampled_from(POLICIES),
    label_delay=st.integers(0, 3),
    early=st.dictionaries(st.sampled_from("234"), scores),
    late=st.dictionaries(st.sampled_from("6789"), scores),
)
def test_what_comes_later_changes_no_earlier_event(
    policy: str, label_delay: int, early: dict[str, float], late: dict[str, float]
) -> None:
    how = settings(policy)
    short = fold(FakeWorld(z=early), how, label_delay=label_delay, last=5)
    long = fold(FakeWorld(z={**early, **late}), how, label_delay=label_delay, last=9)
    assert long[: len(short)] == short


# State


def walk(how: Retrain, *, last: int) -> State:
    world = FakeWorld(z={str(n): 0.1 + n / 7 for n in range(20)}, unlabelled={"3"})
    return steps(world, how, label_delay=1, last=last)[-1][0]


def test_a_step_leaves_the_state_it_was_given_as_it_was() -> None:
    state = walk(settings("evidence", z_promote=9), last=5)
    before = json.dumps(asdict(state))
    one = step(state, "6", settings=settings("always"), label_delay=1, world=FakeWorld())
    two = step(state, "6", settings=settings("always"), label_delay=1, world=FakeWorld())
    assert json.dumps(asdict(state)) == before
    assert one == two
    assert one[0] != state


def test_a_state_is_small_and_survives_json() -> None:
    state = walk(settings("evidence", z_promote=9), last=9)
    written = json.dumps(asdict(state))
    assert len(state.evidence.batches) == 6
    assert read(json.loads(written)) == state
    assert len(written) < 2500


def read(written: dict[str, Any]) -> State:
    """What a store of states would do; the pipeline has none, it folds the history again."""
    batches = tuple(
        BatchEvidence(b["batch"], PairedSums(**b["sums"]), Difference(**b["auc_gain"]))
        for b in written["evidence"]["batches"]
    )
    return State(
        champion=written["champion"],
        labelled=tuple(written["labelled"]),
        waiting=tuple(written["waiting"]),
        fitted=written["fitted"],
        evidence=Evidence(batches),
        steps=written["steps"],
    )
