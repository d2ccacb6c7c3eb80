"""The schema is whole, without contradictions, and the model's part of it holds nothing that it must not see."""

import pytest

from churn_drift import schema


def test_there_are_58_columns_and_no_name_twice():
    assert len(schema.NAMES) == 58
    assert len(set(schema.NAMES)) == 58
    assert tuple(schema.BY_NAME) == schema.NAMES


def test_there_is_one_id_and_one_label():
    assert [c.name for c in schema.COLUMNS if c.kind == "id"] == [schema.ID] == ["CustomerID"]
    assert [c.name for c in schema.COLUMNS if c.kind == "label"] == [schema.LABEL] == ["Churn"]


def test_the_record_holds_neither_id_nor_label_nor_what_comes_after_the_risk():
    left_out = set(schema.NAMES) - {c.name for c in schema.RECORD}
    assert left_out == {
        "CustomerID",
        "Churn",
        "RetentionCalls",
        "RetentionOffersAccepted",
        "MadeCallToRetentionTeam",
    }


def test_numbers_and_categories_make_up_the_record():
    assert set(schema.NUMBERS) | set(schema.CATEGORIES) == {c.name for c in schema.RECORD}
    assert not set(schema.NUMBERS) & set(schema.CATEGORIES)


@pytest.mark.parametrize("column", schema.COLUMNS, ids=lambda c: c.name)
def test_every_column_is_described_without_contradiction(column):
    assert column.description
    assert set(schema.MISSING) <= set(column.missing)
    assert not set(column.levels) & set(column.missing)
    assert len(set(column.levels)) == len(column.levels)
    assert column.minimum is None or column.maximum is None or column.minimum < column.maximum
    assert column.kind == "number" or not (column.unit or column.decimals or column.zero_is_missing)


def test_only_ages_and_the_income_band_code_unknown_as_zero():
    assert [c.name for c in schema.COLUMNS if c.zero_is_missing] == ["AgeHH1", "AgeHH2", "IncomeGroup"]


def test_unknown_is_missing_where_it_hides_a_value_and_a_level_where_it_is_the_value():
    assert [c.name for c in schema.COLUMNS if "Unknown" in c.missing] == ["HandsetPrice", "MaritalStatus"]
    assert schema.BY_NAME["Homeownership"].levels == ("Known", "Unknown")
