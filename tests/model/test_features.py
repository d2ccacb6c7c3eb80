import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from churn_drift import schema
from churn_drift.columns import Codes, Columns, Numbers, take
from churn_drift.model.features import CATEGORIES, ENGINEERED, FEATURES, encode, feature_types, levels_of, unseen
from churn_drift.model.inference import columns_of_records

Record = dict[str, float | str | None]


def batch(*records: Record) -> dict[str, Numbers | Codes]:
    return columns_of_records(records)


def feature(name: str, record: Record) -> float:
    columns = batch(record)
    return float(encode(columns, levels_of(columns))[0, FEATURES.index(name)])


@pytest.mark.parametrize(
    ("name", "record", "value"),
    [
        # 400 minutes a month and 100 fewer last month: 300. A bill of 50 and 10 more: 60.
        ("LastRevenuePerLastMinute", bill := {"MonthlyMinutes": 400, "PercChangeMinutes": -100, "MonthlyRevenue": 50,
                                              "PercChangeRevenues": 10, "TotalRecurringCharge": 40}, 0.2),
        ("LastRevenueOverCharge", bill, 20),
        ("LastRevenuePerCharge", bill, 1.5),
    ],
)  # fmt: skip
def test_an_engineered_feature_is_what_its_name_says(name: str, record: Record, value: float) -> None:
    assert feature(name, record) == pytest.approx(value, rel=1e-6)


def test_every_engineered_feature_is_checked_above() -> None:
    checked = {row[0] for row in test_an_engineered_feature_is_what_its_name_says.pytestmark[0].args[1]}
    assert checked == set(ENGINEERED)


@pytest.mark.parametrize("revenue", [50.0, 0.0, -3.0])
def test_division_by_zero_is_missing_without_a_warning(revenue: float) -> None:
    assert np.isnan(
        feature("LastRevenuePerCharge", {"MonthlyRevenue": revenue, "PercChangeRevenues": 0, "TotalRecurringCharge": 0})
    )


def test_a_missing_part_makes_the_feature_missing() -> None:
    assert np.isnan(feature("LastRevenuePerCharge", {"TotalRecurringCharge": 2}))
    assert np.isnan(feature("LastRevenueOverCharge", {"MonthlyRevenue": 50, "TotalRecurringCharge": 40}))


def test_what_float32_cannot_hold_is_missing_without_a_warning() -> None:
    assert np.isnan(feature("MonthlyMinutes", {"MonthlyMinutes": 1e300}))
    assert np.isnan(
        feature(
            "LastRevenuePerCharge", {"MonthlyRevenue": 1e300, "PercChangeRevenues": 0, "TotalRecurringCharge": 1e-300}
        )
    )
    assert np.isnan(feature("MonthlyMinutes", {"MonthlyMinutes": float("inf")}))


def test_codes_are_places_in_the_trained_levels_whatever_order_they_have() -> None:
    columns = batch({"Occupation": "Crafts"}, {"Occupation": "Student"}, {"Occupation": "Other"}, {})
    levels = levels_of(columns) | {"Occupation": ("Student", "Crafts", "Other")}
    codes = encode(columns, levels)[:, FEATURES.index("Occupation")]
    assert codes[:3].tolist() == [1, 0, 2]
    assert np.isnan(codes[3])


def test_the_codes_of_a_lone_record_are_those_of_the_training_rows() -> None:
    levels = levels_of(batch({"Occupation": "Crafts"}, {"Occupation": "Other"}, {"Occupation": "Student"}))
    assert encode(batch({"Occupation": "Student"}), levels)[0, FEATURES.index("Occupation")] == 2


def test_an_unseen_value_is_missing_and_counted_and_a_missing_one_is_not() -> None:
    levels = levels_of(batch({"Occupation": "Crafts", "PrizmCode": "Town"}))
    later = batch({"Occupation": "Astronaut", "PrizmCode": "Town"}, {"Occupation": None}, {"Occupation": "Crafts"})
    codes = encode(later, levels)[:, FEATURES.index("Occupation")]
    assert np.isnan(codes[:2]).all()
    assert codes[2] == 0
    counts = unseen(later, levels)
    assert (counts["Occupation"], counts["PrizmCode"]) == (1, 0)
    assert tuple(counts) == CATEGORIES


def test_levels_are_those_that_occur_sorted_by_name() -> None:
    columns = batch({"Occupation": "Other"}, {"Occupation": "Crafts"}, {"Occupation": None}, {"Occupation": "Student"})
    assert levels_of(take(columns, np.array([0, 1, 2])))["Occupation"] == ("Crafts", "Other")


def test_two_levels_are_a_number_and_three_a_category() -> None:
    columns = batch(
        {"Occupation": "Other", "RVOwner": "No"}, {"Occupation": "Crafts", "RVOwner": "Yes"}, {"Occupation": "Student"}
    )
    types = dict(zip(FEATURES, feature_types(levels_of(columns)), strict=True))
    assert (types["Occupation"], types["RVOwner"], types["MonthsInService"]) == ("c", "q", "q")
    assert encode(columns, levels_of(columns))[:2, FEATURES.index("RVOwner")].tolist() == [0, 1]


def test_no_rows_make_an_empty_matrix() -> None:
    columns = batch()
    assert encode(columns, levels_of(columns)).shape == (0, len(FEATURES))


def test_no_feature_is_an_id_a_label_or_made_after_the_risk() -> None:
    forbidden = {schema.ID, schema.LABEL} | {column.name for column in schema.COLUMNS if column.after_risk}
    assert not forbidden & set(FEATURES)
    assert len(forbidden) == 5


def test_values_of_columns_that_are_no_features_change_nothing() -> None:
    columns = batch({"MonthsInService": 3})
    more: Columns = columns | {"CustomerID": np.array([7.0]), "RetentionCalls": np.array([2.0])}
    assert encode(more, levels_of(more)).tobytes() == encode(columns, levels_of(columns)).tobytes()


def test_numbers_where_codes_belong_and_the_reverse_are_refused_by_name() -> None:
    columns = batch({"MonthsInService": 3})
    levels = levels_of(columns)
    with pytest.raises(TypeError, match="PrizmCode is a category"):
        encode(columns | {"PrizmCode": np.array([1.0])}, levels)
    with pytest.raises(TypeError, match="MonthsInService is a number"):
        encode(columns | {"MonthsInService": Codes.of(["3"])}, levels)


numbers = st.one_of(st.none(), st.sampled_from([0.0, 1.0, -5.0, 1e200]), st.floats(0, 1e4, width=32))
records = st.fixed_dictionaries(
    dict.fromkeys(schema.NUMBERS, numbers) | {"Occupation": st.sampled_from([None, "Crafts", "Other", "?"])}
)


@given(st.lists(records, min_size=1, max_size=4))
def test_a_row_is_encoded_alone_as_in_its_batch_and_the_input_stays(rows: list[Record]) -> None:
    columns = batch(*rows)
    before = {name: v.codes.tobytes() if isinstance(v, Codes) else v.tobytes() for name, v in columns.items()}
    levels = levels_of(batch({"Occupation": "Other"}, {"Occupation": "Crafts"}, {"Occupation": "Self"}))
    together = encode(columns, levels)
    assert together.dtype == np.float32
    assert not np.isinf(together).any()
    for place, row in enumerate(rows):
        assert encode(batch(row), levels).tobytes() == together[place].tobytes()
    assert before == {name: v.codes.tobytes() if isinstance(v, Codes) else v.tobytes() for name, v in columns.items()}
