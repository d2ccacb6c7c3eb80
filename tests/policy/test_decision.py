import pytest

from churn_drift.model.compare import Difference, PairedSums
from churn_drift.policy.decision import Decision, Situation, decide
from churn_drift.policy.evidence import BatchEvidence, Evidence
from tests.policy.fake_world import settings

POLICIES = ("never", "always", "periodic", "triggered", "evidence", "price")


def batch(z: float, *, auc_gain: float = 0.0, rows: int = 1000) -> BatchEvidence:
    return BatchEvidence("3", PairedSums(rows, z, 1.0), Difference(auc_gain))


def situation(
    z: float = 0.0, *, auc_gain: float = 0.0, alarmed: bool = False, fresh: bool = True, steps: int = 1
) -> Situation:
    return Situation(Evidence((batch(z, auc_gain=auc_gain),)), alarmed=alarmed, fresh=fresh, steps=steps)


@pytest.mark.parametrize("policy", POLICIES)
def test_without_fresh_labels_every_policy_holds(policy: str) -> None:
    best = situation(9, auc_gain=0.5, alarmed=True, fresh=False, steps=99)
    assert not decide(settings(policy), best).promote


def test_a_hold_without_fresh_labels_says_so() -> None:
    stale = situation(9, fresh=False)
    assert decide(settings("evidence"), stale) == Decision(False, "no labels since the champion was fitted")


def test_never_holds_whatever_it_sees() -> None:
    best = situation(9, auc_gain=0.5, alarmed=True, steps=99)
    assert decide(settings("never"), best) == Decision(False, "policy never retrains")


def test_always_promotes_even_a_worse_challenger() -> None:
    worse = decide(settings("always"), situation(-9, auc_gain=-0.5))
    assert worse == Decision(True, "policy always promotes when labels arrive")


@pytest.mark.parametrize(("steps", "promote"), [(2, False), (3, True), (4, True)])
def test_periodic_promotes_from_its_period_on(steps: int, promote: bool) -> None:
    decision = decide(settings("periodic", period=3), situation(-9, steps=steps))
    assert decision == Decision(promote, f"{steps} of 3 batches since the last promotion")


@pytest.mark.parametrize(
    ("z", "alarmed", "promote", "reason"),
    [
        (2.34, False, True, "z 2.34 > 2.33 without an alarm"),
        (2.33, False, False, "z 2.33 <= 2.33 without an alarm; about 1 more labels would settle it"),
        (1.5, False, False, "z 1.50 <= 2.33 without an alarm; about 1,400 more labels would settle it"),
        (-1.5, False, False, "z -1.50 <= 2.33 without an alarm"),
        (1.01, True, True, "z 1.01 > 1 under a drift alarm"),
        (1.0, True, False, "z 1.00 <= 1 under a drift alarm; about 1 more labels would settle it"),
        (0.5, True, False, "z 0.50 <= 1 under a drift alarm; about 3,000 more labels would settle it"),
    ],
)
def test_evidence_at_below_and_above_its_limit(z: float, alarmed: bool, promote: bool, reason: str) -> None:
    decision = decide(settings("evidence"), situation(z, alarmed=alarmed))
    assert (decision.promote, decision.reason) == (promote, reason)


def test_evidence_is_what_all_batches_together_say() -> None:
    two = Evidence((batch(1.7), batch(1.7)))
    decision = decide(settings("evidence"), Situation(two, alarmed=False, fresh=True, steps=2))
    assert decision == Decision(True, "z 2.40 > 2.33 without an alarm")


def test_a_drift_alarm_alone_promotes_nothing() -> None:
    assert not decide(settings("evidence"), situation(0.0, alarmed=True)).promote
    assert not decide(settings("triggered"), situation(0.0, alarmed=True)).promote


def test_a_drift_alarm_vetoes_nothing() -> None:
    assert decide(settings("evidence"), situation(2.5, alarmed=True)).promote


@pytest.mark.parametrize(
    ("z", "alarmed", "promote", "reason"),
    [
        (9.0, False, False, "no drift alarm"),
        (1.65, True, True, "drift alarm and z 1.65 > 1.645 on the newest labels"),
        (1.645, True, False, "drift alarm, but z 1.645 <= 1.645 on the newest labels"),
        (-1.0, True, False, "drift alarm, but z -1.00 <= 1.645 on the newest labels"),
    ],
)
def test_triggered_needs_an_alarm_and_a_better_challenger(z: float, alarmed: bool, promote: bool, reason: str) -> None:
    decision = decide(settings("triggered"), situation(z, alarmed=alarmed))
    assert decision.promote == promote
    assert decision.reason.split(";")[0] == reason


def test_triggered_looks_at_the_newest_labels_only() -> None:
    past_better = Evidence((batch(9.0), batch(1.0)))
    decision = decide(settings("triggered"), Situation(past_better, alarmed=True, fresh=True, steps=2))
    assert not decision.promote


@pytest.mark.parametrize(
    ("auc_gain", "promote", "reason"),
    [
        (0.0199, False, "AUC gain 0.0199 <= price 0.02"),
        (0.02, False, "AUC gain 0.0200 <= price 0.02"),
        (0.0201, True, "AUC gain 0.0201 > price 0.02"),
        (-0.05, False, "AUC gain -0.0500 <= price 0.02"),
    ],
)
def test_price_at_below_and_above_it(auc_gain: float, promote: bool, reason: str) -> None:
    assert decide(settings("price"), situation(-9, auc_gain=auc_gain)) == Decision(promote, reason)


def test_a_reason_never_reads_as_its_own_contradiction() -> None:
    above = decide(settings("evidence"), situation(2.3301)).reason
    below = decide(settings("triggered"), situation(1.645, alarmed=True)).reason
    assert above == "z 2.3301 > 2.33 without an alarm"
    assert below.startswith("drift alarm, but z 1.645 <= 1.645 on")


def test_a_hold_counts_the_labels_that_would_settle_it() -> None:
    # z grows as the root of the rows: from 1 to 2 takes four times the 1,000.
    assert decide(settings("evidence", z_promote=2), situation(1.0)).labels_needed == 3000


def test_a_hold_at_exactly_the_limit_asks_for_one_label_more_not_for_none() -> None:
    assert decide(settings("evidence", z_promote=2), situation(2.0)).labels_needed == 1


@pytest.mark.parametrize("z", [0.0, -1.0])
def test_no_number_of_labels_settles_for_a_challenger_that_is_not_better(z: float) -> None:
    assert decide(settings("evidence"), situation(z)).labels_needed is None
