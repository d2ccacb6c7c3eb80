import json
from dataclasses import replace

import numpy as np
import pytest
from scipy.special import expit

from churn_drift.data.scores import Scored
from churn_drift.policy.comparison import compare, metrics

ROWS, BATCHES = 300, ("2", "3", "4", "5")


def timeline(version: str, *, noise: float) -> list[Scored]:
    """Four batches, the same customers for every version, seen through its noise."""
    found = []
    for batch in BATCHES:
        customers, own = np.random.default_rng(int(batch)), np.random.default_rng(100 + int(batch))
        truth = customers.normal(size=ROWS) - 1
        labels = (customers.random(ROWS) < expit(truth)).astype(np.float64)
        found.append(Scored(batch, version, expit(truth + noise * own.normal(size=ROWS)), labels))
    return found


WORSE, BETTER = timeline("baseline", noise=5.0), timeline("model_1", noise=0.1)


def unlabelled(scored: Scored) -> Scored:
    return replace(scored, labels=np.full(ROWS, np.nan))


def with_labels(timeline: list[Scored], place: int, labels: list[float]) -> list[Scored]:
    known = np.concatenate([labels, np.full(ROWS - len(labels), np.nan)])
    return [replace(s, labels=known) if n == place else s for n, s in enumerate(timeline)]


def test_equal_timelines_gain_nothing() -> None:
    comparison = compare(WORSE, WORSE, confidence=0.95)
    assert (comparison.gain.value, comparison.gain.low, comparison.gain.high) == (0.0, 0.0, 0.0)
    assert comparison.verdict == "equal"


def test_a_better_policy_is_better_by_an_interval_above_zero() -> None:
    comparison = compare(WORSE, BETTER, confidence=0.95)
    assert comparison.verdict == "better"
    assert 0 < comparison.gain.low < comparison.gain.value < comparison.gain.high  # type: ignore[operator]


def test_a_worse_policy_is_worse_by_the_same_gain_below_zero() -> None:
    better, worse = compare(WORSE, BETTER, confidence=0.95), compare(BETTER, WORSE, confidence=0.95)
    assert worse.verdict == "worse"
    assert worse.gain.value == -better.gain.value  # type: ignore[operator]


def test_a_difference_that_the_interval_does_not_settle_is_no_difference() -> None:
    nearly = timeline("model_1", noise=0.11)
    comparison = compare(BETTER, nearly, confidence=0.999)
    assert comparison.gain.value != 0
    assert comparison.verdict == "equal"


def test_the_first_batch_is_in_the_table_but_not_in_the_means() -> None:
    few = [1.0, 0.0, 1.0, 0.0]
    one = compare(WORSE, BETTER, confidence=0.95)
    two = compare(with_labels(WORSE, 0, few), with_labels(BETTER, 0, few), confidence=0.95)
    assert [b.batch for b in two.batches] == ["2", "3", "4", "5"]
    assert (one.gain, one.policy) == (two.gain, two.policy)


def test_the_mean_gain_is_the_unweighted_mean_of_the_batches_after_the_first() -> None:
    comparison = compare(WORSE, BETTER, confidence=0.95)
    gains = [b.difference.value for b in comparison.batches[1:]]
    assert comparison.gain.value == pytest.approx(sum(gains) / 3)  # type: ignore[arg-type]


def test_rows_of_two_models_are_never_ranked_together() -> None:
    scaled = [replace(s, probabilities=s.probabilities / (n + 1)) for n, s in enumerate(BETTER)]
    assert compare(WORSE, scaled, confidence=0.95).policy == compare(WORSE, BETTER, confidence=0.95).policy


def test_a_batch_without_labels_is_left_out_of_every_mean() -> None:
    never, policy = [*WORSE[:3], unlabelled(WORSE[3])], [*BETTER[:3], unlabelled(BETTER[3])]
    some, fewer = compare(never, policy, confidence=0.95), compare(WORSE[:3], BETTER[:3], confidence=0.95)
    assert (some.gain, some.never, some.policy, some.verdict) == (fewer.gain, fewer.never, fewer.policy, "better")
    last = some.batches[3]
    assert (last.rows, last.labelled, last.churn_rate, last.policy.value) == (ROWS, 0, None, None)
    assert metrics(some, policy, promotions=1) == metrics(fewer, BETTER[:3], promotions=1)


@pytest.mark.parametrize("labels", [[1.0, 1.0, 1.0], [1.0, 0.0, 0.0, 0.0], [1.0, 0.0]])
def test_a_handful_of_labels_takes_no_verdict_from_the_other_batches(labels: list[float]) -> None:
    never, policy = with_labels(WORSE, 3, labels), with_labels(BETTER, 3, labels)
    comparison = compare(never, policy, confidence=0.95)
    assert comparison.gain == compare(WORSE[:3], BETTER[:3], confidence=0.95).gain
    assert comparison.verdict == "better"
    assert comparison.batches[3].labelled == len(labels)


def test_without_any_labels_nothing_is_known_and_nothing_fails() -> None:
    never, policy = [unlabelled(s) for s in WORSE], [unlabelled(s) for s in BETTER]
    comparison = compare(never, policy, confidence=0.95)
    assert (comparison.gain.value, comparison.verdict) == (None, "equal")
    found = metrics(comparison, policy, promotions=0)
    assert {name for name, value in found.items() if value is not None} == {"promotions"}


def test_timelines_of_different_length_are_refused() -> None:
    with pytest.raises(ValueError, match="zip"):
        compare(WORSE, BETTER[:3], confidence=0.95)


def test_the_metrics_are_stable_names_and_four_decimals() -> None:
    comparison = compare(WORSE, BETTER, confidence=0.95)
    found = metrics(comparison, BETTER, promotions=2)
    assert list(found) == [
        "auc_never",
        "auc_policy",
        "gain",
        "gain_low",
        "gain_high",
        "promotions",
        "pr_auc",
        "brier",
        "lift_top_decile",
    ]
    assert found["promotions"] == 2
    assert found["gain"] == round(comparison.gain.value, 4)  # type: ignore[call-overload]
    assert json.loads(json.dumps(found)) == found == {name: round(value, 4) for name, value in found.items()}
