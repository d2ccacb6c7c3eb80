import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from churn_drift.cards.slices import AGE, TENURE, Levels, dimensions
from churn_drift.columns import Codes
from tests.cards.examples import customers


def levels_of(title: str, reference) -> Levels:
    return next(way for way in dimensions(reference) if way.title == title)


def named(way, columns) -> list[str]:
    return [way.names[place] for place in way.places(columns)]


@pytest.mark.parametrize(
    ("months", "name"),
    [
        (0, "under 11 months"),
        (10, "under 11 months"),
        (11, "11 to 12 months"),
        (12, "11 to 12 months"),
        (13, "13 to 18 months"),
        (36, "25 to 36 months"),
        (37, "37 months or more"),
        (600, "37 months or more"),
        (np.nan, "unknown"),
    ],
)
def test_a_tenure_lies_in_its_band(months, name):
    assert named(TENURE, {"MonthsInService": np.array([months])}) == [name]


def test_an_age_of_zero_is_unknown_where_it_was_left_a_number():
    assert named(AGE, {"AgeHH1": np.array([0.0, 18.0, 60.0, np.nan])}) == [
        "unknown",
        "under 30 years",
        "60 years or more",
        "unknown",
    ]


def test_a_market_is_the_first_three_letters_of_the_area():
    way = levels_of("market", customers(6, areas=["NYCBRO917", "NYCMAN917", "DALDAL214"]))
    assert way.names == ("NYC", "DAL", "others", "unknown")
    columns = {"ServiceArea": Codes.of(["NYCQUE917", "DALFTW817", "SEAPOR503", "NY", "", None])}
    assert named(way, columns) == ["NYC", "DAL", "others", "others", "others", "unknown"]


def test_which_markets_stand_for_themselves_is_settled_by_the_reference_alone():
    reference = customers(230, areas=[f"M{i:02d}" for i in range(20)] + ["M03", "M07", "M07"])
    way = levels_of("market", reference)
    assert way.names[:3] == ("M07", "M03", "M00")
    assert len(way.names) == 10 + 2
    tested = {"ServiceArea": Codes.of(["M19"] * 500)}
    assert set(named(way, tested)) == {"others"}


def test_credit_classes_come_by_name_and_new_ones_are_others():
    way = levels_of("credit class", customers(6, credit=["5-Low", "1-Highest", "1-Highest"]))
    assert way.names == ("1-Highest", "5-Low", "others", "unknown")
    assert named(way, {"CreditRating": Codes.of(["0-Royal", None])}) == ["others", "unknown"]


def test_a_level_that_is_called_unknown_is_unknown():
    way = levels_of("credit class", customers(6, credit=["unknown", "others", "1-Highest"]))
    assert way.names == ("1-Highest", "others", "unknown")
    assert named(way, {"CreditRating": Codes.of(["unknown", "others"])}) == ["unknown", "others"]


def test_a_reference_without_any_level_leaves_others_and_unknown():
    assert levels_of("market", customers(3, areas=[None])).names == ("others", "unknown")


areas = st.lists(st.one_of(st.none(), st.text(max_size=5)), min_size=1, max_size=30)
numbers = st.lists(st.one_of(st.just(np.nan), st.floats(-10, 200)), min_size=1, max_size=30)


@given(reference=areas, tested=areas, months=numbers, ages=numbers)
def test_every_row_lies_in_exactly_one_slice_of_each_dimension(reference, tested, months, ages):
    columns = {
        "MonthsInService": np.array(months),
        "AgeHH1": np.array(ages),
        "CreditRating": Codes.of(tested),
        "ServiceArea": Codes.of(tested),
    }
    for way in dimensions({"CreditRating": Codes.of(reference), "ServiceArea": Codes.of(reference)}):
        places = way.places(columns)
        assert len(places) == len(columns[way.column])
        assert set(places.tolist()) <= set(range(len(way.names)))
        assert len(set(way.names)) == len(way.names)
