"""The timeline on small real batches, real fits included."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from churn_drift import schema
from churn_drift.data.batches import BatchFolder
from churn_drift.model.compare import PairedSums
from churn_drift.policy import history
from churn_drift.policy.history import OBSERVE, History, fold_history
from tests.policy.customers import DRIFT_CHECK, Frames, first_model, fold, folder, frames


@pytest.fixture(scope="module")
def calm(tmp_path_factory: pytest.TempPathFactory) -> BatchFolder:
    return folder(tmp_path_factory.mktemp("calm") / "batches", frames())


def relabelled(parts: Frames, number: int, labels: Any) -> Frames:
    """The batches, one of them with other labels."""
    return [part.assign(**{schema.LABEL: labels}) if n == number else part for n, part in enumerate(parts)]


def shortened(parts: Frames, number: int, rows: int) -> Frames:
    return [part.head(rows) if n == number else part for n, part in enumerate(parts)]


def dicts(found: History) -> list[dict[str, Any]]:
    return [event.to_dict() for event in found.events]


# What is caught, and what is not


def test_without_drift_the_evidence_promotes_nothing(calm: BatchFolder) -> None:
    found = fold(calm)
    assert [event.promoted for event in found.events] == [None] * 4
    assert found.state.champion == "baseline"
    assert found.state.evidence.sums.rows == 4 * 600


def test_an_injected_concept_drift_is_caught_once_its_labels_are_there(tmp_path: Path) -> None:
    found = fold(folder(tmp_path / "batches", frames(concept_from=3)))
    promoted = [event for event in found.events if event.promoted]
    assert promoted[0].batch in ("batch_03", "batch_04", "batch_05")
    assert promoted[0].evidence.z > 2.33
    assert found.events[0].promoted is None


def test_a_successor_scores_the_batches_after_its_promotion(calm: BatchFolder) -> None:
    found = fold(calm, policy="periodic", period=2)
    successor = found.events[1].promoted
    assert [event.champion for event in found.events] == ["baseline", "baseline", successor, successor]
    assert [part["version"] for part in found.scores] == ["baseline", "baseline", successor, successor]
    assert not np.array_equal(found.scores[2]["probability"], history_scores(calm)[2]["probability"])


def history_scores(batches: BatchFolder) -> tuple[dict[str, Any], ...]:
    return observe(batches).scores


def observe(batches: BatchFolder) -> History:
    return fold_history(batches, ("baseline", first_model(batches)), policy=OBSERVE, drift_check=DRIFT_CHECK)


def test_observing_needs_no_fitting_and_never_promotes(calm: BatchFolder) -> None:
    found = observe(calm)
    assert {event.decision.reason for event in found.events} == {"policy never retrains"}
    assert {event.champion for event in found.events} == {"baseline"}


def test_a_policy_that_fits_needs_to_be_told_how(calm: BatchFolder) -> None:
    always = OBSERVE.model_copy(update={"policy": "always"})
    with pytest.raises(TypeError, match="only observes"):
        fold_history(calm, ("baseline", first_model(calm)), policy=always, drift_check=DRIFT_CHECK)


# Records


def test_a_record_names_the_content_of_its_batch(calm: BatchFolder) -> None:
    records = observe(calm).records(calm)
    assert [r["batch"] for r in records] == ["batch_02", "batch_03", "batch_04", "batch_05"]
    assert [r["sha256"] for r in records] == [calm.sha256(name) for name in calm.later]


def test_observations_are_reused_and_give_what_they_would_give_anew(calm: BatchFolder) -> None:
    made = observe(calm)
    kept = history.observed(made.records(calm))
    assert dicts(fold(calm, observed=kept)) == dicts(fold(calm))


def test_an_observation_is_looked_up_by_model_and_content_alone(calm: BatchFolder) -> None:
    third = observe(calm).events[1].observation
    told = replace(third, report={**third.report, "reason": "remembered"})
    key = ("baseline", calm.sha256("batch_03"))
    found = fold(calm, observed={key: told, ("baseline", "other content"): told, ("other model", key[1]): told})
    remembered = [event.batch for event in found.events if event.observation.report["reason"] == "remembered"]
    assert remembered == ["batch_03"]


def test_after_a_promotion_the_observations_are_the_new_champions(calm: BatchFolder) -> None:
    kept = history.observed(observe(calm).records(calm))
    found = fold(calm, policy="always", observed=kept, window_batches=1)
    profiled = [event.observation.report["rows_reference"] for event in found.events]
    assert profiled == [1200, 600, 600, 600]


# Batches that say little


def test_a_batch_too_small_to_judge_is_insufficient_and_no_evidence(tmp_path: Path) -> None:
    small = relabelled(shortened(frames(), 4, 3), 4, [1.0, 0.0, 0.0])
    found = fold(folder(tmp_path / "batches", small))
    event = found.events[2]
    assert event.observation.report["verdict"] == "insufficient"
    assert event.observation.drifted is False
    assert event.evidence.newest.batches[0].sums == PairedSums()
    assert event.evidence.z == found.events[1].evidence.z
    assert event.arrived[0]["performance"]["rows"] == 3


@pytest.mark.parametrize("label", [0.0, 1.0])
def test_a_batch_of_one_class_is_no_evidence(tmp_path: Path, label: float) -> None:
    found = fold(folder(tmp_path / "batches", relabelled(frames(), 3, label)))
    event = found.events[1]
    assert event.evidence.newest.batches[0].auc_gain is None
    assert event.evidence.sums == found.events[0].evidence.sums
    assert event.arrived[0]["performance"]["auc"]["value"] is None
    assert event.arrived[0]["label_drift"]["drifted"] is True


def test_a_batch_without_labels_waits_and_teaches_nothing(tmp_path: Path) -> None:
    found = fold(folder(tmp_path / "batches", relabelled(frames(), 3, np.nan)))
    assert found.state.waiting == ("batch_03",)
    assert found.events[1].arrived == ()
    assert found.events[1].evidence == found.events[0].evidence
    assert "batch_03" not in found.state.labelled


def test_of_a_batch_labelled_in_part_only_those_rows_count(tmp_path: Path) -> None:
    parts = frames()
    labels = parts[3][schema.LABEL].where(np.arange(600) < 250)
    event = fold(folder(tmp_path / "batches", relabelled(parts, 3, labels))).events[1]
    assert event.arrived[0]["performance"]["rows"] == 250
    assert event.arrived[0]["label_drift"]["rows"] == 250
    assert event.evidence.newest.batches[0].sums.rows == 250
    assert event.observation.report["rows_batch"] == 600


# No leakage


@pytest.mark.parametrize("label_delay", [0, 1])
def test_later_rows_and_labels_change_no_earlier_event(tmp_path: Path, calm: BatchFolder, label_delay: int) -> None:
    parts = frames()
    other = [*parts[:4], parts[5].head(300), parts[4]]
    found = fold(folder(tmp_path / "batches", other), policy="always", label_delay=label_delay)
    before = fold(calm, policy="always", label_delay=label_delay)
    assert dicts(found)[:2] == dicts(before)[:2]
    assert dicts(found)[2] != dicts(before)[2]


def test_the_labels_of_a_batch_change_nothing_before_they_arrive(tmp_path: Path, calm: BatchFolder) -> None:
    parts = frames()
    turned = folder(tmp_path / "batches", relabelled(parts, 4, 1 - parts[4][schema.LABEL]))
    found, before = fold(turned, policy="always", label_delay=1), fold(calm, policy="always", label_delay=1)
    assert dicts(found)[:3] == dicts(before)[:3]
    assert dicts(found)[3] != dicts(before)[3]
    assert np.array_equal(found.scores[2]["probability"], before.scores[2]["probability"])


# The cache of fits


def test_the_cache_of_fits_changes_no_record(tmp_path: Path, calm: BatchFolder) -> None:
    how: dict[str, Any] = {"policy": "evidence", "z_promote": 0.0, "z_alarmed": 0.0}
    without = dicts(fold(calm, **how))
    cold, warm = dicts(fold(calm, cache=tmp_path, **how)), dicts(fold(calm, cache=tmp_path, **how))
    assert cold == without
    assert warm == without
    assert any(record["promoted"] for record in without)


def test_damaged_files_in_the_cache_are_fitted_anew(tmp_path: Path, calm: BatchFolder) -> None:
    first = dicts(fold(calm, cache=tmp_path, policy="always"))
    for path in tmp_path.iterdir():
        path.write_bytes(path.read_bytes()[:-100])
    assert dicts(fold(calm, cache=tmp_path, policy="always")) == first
