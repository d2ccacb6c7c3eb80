"""Batches are equal and in order; an injected drift does what it says, where it says, and nothing else."""

import math

import numpy as np
import pandas as pd
import pytest

from churn_drift import schema
from churn_drift.config import Scenario, SplitBatches
from churn_drift.data.batch_generator import DRIVER, SHIFTED, split, strength
from churn_drift.errors import DataError

BATCHES, REFERENCE, ONSET = 6, 2, 3
KINDS = ("covariate", "prior", "concept")
SHAPES = ("sudden", "gradual", "recurring")


def settings(kind="none", shape="sudden", *, onset=ONSET, size=1.0, period=2, order="acquisition", seed=7):
    return SplitBatches(
        batches=BATCHES,
        reference_share=REFERENCE / BATCHES,
        order=order,
        seed=seed,
        scenario=Scenario(kind=kind, shape=shape, onset=onset, size=size, period=period),
    )


@pytest.fixture(scope="module")
def customers(clean_records):
    return clean_records(2400)


@pytest.fixture(scope="module")
def plain(customers):
    return split(customers, settings()).frames


def log_odds(frame):
    rate = frame[schema.LABEL].mean()
    return math.log(rate / (1 - rate))


def assert_same_frames(found, expected):
    for one, other in zip(found, expected, strict=True):
        pd.testing.assert_frame_equal(one, other)


# --- cutting -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rows", [6, 7, 100, 101, 599])
def test_batches_are_of_equal_size_within_one_row_and_hold_every_row_once(customers, rows):
    frames = split(customers.head(rows), settings()).frames
    sizes = [len(frame) for frame in frames]
    assert len(frames) == BATCHES
    assert sum(sizes) == rows
    assert max(sizes) - min(sizes) <= 1
    pd.testing.assert_frame_equal(pd.concat(frames, ignore_index=True), customers.head(rows))


def test_a_batch_for_every_customer_at_least(customers):
    with pytest.raises(DataError, match=r"5 customers cannot make 6 batches; lower split_batches.batches"):
        split(customers.head(5), settings())


def test_customers_come_in_order_of_acquisition(plain):
    numbers = pd.concat(plain)[schema.ID]
    assert numbers.is_monotonic_increasing


def test_shuffled_batches_hold_the_same_customers_in_another_order(customers):
    shuffled = pd.concat(split(customers, settings(order="shuffled")).frames)
    assert not shuffled[schema.ID].is_monotonic_increasing
    pd.testing.assert_frame_equal(shuffled.sort_values(schema.ID, ignore_index=True), customers)


def test_the_shuffle_has_no_drift_along_the_order(customers, plain):
    shuffled = split(customers, settings(order="shuffled")).frames
    fall = [frames[0]["MonthsInService"].mean() - frames[-2]["MonthsInService"].mean() for frames in (plain, shuffled)]
    assert fall[0] > 15
    assert abs(fall[1]) < 3


def test_the_seed_decides_the_shuffle(customers):
    first, again, other = (split(customers, settings(order="shuffled", seed=seed)).frames for seed in (1, 1, 2))
    assert_same_frames(first, again)
    assert not first[0][schema.ID].equals(other[0][schema.ID])


def test_the_argument_stays_as_it_was(customers):
    before = customers.copy()
    for kind in KINDS:
        split(customers, settings(kind))
    pd.testing.assert_frame_equal(customers, before)


# --- onset and strength ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ("sudden", [0, 0, 0, 1, 1, 1]),
        ("gradual", [0, 0, 0, 0.5, 1, 1]),
        ("recurring", [0, 0, 0, 1, 1, 0]),
    ],
)
def test_the_strength_follows_the_shape_from_the_onset_on(shape, expected):
    scenario = settings("prior", shape).scenario
    assert [strength(scenario, batch) for batch in range(BATCHES)] == expected


def test_a_recurring_drift_comes_back():
    scenario = Scenario(kind="prior", shape="recurring", onset=1, size=1.0, period=1)
    assert [strength(scenario, batch) for batch in range(5)] == [0, 1, 0, 1, 0]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", SHAPES)
def test_batches_that_carry_no_drift_stay_as_they_came(customers, plain, kind, shape):
    found = split(customers, settings(kind, shape))
    for batch in range(BATCHES):
        touched = strength(settings(kind, shape).scenario, batch) > 0
        assert found.frames[batch].equals(plain[batch]) != touched


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", SHAPES)
def test_the_truth_records_kind_shape_onset_size_and_strength(customers, kind, shape):
    scenario = settings(kind, shape).scenario
    assert split(customers, settings(kind, shape)).truth == {
        "kind": kind,
        "shape": shape,
        "onset": ONSET,
        "size": 1.0,
        "period": 2,
        "strength": [strength(scenario, batch) for batch in range(BATCHES)],
    }


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_seed_injects_the_same_drift(customers, kind):
    first, again = (split(customers, settings(kind, size=0.5, seed=3)).frames for _ in range(2))
    assert_same_frames(first, again)


@pytest.mark.parametrize("kind", ["prior", "concept"])
def test_another_seed_draws_other_rows(customers, kind):
    first, other = (split(customers, settings(kind, size=0.5, seed=seed)).frames for seed in (3, 4))
    assert not first[ONSET].equals(other[ONSET])


@pytest.mark.parametrize("kind", KINDS)
def test_what_comes_later_does_not_change_what_was_injected_before(customers, kind):
    later = customers.copy()
    rows = later.index >= len(later) * (BATCHES - 1) // BATCHES
    later.loc[rows, [*SHIFTED, schema.LABEL]] = 1.0
    assert_same_frames(
        split(later, settings(kind)).frames[: BATCHES - 1], split(customers, settings(kind)).frames[: BATCHES - 1]
    )


# --- covariate ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("shape", "share"), [("sudden", 1.0), ("gradual", 0.5), ("recurring", 1.0)])
@pytest.mark.parametrize("name", SHIFTED)
def test_a_covariate_drift_moves_values_by_size_times_the_references_deviation(customers, plain, shape, share, name):
    moved = split(customers, settings("covariate", shape, size=2.0)).frames[ONSET]
    step = 2.0 * share * pd.concat(plain[:REFERENCE])[name].std()
    difference = (moved[name] - plain[ONSET][name]).dropna()
    assert difference.to_numpy() == pytest.approx(step, abs=0.5000001 * 10 ** -schema.BY_NAME[name].decimals)


def test_a_covariate_drift_leaves_labels_and_other_columns_alone(customers, plain):
    moved = split(customers, settings("covariate")).frames[ONSET]
    pd.testing.assert_frame_equal(moved.drop(columns=[*SHIFTED]), plain[ONSET].drop(columns=[*SHIFTED]))


def test_a_covariate_drift_moves_down_too_but_not_below_what_is_legal(customers, plain):
    moved = split(customers, settings("covariate", size=-1.0)).frames[ONSET]
    assert (moved["MonthlyRevenue"] < plain[ONSET]["MonthlyRevenue"]).all()
    assert moved["MonthlyMinutes"].min() == 0
    assert moved["CurrentEquipmentDays"].min() < 0


def test_a_covariate_drift_fills_no_missing_value(customers):
    gaps = customers.copy()
    gaps.loc[::5, [*SHIFTED]] = np.nan
    moved = pd.concat(split(gaps, settings("covariate")).frames, ignore_index=True)
    assert (moved[[*SHIFTED]].isna() == gaps[[*SHIFTED]].isna()).all().all()


# --- prior -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1.0, -1.0, 0.3])
@pytest.mark.parametrize("shape", SHAPES)
def test_a_prior_drift_moves_the_log_odds_of_churn_by_size(customers, plain, size, shape):
    frames = split(customers, settings("prior", shape, size=size)).frames
    for batch, frame in enumerate(frames):
        moved = log_odds(frame) - log_odds(plain[batch])
        assert moved == pytest.approx(size * strength(settings("prior", shape).scenario, batch), abs=0.02)


@pytest.mark.parametrize(("size", "kept_whole"), [(1.0, 1.0), (-1.0, 0.0)])
def test_a_prior_drift_only_leaves_rows_of_one_class_out(customers, plain, size, kept_whole):
    frame = split(customers, settings("prior", size=size)).frames[ONSET]
    before = plain[ONSET]
    survived = before[before[schema.ID].isin(frame[schema.ID])].reset_index(drop=True)
    pd.testing.assert_frame_equal(frame, survived)
    assert (frame[schema.LABEL] == kept_whole).sum() == (before[schema.LABEL] == kept_whole).sum()


def test_a_prior_drift_of_a_batch_with_one_class_changes_nothing(customers):
    stayed = customers.assign(Churn=0.0)
    assert len(split(stayed, settings("prior")).frames[ONSET]) == 400


# --- concept -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0.3, 1.0])
@pytest.mark.parametrize("shape", SHAPES)
def test_a_concept_drift_keeps_every_feature_and_the_churn_rate(customers, plain, size, shape):
    for frame, before in zip(split(customers, settings("concept", shape, size=size)).frames, plain, strict=True):
        pd.testing.assert_frame_equal(frame.drop(columns=schema.LABEL), before.drop(columns=schema.LABEL))
        assert frame[schema.LABEL].sum() == before[schema.LABEL].sum()


def test_a_full_concept_drift_turns_the_relation_to_the_driver_round():
    labels = [0.0, 0.0, 1.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0, 0.0]
    customers = pd.DataFrame({DRIVER: np.arange(60.0), schema.LABEL: labels * 6})
    frames = split(customers, settings("concept", size=1.0)).frames
    assert frames[ONSET - 1][schema.LABEL].tolist() == labels
    assert frames[ONSET][schema.LABEL].tolist() == labels[::-1]


def test_a_concept_drift_of_half_the_size_turns_about_half_of_the_pairs():
    customers = pd.DataFrame({DRIVER: np.arange(6000.0), schema.LABEL: np.tile([0.0] * 500 + [1.0] * 500, 6)})
    frame = split(customers, settings("concept", size=0.5)).frames[ONSET]
    assert frame[schema.LABEL].head(500).mean() == pytest.approx(0.5, abs=0.07)


def test_a_concept_drift_leaves_rows_without_the_driver_alone():
    customers = pd.DataFrame({DRIVER: np.tile([1.0, 2, np.nan], 6), schema.LABEL: np.tile([0.0, 1, 1], 6)})
    assert split(customers, settings("concept", size=1.0)).frames[ONSET][schema.LABEL].tolist() == [1.0, 0.0, 1.0]


# --- labels that have not arrived --------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_rows_without_a_label_survive_without_one(customers, kind):
    unlabelled = customers.copy()
    unlabelled.loc[::3, schema.LABEL] = np.nan
    frames = split(unlabelled, settings(kind)).frames
    numbers = pd.concat([frame.loc[frame[schema.LABEL].isna(), schema.ID] for frame in frames])
    assert numbers.tolist() == unlabelled.loc[::3, schema.ID].tolist()


def test_a_prior_drift_moves_the_odds_of_the_labelled_rows(customers):
    unlabelled = customers.copy()
    unlabelled.loc[::3, schema.LABEL] = np.nan
    before = split(unlabelled, settings()).frames[ONSET]
    after = split(unlabelled, settings("prior")).frames[ONSET]
    assert log_odds(after) - log_odds(before) == pytest.approx(1.0, abs=0.03)
