from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest

from churn_drift import schema
from churn_drift.columns import Codes, Columns, take
from churn_drift.config import Train
from churn_drift.errors import ModelError
from churn_drift.model.bundle import Bundle, Calibration, Golden
from churn_drift.model.features import FEATURES
from churn_drift.model.inference import Scorer, calibrated, check_golden, columns_of_records, score
from churn_drift.model.train import fit, pack

SETTINGS = Train.model_construct(
    seed=1, trees=8, learning_rate=0.3, max_depth=3, min_child_weight=1.0, subsample=0.8, colsample_bytree=0.7,
    reg_lambda=1.0, max_cat_threshold=8, max_bin=32, folds=2,
)  # fmt: skip


def customers(rows: int) -> list[dict[str, float | str | None]]:
    """Churners of three occupations; who is in the first and who has few months leaves."""
    months = [1.0 + 5 * place % 37 for place in range(rows)]
    occupations = ["Crafts", "Other", "Student"]
    return [
        {
            "MonthsInService": month,
            "Occupation": occupations[place % 3],
            "MonthlyMinutes": 10.0 * place,
            "ServiceArea": "NYC1",
        }
        for place, month in enumerate(months)
    ]


def bundle_of(records: list[dict[str, float | str | None]]) -> Bundle:
    columns = columns_of_records(records)
    labels = np.array([float(r["Occupation"] == "Crafts" or r["MonthsInService"] < 9) for r in records])  # type: ignore[operator]
    return pack(fit(columns, labels, settings=SETTINGS), columns, profile={}, facts={}, zero_is_missing=True)


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return bundle_of(customers(120))


def test_one_row_scores_to_the_bit_as_it_does_in_the_batch(bundle: Bundle) -> None:
    batch = columns_of_records(customers(40))
    together = score(bundle, batch)
    alone = [Scorer(bundle)(take(batch, np.array([row]))).margin[0] for row in range(40)]
    assert together.margin.tolist() == alone


def test_a_record_scores_as_the_same_row_of_a_batch_with_other_level_codes(bundle: Bundle) -> None:
    records = customers(3)
    assert (
        score(bundle, columns_of_records(records)).margin[2] == score(bundle, columns_of_records(records[2:])).margin[0]
    )


def test_codes_go_by_the_trained_levels_not_by_the_order_in_which_a_batch_names_them(bundle: Bundle) -> None:
    batch = columns_of_records(customers(30))
    occupation = batch["Occupation"]
    assert isinstance(occupation, Codes)
    backwards = Codes((len(occupation.levels) - 1 - occupation.codes).astype(np.int32), occupation.levels[::-1])
    assert score(bundle, batch | {"Occupation": backwards}).margin.tolist() == score(bundle, batch).margin.tolist()


def test_an_unseen_category_is_scored_as_missing_and_counted(bundle: Bundle) -> None:
    records = customers(4)
    strange = score(bundle, columns_of_records([record | {"Occupation": "Astronaut"} for record in records]))
    absent = score(bundle, columns_of_records([record | {"Occupation": None} for record in records]))
    assert strange.margin.tolist() == absent.margin.tolist()
    assert (strange.unseen["Occupation"], absent.unseen["Occupation"]) == (4, 0)


def test_the_threshold_itself_is_decided_will_churn(bundle: Bundle) -> None:
    batch = columns_of_records(customers(10))
    probability = score(bundle, batch).probability
    at_the_highest = replace(bundle, threshold=float(probability.max()))
    assert score(at_the_highest, batch).decision.tolist() == (probability == probability.max()).tolist()


def test_a_margin_of_zero_is_one_half_before_and_after_an_identity_calibration() -> None:
    assert calibrated(np.array([0.0]), Calibration(1.0, 0.0)).tolist() == [0.5]


def test_a_calibration_halves_and_shifts_the_log_odds() -> None:
    assert calibrated(np.array([2.0]), Calibration(0.5, -1.0)).tolist() == [0.5]


def test_no_rows_give_no_scores(bundle: Bundle) -> None:
    assert score(bundle, columns_of_records([])).probability.tolist() == []


def test_two_threads_score_to_the_bit_as_one(bundle: Bundle) -> None:
    batch = columns_of_records(customers(500))
    assert Scorer(bundle, threads=2)(batch).margin.tolist() == Scorer(bundle)(batch).margin.tolist()


def test_scoring_does_not_change_its_input(bundle: Bundle) -> None:
    batch = columns_of_records(customers(20))
    before = frozen(batch)
    score(bundle, batch)
    assert frozen(batch) == before


def test_golden_records_come_out_again(bundle: Bundle) -> None:
    check_golden(bundle)
    assert len(bundle.golden) == 5


def test_a_golden_record_that_scores_otherwise_is_refused(bundle: Bundle) -> None:
    first = bundle.golden[0]
    changed = replace(bundle, golden=(Golden(first.record, 0.5),))
    with pytest.raises(ModelError, match=r"golden record 0 scores .*, was 0\.500000"):
        check_golden(changed)


def test_levels_in_another_order_are_caught_by_the_golden_records(bundle: Bundle) -> None:
    swapped = {name: levels[::-1] for name, levels in bundle.levels.items()}
    with pytest.raises(ModelError, match="golden record"):
        check_golden(replace(bundle, levels=swapped))


def test_a_model_without_golden_records_is_refused(bundle: Bundle) -> None:
    with pytest.raises(ModelError, match="no golden records"):
        check_golden(replace(bundle, golden=()))


def test_no_golden_record_is_a_customer(bundle: Bundle) -> None:
    rows = {tuple(record.get(name) for name in schema.BY_NAME) for record in customers(120)}
    assert not rows & {tuple(golden.record.get(name) for name in schema.BY_NAME) for golden in bundle.golden}


def test_a_model_made_from_other_features_is_refused_by_name(bundle: Bundle) -> None:
    with pytest.raises(ModelError, match="ShoeSize"):
        Scorer(replace(bundle, features=(*FEATURES, "ShoeSize")))
    with pytest.raises(ModelError, match="in another order"):
        Scorer(replace(bundle, features=FEATURES[::-1]))


def test_levels_that_do_not_belong_to_the_trees_are_refused(bundle: Bundle) -> None:
    with pytest.raises(ModelError, match="do not belong together"):
        Scorer(replace(bundle, levels=dict(bundle.levels) | {"Occupation": ("Crafts", "Other")}))


def frozen(columns: Columns) -> Mapping[str, object]:
    return {name: (v.codes.tobytes(), v.levels) if isinstance(v, Codes) else v.tobytes() for name, v in columns.items()}
