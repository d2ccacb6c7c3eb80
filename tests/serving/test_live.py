"""The live window: what the workers count, and what adding their counts up tells."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from churn_drift.columns import Columns, Numbers, concatenate, take
from churn_drift.drift import Limits, check, fit_bins, from_json, profile, to_json
from churn_drift.errors import DataError
from churn_drift.model.bundle import save
from churn_drift.serving.live import Counts, live
from churn_drift.serving.model import ServedModel
from tests.model.test_train import customers
from tests.serving.conftest import fitted

HOUR = 3600.0
LIMITS = Limits()


def counting(seed: int, folder: Path) -> ServedModel:
    """A model with the profile of its own customers, as the pipeline makes one."""
    columns, labels = customers(600, seed=seed)
    scores = np.random.default_rng(seed).random(600)
    bins = fit_bins(columns, batch_rows=300, scores=scores)
    reference = to_json(profile(bins, columns, scores=scores, labels=labels))
    save(replace(fitted(seed), profile=reference), folder)
    return ServedModel.of_folder(folder)


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> ServedModel:
    return counting(0, tmp_path_factory.mktemp("counting") / "champion")


@pytest.fixture(scope="session")
def newer(tmp_path_factory: pytest.TempPathFactory) -> ServedModel:
    return counting(1, tmp_path_factory.mktemp("counting") / "champion")


def scored(rows: int, seed: int = 5) -> tuple[Columns, Numbers]:
    return customers(rows, seed=seed)[0], np.random.default_rng(seed).random(rows)


class Clock:
    now = 500_000 * HOUR

    def __call__(self) -> float:
        return self.now


@given(parts=st.lists(st.integers(0, 120), min_size=1, max_size=5), workers=st.integers(1, 3))
def test_the_counts_of_all_workers_are_those_of_all_rows_at_once(parts, workers, model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("live")
    counters = [Counts(folder, worker=f"w{number}", clock=Clock()) for number in range(workers)]
    batches = [scored(rows, seed) for seed, rows in enumerate(parts)]
    for number, (columns, scores) in enumerate(batches):
        counter = counters[number % workers]
        counter.serves(model)
        counter.add(model.version, columns, scores)
        counter.write()
    reference = from_json(model.bundle.profile)
    columns, scores = concatenate([c for c, _ in batches]), np.concatenate([s for _, s in batches])
    at_once = check(reference, profile(reference.bins, columns, scores=scores), limits=LIMITS).to_dict()
    assert live(folder, model, hours=1, limits=LIMITS, clock=Clock()).report == at_once


def test_customers_that_have_changed_are_told_with_the_feature_that_moved(model, tmp_path):
    columns, scores = scored(2_000)
    old = take(columns, np.asarray(columns["MonthsInService"]) > 30)
    counter = Counts(tmp_path, worker="w", clock=Clock())
    counter.serves(model)
    counter.add(model.version, old, scores[: len(old["MonthsInService"])])
    counter.write()
    report = live(tmp_path, model, hours=24, limits=replace(LIMITS, drift_share=0.0), clock=Clock()).report
    assert (report["verdict"], report["worst"]) == ("drifted", "MonthsInService")


def test_without_a_prediction_the_window_is_empty_and_says_so(model, tmp_path):
    found = live(tmp_path, model, hours=24, limits=LIMITS, clock=Clock()).to_dict()
    assert (found["verdict"], found["rows_batch"]) == ("insufficient", 0)
    assert found["window"] == {"hours": 24, "first": None, "last": None}


def test_an_hour_leaves_the_window_when_it_has_passed(model, tmp_path):
    clock = Clock()
    counter = Counts(tmp_path, worker="w", clock=clock)
    counter.serves(model)
    for _ in range(3):
        counter.add(model.version, *scored(300))
        counter.write()
        clock.now += HOUR
    rows = [live(tmp_path, model, hours=hours, limits=LIMITS, clock=clock).report["rows_batch"] for hours in (1, 2, 4)]
    assert rows == [0, 300, 900]


def test_counts_that_nobody_can_ask_for_any_more_are_removed(model, tmp_path):
    clock = Clock()
    counter = Counts(tmp_path, worker="w", clock=clock)
    counter.serves(model)
    counter.add(model.version, *scored(10))
    counter.write()
    first = [path.name for path in tmp_path.rglob("*.json")]
    clock.now += 32 * 24 * HOUR
    counter.add(model.version, *scored(10))
    counter.write()
    left = [path.name for path in tmp_path.rglob("*.json")]
    assert len(left) == 1
    assert left != first


def test_a_window_is_of_one_model_and_its_successor_starts_a_new_one(model, newer, tmp_path):
    counter = Counts(tmp_path, worker="w", clock=Clock())
    for version in (model, newer):
        counter.serves(version)
        counter.add(version.version, *scored(250))
    counter.add(model.version, *scored(50))  # was on its way when the champion changed
    counter.write()
    rows = [live(tmp_path, m, hours=1, limits=LIMITS, clock=Clock()).report["rows_batch"] for m in (model, newer)]
    assert rows == [300, 250]


def test_a_version_that_never_served_here_is_passed_over(model, tmp_path):
    counter = Counts(tmp_path, worker="w", clock=Clock())
    counter.serves(model)
    counter.add("0000deadbeef", *scored(10))
    counter.write()
    assert not list(tmp_path.rglob("*.json"))


def test_a_damaged_file_of_counts_is_named_with_the_remedy(model, tmp_path):
    counter = Counts(tmp_path, worker="w", clock=Clock())
    counter.serves(model)
    counter.add(model.version, *scored(10))
    counter.write()
    place = next(tmp_path.rglob("*.json"))
    place.write_bytes(place.read_bytes()[:100])
    with pytest.raises(DataError, match=rf"{place.name}: no counts of a worker; remove this file"):
        live(tmp_path, model, hours=1, limits=LIMITS, clock=Clock())


def test_a_file_that_is_being_replaced_is_never_read_by_half(model, tmp_path):
    """What lies beside while it is written has another name."""
    folder = tmp_path / model.version
    folder.mkdir()
    (folder / ".2026-11-23T22.w.json.7.part").write_bytes(b"{")
    assert live(tmp_path, model, hours=1, limits=LIMITS, clock=Clock()).report["rows_batch"] == 0
