"""A raw customer in JSON is read as the training path reads it in a file; what is wrong is told in full."""

import json
import math
from collections.abc import Callable
from typing import Any

import jsonschema
import pandas as pd
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from churn_drift import schema
from churn_drift.data.preprocess import typed_cells
from churn_drift.errors import DataError
from churn_drift.schema import Column
from churn_drift.serving.contract import Fault, json_schema, typed
from churn_drift.serving.example import EXAMPLE

NUMBERS = st.floats() | st.integers() | st.integers(-3, 125) | st.floats(-1, 11)
TEXTS = st.text(max_size=200) | st.sampled_from(["Yes", "No", "Unknown", "1-Highest"])
JSON = st.none() | st.booleans() | NUMBERS | TEXTS | st.lists(st.integers()) | st.dictionaries(st.text(), st.integers())


def faults(record: object, *, zero_is_missing: bool = True, pointer: str = "") -> dict[str, str]:
    """Pointer to detail."""
    found = typed(record, zero_is_missing=zero_is_missing, pointer=pointer)[1]
    assert len({fault.pointer for fault in found}) == len(found)
    return {fault.pointer: fault.detail for fault in found}


def as_training_types(cell: str, column: Column, *, zero_is_missing: bool) -> float | str | None:
    """What `typed_cells` makes of one cell. Raises DataError."""
    found = typed_cells(pd.Series([cell], dtype="str"), column, source="x", zero_is_missing=zero_is_missing).iloc[0]
    return None if pd.isna(found) else found


def as_json(cell: str, column: Column) -> Any:
    """A cell of a file as a client sends it: text stays text, a missing code too, a number becomes one."""
    return cell if column.kind != "number" or cell in column.missing else json.loads(cell)


# --- the same as in training -------------------------------------------------------------------------------------


@pytest.mark.parametrize("column", schema.RECORD, ids=lambda column: column.name)
@given(data=st.data(), zero_is_missing=st.booleans())
def test_a_value_in_json_is_what_training_makes_of_the_same_cell(column, data, zero_is_missing):
    values = (NUMBERS if column.kind == "number" else TEXTS) | st.sampled_from(column.missing)
    value = data.draw(values)
    cell = value if isinstance(value, str) else json.dumps(value)
    found, wrong = typed({column.name: value}, zero_is_missing=zero_is_missing)
    try:
        expected = as_training_types(cell, column, zero_is_missing=zero_is_missing)
    except DataError:
        assert [fault.pointer for fault in wrong] == [f"/{column.name}"]
        assert found[column.name] is None
    else:
        assert not wrong
        assert found[column.name] == expected
        assert type(found[column.name]) in (float, str, type(None))


@pytest.mark.parametrize("zero_is_missing", [True, False])
def test_every_simulated_customer_is_what_training_makes_of_it(
    raw_records: Callable[..., pd.DataFrame], zero_is_missing
):
    raw = raw_records(2400)
    expected = {
        column.name: typed_cells(raw[column.name], column, source="x", zero_is_missing=zero_is_missing).tolist()
        for column in schema.RECORD
    }
    for place, cells in enumerate(raw.to_dict("records")):
        record = {name: as_json(cell, schema.BY_NAME[name]) for name, cell in cells.items()}
        values, wrong = typed(record, zero_is_missing=zero_is_missing)
        assert not wrong
        assert values == {n: None if pd.isna(v[place]) else v[place] for n, v in expected.items()}


def test_where_zero_codes_unknown_zero_is_the_lowest_number():
    # The fast path takes any number above 0 there, so nothing negative may be legal.
    assert {column.minimum for column in schema.RECORD if column.zero_is_missing} == {0}


# --- what is legal -----------------------------------------------------------------------------------------------


def test_a_customer_without_any_field_is_missing_everywhere():
    assert typed({}, zero_is_missing=True) == (dict.fromkeys(column.name for column in schema.RECORD), [])


@pytest.mark.parametrize("value", [None, "", "NA"])
def test_null_and_the_codes_are_missing_in_every_column(value):
    values, wrong = typed({column.name: value for column in schema.RECORD}, zero_is_missing=False)
    assert not wrong
    assert set(values.values()) == {None}


def test_unknown_is_missing_where_the_column_has_it_as_a_code():
    record = {"HandsetPrice": "Unknown", "MaritalStatus": "Unknown", "Homeownership": "Unknown"}
    values, wrong = typed(record, zero_is_missing=True)
    assert not wrong
    assert [values[name] for name in record] == [None, None, "Unknown"]


def test_whole_numbers_become_floats():
    assert repr(typed({"MonthsInService": 11}, zero_is_missing=True)[0]["MonthsInService"]) == "11.0"


def test_a_category_that_nobody_has_seen_is_legal_and_kept():
    assert typed({"Occupation": "Astronaut"}, zero_is_missing=True)[0]["Occupation"] == "Astronaut"


@pytest.mark.parametrize("letter", ["x", "é", "𝄞"])
def test_a_text_of_200_characters_is_legal_and_one_more_is_a_fault(letter):
    assert typed({"Occupation": letter * 200}, zero_is_missing=True)[0]["Occupation"] == letter * 200
    told = faults({"Occupation": letter * 201, "ServiceArea": "y" * 300})
    assert list(told) == ["/Occupation", "/ServiceArea"]
    assert told["/Occupation"].endswith("… is longer than 200 characters; shorten it, or send null for missing")
    validator = jsonschema.Draft202012Validator(json_schema())
    assert validator.is_valid({"Occupation": letter * 200})
    assert not validator.is_valid({"Occupation": letter * 201})


def test_what_is_no_column_of_a_record_is_passed_over_whatever_it_is():
    record = {
        "CustomerID": "x",
        "Churn": 3,
        "RetentionCalls": -1,
        "MadeCallToRetentionTeam": [],
        "RetentionOffersAccepted": "",
    }
    assert typed(record, zero_is_missing=True) == typed({}, zero_is_missing=True)


def test_the_values_stand_in_the_order_of_the_schema_whatever_the_order_of_the_fields():
    values, _ = typed(dict(reversed(EXAMPLE.items())), zero_is_missing=True)
    assert list(values) == [column.name for column in schema.RECORD]


def test_the_record_stays_as_it_was():
    record = {"AgeHH1": 0, "Occupation": "NA", "Handsets": "2", "CustomerID": 1}
    before = json.dumps(record)
    typed(record, zero_is_missing=True)
    assert json.dumps(record) == before


# --- what is told ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "value", "detail"),
    [
        ("AgeHH1", 130, "130 is above 120 years; send a number from 0 to 120 (years), or null for missing"),
        ("AgeHH1", -0.5, "-0.5 is below 0 years; send a number from 0 to 120 (years), or null for missing"),
        ("Handsets", -1, "-1 is below 0 handsets; send a number of 0 or more (handsets), or null for missing"),
        ("Handsets", True, "true is no number; send a number of 0 or more (handsets), or null for missing"),
        ("Handsets", [2], "a list is no number; send a number of 0 or more (handsets), or null for missing"),
        ("Handsets", {}, "an object is no number; send a number of 0 or more (handsets), or null for missing"),
        ("MonthlyRevenue", math.nan, "NaN is no number; send a number (USD/month), or null for missing"),
        ("MonthlyRevenue", -math.inf, "-Infinity is no number; send a number (USD/month), or null for missing"),
        ("MonthlyRevenue", "12.50", '"12.50" is text; send the number 12.5 without quotes'),
        ("MonthlyRevenue", "1e2", '"1e2" is text; send the number 100 without quotes'),
        (
            "MonthlyRevenue",
            10**400,
            "a whole number of more than 308 digits is above what a double holds; "
            "send a number (USD/month), or null for missing",
        ),
        (
            "IncomeGroup",
            "12",
            '"12" is text, and above 9 band; send a number from 0 to 9 (band), or null for missing',
        ),
        (
            "HandsetPrice",
            "cheap",
            '"cheap" is no number; send a number of 0 or more (USD), or null, "", "NA" or "Unknown" for missing',
        ),
        (
            "Handsets",
            "nan",
            '"nan" is no number; send a number of 0 or more (handsets), or null, "" or "NA" for missing',
        ),
        ("PrizmCode", 3, '3 is no text; send "Other", "Rural", "Suburban" or "Town", or null for missing'),
        ("TruckOwner", True, 'true is no text; send "Yes"'),
        ("TruckOwner", False, 'false is no text; send "No"'),
        ("TruckOwner", 1, '1 is no text; send "No" or "Yes", or null for missing'),
        ("ServiceArea", 917, '917 is a number; send the text "917", or null for missing'),
        ("ServiceArea", [1], "a list is no text; send market and area code, such as NYCBRO917; or null for missing"),
        ("monthly_revenue", 1, '"monthly_revenue" is no field of a customer; did you mean "MonthlyRevenue"?'),
        ("MonthlyRevenu", 1, '"MonthlyRevenu" is no field of a customer; did you mean "MonthlyRevenue"?'),
        ("ShoeSize", 1, '"ShoeSize" is no field of a customer; leave it out, or take a name from the schema'),
    ],
)  # fmt: skip
def test_a_fault_says_the_value_the_limit_and_what_is_legal(field, value, detail):
    assert typed({field: value}, zero_is_missing=True)[1] == [Fault(f"/{field}", detail)]


def test_every_fault_is_told_at_once_in_the_order_of_the_fields():
    record = {"Shoes": 1, "AgeHH1": 121, "MonthlyMinutes": 5, "PrizmCode": 3, "CustomerID": 1, "Handsets": "2"}
    assert list(faults(record, pointer="/7")) == ["/7/Shoes", "/7/AgeHH1", "/7/PrizmCode", "/7/Handsets"]


def test_right_fields_beside_a_wrong_one_keep_their_values():
    values, _ = typed({"AgeHH1": 121, "MonthlyMinutes": 5}, zero_is_missing=True)
    assert (values["AgeHH1"], values["MonthlyMinutes"]) == (None, 5.0)


def test_zero_is_a_fault_nowhere_and_minus_zero_neither():
    record = {column.name: zero for column in schema.RECORD if column.kind == "number" for zero in (0, -0.0)}
    assert not faults(record, zero_is_missing=True)
    assert not faults(record, zero_is_missing=False)


@pytest.mark.parametrize("value", [None, 3, "x", [], [{}], True])
def test_what_is_no_object_is_one_fault_of_the_whole(value):
    values, wrong = typed(value, pointer="/2", zero_is_missing=True)
    assert [fault.pointer for fault in wrong] == ["/2"]
    assert "send an object" in wrong[0].detail
    assert set(values.values()) == {None}


def test_a_name_with_slash_and_tilde_is_escaped_in_its_pointer():
    assert list(faults({"a/b~c": 1})) == ["/a~1b~0c"]


def test_a_lone_surrogate_can_be_told_in_utf8():
    (pointer, detail), *_ = faults({"\ud800": 1, "Handsets": "\ud800"}).items()
    assert (pointer.encode(), detail.encode()[:8]) == (b"/\\ud800", b'"\\ud800"')


def test_a_long_value_is_quoted_in_part():
    assert len(faults({"Handsets": "9" * 100_000})["/Handsets"]) < 200


def test_the_fourth_unknown_field_is_told_without_a_guess_unless_only_its_spelling_differs():
    told = faults({f"MonthlyMinute{letter}": 1 for letter in "abcd"} | {"monthly minutes": 1})
    assert [detail.endswith('did you mean "MonthlyMinutes"?') for detail in told.values()] == [True] * 3 + [False, True]


# --- the schema --------------------------------------------------------------------------------------------------


def test_the_schema_names_every_column_of_the_csv_and_no_other():
    document = json_schema()
    jsonschema.Draft202012Validator.check_schema(document)
    assert tuple(document["properties"]) == schema.NAMES
    assert document["additionalProperties"] is False


def test_the_schema_carries_limits_units_and_codes():
    price, age = (json_schema()["properties"][name] for name in ("HandsetPrice", "AgeHH1"))
    assert price["anyOf"] == [{"type": "number", "minimum": 0}, {"enum": [None, "", "NA", "Unknown"]}]
    assert age["anyOf"][0] == {"type": "number", "minimum": 0, "maximum": 120}
    assert (price["x-unit"], age["x-unit"]) == ("USD", "years")
    assert "price of the handset" in price["description"]


def test_the_example_has_every_column_of_a_record_and_is_legal():
    assert tuple(EXAMPLE) == tuple(column.name for column in schema.RECORD)
    assert not faults(dict(EXAMPLE))
    jsonschema.validate(dict(EXAMPLE), json_schema())


@given(st.dictionaries(st.sampled_from(schema.NAMES) | st.text(max_size=3), JSON, max_size=5))
@example({"AgeHH1": 121})
@example({"TruckOwner": 1})
@example({"MonthlyRevenue": "NA", "HandsetPrice": "Unknown"})
@example({"ShoeSize": 1})
@example({"ServiceArea": "x" * 201})
def test_what_the_schema_takes_is_what_is_typed_without_a_fault(record):
    finite = {n: v for n, v in record.items() if not (isinstance(v, float) and not math.isfinite(v))}  # no JSON
    assert jsonschema.Draft202012Validator(json_schema()).is_valid(finite) == (not faults(finite))
