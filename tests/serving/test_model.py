"""One row at a time or a batch, the served model answers to the bit as the pipeline scores; or it does not serve."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xgboost
from hypothesis import example, given
from hypothesis import strategies as st

from churn_drift import schema
from churn_drift.columns import Columns, take
from churn_drift.config import Train
from churn_drift.data.frames import columns_of, labels_of
from churn_drift.errors import ModelError
from churn_drift.model.bundle import Bundle, Golden, save
from churn_drift.model.features import CATEGORIES, FEATURES, encode
from churn_drift.model.inference import Booster, Scorer, columns_of_records, score
from churn_drift.model.train import fit, pack
from churn_drift.serving import forest as forest_module
from churn_drift.serving import model as model_module
from churn_drift.serving.contract import typed
from churn_drift.serving.forest import Forest
from churn_drift.serving.model import FEW, Record, ServedModel
from churn_drift.serving.reasons import sources
from churn_drift.serving.row import RowEncoder

SETTINGS = Train.model_construct(
    seed=3, trees=30, learning_rate=0.1, max_depth=6, min_child_weight=2.0, subsample=0.8, colsample_bytree=0.7,
    reg_lambda=1.0, max_cat_threshold=8, max_bin=64, folds=2,
)  # fmt: skip

numbers = (
    st.none() | st.floats(allow_nan=False, allow_infinity=False) | st.floats(-10, 1000) | st.integers(-3, 60).map(float)
)
RECORDS = st.fixed_dictionaries(
    {
        column.name: numbers
        if column.kind == "number"
        else st.sampled_from([None, "never seen", *(column.levels or ("NYCBRO917", "DALDAL214"))])
        for column in schema.RECORD
    }
)
NOTHING: Record = dict.fromkeys(column.name for column in schema.RECORD)
HUGE: Record = dict.fromkeys(schema.NUMBERS, 1e300) | dict.fromkeys(schema.CATEGORIES, "never seen")


@dataclass(frozen=True)
class World:
    """Simulated customers, a model of all their columns, and that model served.

    records   typed from JSON
    columns   the same as the pipeline has them
    """

    records: list[Record]
    columns: Columns
    bundle: Bundle
    served: ServedModel


@pytest.fixture(scope="module")
def world(raw_records: Callable[..., pd.DataFrame], clean_records: Callable[..., pd.DataFrame]) -> World:
    frame, raw = clean_records(2400), raw_records(2400)
    columns = columns_of(frame)
    bundle = bundle_of(columns, labels_of(frame), SETTINGS)
    return World(
        [record_of(cells) for cells in raw.to_dict("records")], columns, bundle, ServedModel(bundle, version="v")
    )


def bundle_of(columns: Columns, labels: Any, settings: Train) -> Bundle:
    return pack(fit(columns, labels, settings=settings), columns, profile={}, facts={}, zero_is_missing=True)


def record_of(cells: dict[str, str]) -> Record:
    """A row of a file, sent as JSON."""
    sent = {
        name: json.loads(cell)
        if schema.BY_NAME[name].kind == "number" and cell not in schema.BY_NAME[name].missing
        else cell
        for name, cell in cells.items()
    }
    values, faults = typed(json.loads(json.dumps(sent)), zero_is_missing=True)
    assert not faults
    return values


def margins(world: World, records: list[Record]) -> list[float]:
    """Of single rows, by the masks."""
    forest, encoder = Forest.of_booster(booster_of(world.bundle), world.bundle.levels), RowEncoder(world.bundle.levels)
    return [forest.margin(encoder(record)[0]) for record in records]


def booster_of(bundle: Bundle) -> xgboost.Booster:
    return Booster.of_bytes(bundle.model, bundle.levels).model


# --- no skew -----------------------------------------------------------------------------------------------------


def test_a_batch_sent_as_json_scores_to_the_bit_as_in_the_pipeline(world: World) -> None:
    pipeline = score(world.bundle, world.columns)
    found = world.served.score_columns(columns_of_records(world.records))
    assert found.margin.tolist() == pipeline.margin.tolist()
    assert found.probability.tolist() == pipeline.probability.tolist()


def test_customers_sent_one_by_one_score_to_the_bit_as_in_the_pipeline(world: World) -> None:
    pipeline = score(world.bundle, world.columns)
    answers = [world.served.score([record])[0] for record in world.records]
    assert world.served.evaluator == "masks"
    assert [answer.probability for answer in answers] == pipeline.probability.tolist()
    assert [answer.decision for answer in answers] == pipeline.decision.tolist()


def test_margins_of_the_masks_are_those_of_xgboost_to_the_bit(world: World) -> None:
    trees, types, _ = forest_module._read(booster_of(world.bundle))
    assert any(tree.categories for tree in trees)
    assert {"c", "q"} == set(types)
    assert margins(world, world.records) == score(world.bundle, world.columns).margin.tolist()


@given(record=RECORDS)
@example(record=NOTHING)
@example(record=HUGE)
@example(record=HUGE | dict.fromkeys(schema.NUMBERS, -1e300))
@example(record=NOTHING | {"MonthlyRevenue": 1e308, "PercChangeRevenues": 1e308, "TotalRecurringCharge": 0.0})
def test_any_record_is_encoded_and_scored_to_the_bit_as_in_a_batch(world: World, record: Record) -> None:
    row, strange = RowEncoder(world.bundle.levels)(record)
    columns = columns_of_records([record])
    finite = [value if np.isfinite(value) else np.nan for value in row]
    np.testing.assert_array_equal(np.array([finite], dtype=np.float32), encode(columns, world.bundle.levels))
    scores = score(world.bundle, columns)
    answer = world.served.score([record])[0]
    assert (answer.probability, answer.decision) == (scores.probability[0], scores.decision[0])
    assert set(answer.unseen) == set(strange) == {name for name, count in scores.unseen.items() if count}


@pytest.mark.parametrize("side", [-np.inf, 0, np.inf])
def test_on_and_beside_every_threshold_a_row_goes_as_xgboost_sends_it(world: World, side: float) -> None:
    booster = booster_of(world.bundle)
    forest = Forest.of_booster(booster, world.bundle.levels)
    types = booster.feature_types
    rows = []
    for place, edges in enumerate(forest.edges):
        for edge in edges[:-1] if types[place] == "c" else edges[1:-1]:
            row = np.full(len(FEATURES), np.nan, dtype=np.float32)
            value = np.float32(edge)
            row[place] = value if types[place] == "c" or not side else np.nextafter(value, np.float32(side))
            rows.append(row)
    assert len(rows) > 300
    expected = booster.inplace_predict(np.array(rows), predict_type="margin").tolist()
    assert [forest.margin(row.tolist()) for row in rows] == expected


def test_few_and_many_rows_get_the_same_answers(world: World) -> None:
    strange = {"Occupation": "Astronaut", "PrizmCode": "Moon", "ServiceArea": "nowhere"}
    kinds = ({}, strange, dict.fromkeys(strange))
    records = [record | kinds[place % 3] for place, record in enumerate(world.records[: 4 * FEW])]
    few = [answer for start in range(0, len(records), 7) for answer in world.served.score(records[start : start + 7])]
    assert few == world.served.score(records)
    assert few[1].unseen == ("PrizmCode", "Occupation")
    assert few[0].unseen == few[2].unseen == ()


def test_an_absent_field_is_missing_as_null_is(world: World) -> None:
    record = {name: value for name, value in world.records[0].items() if value is not None}
    assert len(record) < len(world.records[0])
    assert world.served.score([record]) == world.served.score([world.records[0]])
    assert world.served.score([{}]) == world.served.score([NOTHING])


def test_nobody_gets_no_answers(world: World) -> None:
    assert world.served.score([]) == []


def test_a_probability_at_the_threshold_is_decided_will_churn(world: World) -> None:
    records = world.records[:3]
    probability = [answer.probability for answer in world.served.score(records)]
    at = ServedModel(replace(world.bundle, threshold=max(probability)), version="v")
    assert [answer.decision for answer in at.score(records)] == [p == max(probability) for p in probability]


def test_scoring_does_not_change_the_records(world: World) -> None:
    before = json.dumps(world.records[:50])
    world.served.score(world.records[:5])
    world.served.score(world.records[:50])
    world.served.explain(world.records[0], top=3)
    assert json.dumps(world.records[:50]) == before


def test_threads_share_a_model(world: World) -> None:
    alone = [world.served.score([record])[0] for record in world.records[:400]]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda record: world.served.score([record])[0], world.records[:400]))
        told = list(pool.map(lambda _: world.served.explain(world.records[0], top=5), range(20)))
    assert together == alone
    assert told == [world.served.explain(world.records[0], top=5)] * 20


# --- only what is proved serves ----------------------------------------------------------------------------------


@pytest.fixture
def folder(world: World, tmp_path: Path) -> Path:
    save(world.bundle, tmp_path / "champion")
    return tmp_path / "champion"


def test_a_folder_serves_under_its_version(folder: Path, world: World) -> None:
    version = save(world.bundle, folder)
    served = ServedModel.of_folder(folder, expected=version)
    assert served.version == version == ServedModel.of_folder(folder).version
    assert (served.threshold, served.zero_is_missing) == (world.bundle.threshold, True)
    assert served.bundle == world.bundle


def test_another_version_than_expected_does_not_serve(folder: Path) -> None:
    with pytest.raises(ModelError, match="not 0123456789ab"):
        ServedModel.of_folder(folder, expected="0123456789ab")


def test_one_flipped_bit_does_not_serve(folder: Path) -> None:
    content = bytearray((folder / "model.ubj").read_bytes())
    content[len(content) // 2] ^= 1
    (folder / "model.ubj").write_bytes(content)
    with pytest.raises(ModelError, match=r"model\.ubj was altered"):
        ServedModel.of_folder(folder)


def test_a_golden_record_that_scores_otherwise_does_not_serve(folder: Path, world: World) -> None:
    first, *others = world.bundle.golden
    changed = (replace(first, probability=first.probability + 0.001), *others)
    save(replace(world.bundle, golden=changed), folder)
    with pytest.raises(ModelError, match="golden record 0 scores"):
        ServedModel.of_folder(folder)


def test_a_model_says_who_answers_single_rows_and_why(world: World) -> None:
    assert world.served.evaluator == "masks"
    assert world.served.reason == "every margin of 256 made-up rows and 5 golden records is XGBoost's to the bit"


def test_trees_of_more_than_64_leaves_are_left_to_xgboost(world: World) -> None:
    labels = np.arange(2400) % 3 == 0
    settings = SETTINGS.model_copy(update={"max_depth": 9, "trees": 3, "min_child_weight": 0.1})
    bundle = bundle_of(world.columns, labels.astype(np.float64), settings)
    served = ServedModel(bundle, version="v")
    assert served.evaluator == "xgboost"
    assert "leaves, masks hold 64" in served.reason
    expected = Scorer(bundle)(take(world.columns, np.arange(5))).probability.tolist()
    assert [answer.probability for answer in served.score(world.records[:5])] == expected


def test_a_tree_that_is_one_leaf_is_a_forest_too(world: World) -> None:
    labels = (np.arange(2400) % 3 == 0).astype(np.float64)
    bundle = bundle_of(world.columns, labels, SETTINGS.model_copy(update={"min_child_weight": 1e6, "trees": 4}))
    served = ServedModel(bundle, version="v")
    assert served.evaluator == "masks"
    assert (
        served.score(world.records[:1])[0].probability
        == score(bundle, take(world.columns, np.array([0]))).probability[0]
    )


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("LARGEST", 2**16, "the masks would take 0.2 MB, at most 0.1 are kept"),
        ("_base_margins", lambda share: [np.float32(0)], "the trees as masks give other margins than XGBoost"),
    ],
)
def test_masks_in_doubt_leave_the_rows_to_xgboost(
    world: World, monkeypatch: pytest.MonkeyPatch, name: str, value: object, reason: str
) -> None:
    monkeypatch.setattr(forest_module, name, value)
    served = ServedModel(world.bundle, version="v")
    assert served.evaluator == "xgboost"
    assert served.reason == reason
    assert served.score(world.records[:3]) == world.served.score(world.records[:3])


def test_an_encoder_that_gives_a_golden_record_another_margin_leaves_the_rows_to_xgboost(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Wrong(RowEncoder):
        def __call__(self, record: Record) -> tuple[list[float], tuple[str, ...]]:
            row, strange = super().__call__(record)
            return [value + 100 for value in row], strange

    monkeypatch.setattr(model_module, "RowEncoder", Wrong)
    served = ServedModel(world.bundle, version="v")
    assert (served.evaluator, served.reason[:15]) == ("xgboost", "a golden record")


def test_a_form_of_xgboosts_json_that_nobody_knows_is_no_forest(world: World) -> None:
    class Later(xgboost.Booster):
        def save_raw(self, raw_format: str = "ubj") -> bytearray:
            return bytearray(b'{"learner": {"gradient_booster": {"title": "trees"}}}')

    with pytest.raises(ModelError, match="writes its trees in a form unknown here"):
        Forest.of_booster(Later(), world.bundle.levels)


def test_levels_in_another_order_do_not_serve(world: World) -> None:
    swapped = {name: levels[::-1] for name, levels in world.bundle.levels.items()}
    with pytest.raises(ModelError, match="golden record"):
        ServedModel(replace(world.bundle, levels=swapped), version="v")


def test_a_model_without_golden_records_does_not_serve(world: World) -> None:
    with pytest.raises(ModelError, match="no golden records"):
        ServedModel(replace(world.bundle, golden=()), version="v")
    assert isinstance(world.bundle.golden[0], Golden)


# --- reasons -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", [0, 1, 700, 2399])
def test_all_contributions_and_the_bias_sum_up_to_the_margin(world: World, place: int) -> None:
    told = world.served.explain(world.records[place], top=len(FEATURES))
    margin = score(world.bundle, take(world.columns, np.array([place]))).margin[0]
    assert world.served.bias + sum(one.contribution for one in told) == pytest.approx(margin, abs=5e-5)


def test_the_largest_come_first_and_no_more_than_asked(world: World) -> None:
    everything = world.served.explain(world.records[3], top=len(FEATURES))
    sizes = [abs(one.contribution) for one in everything]
    assert sizes == sorted(sizes, reverse=True)
    assert world.served.explain(world.records[3], top=4) == everything[:4]
    assert sizes[0] > 0.01


def test_made_features_are_told_as_one_group_of_raw_columns(world: World) -> None:
    told = {one.feature: one for one in world.served.explain(world.records[0], top=len(FEATURES))}
    assert set(told) <= {column.name for column in schema.RECORD} | {"last bill"}
    record = NOTHING | {"MonthlyRevenue": 60.0, "PercChangeRevenues": 5.0, "TotalRecurringCharge": 30.0}
    group = next(one for one in world.served.explain(record, top=len(FEATURES)) if one.feature == "last bill")
    assert group.value is None
    assert group.text.startswith(
        "last bill (mean monthly bill: 60 USD/month; last month's bill less the mean: 5 USD/month; "
        "plan charge: 30 USD/month; mean minutes used: missing; last month's minutes less the mean: missing) "
    )


def test_the_last_bill_comes_from_five_raw_columns() -> None:
    assert sources("last bill") == (
        "MonthlyRevenue", "PercChangeRevenues", "TotalRecurringCharge", "MonthlyMinutes", "PercChangeMinutes",
    )  # fmt: skip


def test_every_feature_is_told_in_words_with_value_and_effect(world: World) -> None:
    record = NOTHING | {"MonthsInService": 11.0, "ActiveSubs": 1.0, "TruckOwner": "Yes", "Occupation": "Astronaut"}
    texts = {one.feature: one for one in world.served.explain(record, top=len(FEATURES))}
    for feature, begins in {
        "MonthsInService": "tenure: 11 months ",
        "ActiveSubs": "active subscribers on the account: 1 subscriber ",
        "TruckOwner": "owns a truck: Yes ",
        "Occupation": "occupation: Astronaut (new to the model) ",
        "HandsetPrice": "price of the handset: missing ",
    }.items():
        one = texts[feature]
        effect = "raises" if one.contribution > 0 else "lowers" if one.contribution < 0 else "does not change"
        assert one.text == f"{begins}{effect} the churn risk"
        assert one.value == record[feature]


def test_what_raises_the_risk_has_a_positive_contribution(world: World) -> None:
    # Tenure drives the simulated label; of two values the one with the larger contribution has the larger margin.
    short, long = (world.records[0] | {"MonthsInService": months} for months in (12.0, 60.0))
    effects = [
        next(
            one.contribution
            for one in world.served.explain(record, top=len(FEATURES))
            if one.feature == "MonthsInService"
        )
        for record in (short, long)
    ]
    answers = world.served.score([short, long])
    assert (effects[0] > effects[1]) == (answers[0].probability > answers[1].probability)


def test_only_columns_that_the_model_reads_count_as_unseen(world: World) -> None:
    record = NOTHING | dict.fromkeys(schema.CATEGORIES, "never seen")
    assert set(world.served.score([record])[0].unseen) == set(CATEGORIES)
