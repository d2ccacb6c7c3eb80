"""Raw cells become typed ones; what can be mended is mended and counted, what cannot is refused by its place."""

import numpy as np
import pandas as pd
import pytest

from churn_drift import schema
from churn_drift.data import preprocess as module
from churn_drift.data.preprocess import check_columns
from churn_drift.errors import DataError


def preprocess(raw, *, zero_is_missing=True):
    return module.preprocess(raw, source="customers.csv", zero_is_missing=zero_is_missing)


def refusal(raw):
    with pytest.raises(DataError) as refused:
        preprocess(raw)
    assert "\n" not in str(refused.value)
    return str(refused.value)


@pytest.fixture
def raw(raw_records):
    return raw_records(6)


@pytest.fixture
def cell(raw):
    """`cell(column, text)`: the clean value of that raw cell."""

    def clean(column, text, *, zero_is_missing=True):
        return preprocess(with_cell(raw, column, text), zero_is_missing=zero_is_missing).frame[column].iloc[2]

    return clean


def with_cell(raw, column, text, row=2):
    changed = raw.copy()
    changed.loc[row, column] = text
    return changed


# --- types and sentinels -----------------------------------------------------------------------------------------


def test_numbers_are_float64_categories_text_and_the_label_one_or_zero(raw):
    frame = preprocess(raw).frame
    assert tuple(frame.columns) == schema.NAMES
    assert frame[schema.ID].dtype == np.int64
    assert all(frame[name].dtype == np.float64 for name in (*schema.NUMBERS, schema.LABEL))
    assert all(frame[name].dtype == "str" for name in schema.CATEGORIES)
    assert frame[schema.LABEL].tolist() == [float(label == "Yes") for label in raw[schema.LABEL]]


def test_cells_that_say_unknown_in_the_files_own_code_are_counted_by_column(raw):
    known = raw.assign(AgeHH1="40", AgeHH2="40", IncomeGroup="5", HandsetPrice="100", MaritalStatus="Yes")
    told = known.assign(AgeHH1=["0", "0", "40", "", "NA", "0"], MaritalStatus="Unknown", MonthlyRevenue="NA")
    assert preprocess(told).sentinels == {"AgeHH1": 3, "MaritalStatus": 6}
    assert preprocess(told, zero_is_missing=False).sentinels == {"MaritalStatus": 6}
    assert preprocess(known).sentinels == {}


def test_a_row_that_comes_twice_counts_once_among_the_cells_that_say_unknown(raw):
    told = raw.assign(AgeHH1="0", AgeHH2="40", IncomeGroup="5", HandsetPrice="100", MaritalStatus="Yes")
    assert preprocess(pd.concat([told, told[:2]])).sentinels == {"AgeHH1": 6}


@pytest.mark.parametrize("sentinel", ["", "NA", "Unknown"])
def test_a_sentinel_is_missing_in_every_column_that_declares_it(raw, sentinel):
    declared = [c.name for c in schema.COLUMNS if c.kind != "id" and sentinel in c.missing]
    frame = preprocess(raw.assign(**dict.fromkeys(declared, sentinel))).frame
    assert frame[declared].isna().all().all()


def test_the_sentinels_are_empty_na_and_unknown():
    assert {sentinel for c in schema.COLUMNS for sentinel in c.missing} == {"", "NA", "Unknown"}


def test_an_unknown_home_ownership_is_a_value(cell):
    assert cell("Homeownership", "Unknown") == "Unknown"


@pytest.mark.parametrize("column", ["AgeHH1", "AgeHH2", "IncomeGroup"])
def test_zero_is_missing_where_the_file_codes_unknown_as_zero(cell, column):
    assert pd.isna(cell(column, "0"))
    assert pd.isna(cell(column, "0.0"))
    assert cell(column, "0", zero_is_missing=False) == 0.0
    assert cell(column, "1") == 1.0


def test_zero_is_a_value_elsewhere(cell):
    assert cell("MonthlyMinutes", "0") == 0.0


@pytest.mark.parametrize(("text", "value"), [("12.5", 12.5), ("-3", -3.0), ("1e2", 100.0), ("007", 7.0)])
def test_numbers_are_read_as_written(cell, text, value):
    assert cell("MonthlyRevenue", text) == value


def test_a_category_that_nobody_has_seen_is_legal_and_kept(cell):
    assert cell("Occupation", "Astronaut") == "Astronaut"


def test_a_column_without_any_value_is_legal(raw):
    frame = preprocess(raw.assign(PrizmCode="", HandsetPrice="Unknown", Churn="NA")).frame
    assert frame["PrizmCode"].isna().all()
    assert frame["HandsetPrice"].isna().all()
    assert frame["Churn"].isna().all()


def test_labels_that_have_not_arrived_are_missing_and_counted(raw):
    clean = preprocess(raw.assign(Churn=["", "NA", "Yes", "No", "No", "Yes"]))
    assert clean.unlabelled == 2
    assert clean.frame["Churn"].isna().tolist() == [True, True, False, False, False, False]


def test_the_columns_may_stand_in_any_order(raw):
    pd.testing.assert_frame_equal(preprocess(raw[sorted(raw.columns)]).frame, preprocess(raw).frame)


def test_the_argument_stays_as_it_was(raw):
    shuffled = pd.concat([raw.iloc[::-1], raw.iloc[:2]])
    before = shuffled.copy()
    preprocess(shuffled)
    pd.testing.assert_frame_equal(shuffled, before)


# --- mended and counted ------------------------------------------------------------------------------------------


def test_clean_rows_are_left_alone_and_nothing_is_counted(raw):
    clean = preprocess(raw)
    assert (clean.duplicates, clean.reordered, clean.unlabelled) == (0, False, 0)
    assert clean.frame[schema.ID].tolist() == [int(number) for number in raw[schema.ID]]


def test_identical_duplicates_are_dropped_and_counted(raw):
    clean = preprocess(pd.concat([raw, raw.iloc[[1, 3, 1]]]))
    assert clean.duplicates == 3
    pd.testing.assert_frame_equal(clean.frame, preprocess(raw).frame)


def test_duplicates_that_differ_in_spelling_only_are_identical(raw):
    again = raw.iloc[[0]].assign(MonthlyMinutes=raw["MonthlyMinutes"].iloc[0] + ".0", AgeHH1="NA")
    clean = preprocess(pd.concat([with_cell(raw, "AgeHH1", "", row=0), again]))
    assert clean.duplicates == 1


def test_unsorted_rows_are_sorted_by_customer_and_it_is_said(raw):
    clean = preprocess(raw.iloc[[3, 0, 5, 1, 2, 4]])
    assert clean.reordered
    pd.testing.assert_frame_equal(clean.frame, preprocess(raw).frame)


def test_customer_numbers_are_sorted_as_numbers_not_as_text(raw):
    clean = preprocess(raw.assign(CustomerID=["10", "9", "100", "8", "1", "7"]))
    assert clean.frame[schema.ID].tolist() == [1, 7, 8, 9, 10, 100]


# --- refused -----------------------------------------------------------------------------------------------------


def test_one_customer_with_different_content_is_refused_with_rows_column_and_values(raw):
    conflict = pd.concat([raw.assign(Handsets="2"), raw.iloc[[1]].assign(Handsets="3")])
    customer = raw[schema.ID].iloc[1]
    assert refusal(conflict) == (
        f"customers.csv: rows 3 and 8: CustomerID {customer} stands twice with different Handsets: '2' and '3'; "
        "keep the right one"
    )


def test_one_customer_with_two_labels_is_refused(raw):
    conflict = pd.concat([raw.assign(Churn="Yes"), raw.iloc[[0]].assign(Churn="No")])
    assert "rows 2 and 8: " in refusal(conflict)
    assert "different Churn: 'Yes' and 'No'" in refusal(conflict)


def test_a_value_beside_a_missing_one_is_a_conflict(raw):
    conflict = pd.concat([raw.assign(PrizmCode="Town"), raw.iloc[[0]].assign(PrizmCode="NA")])
    assert "different PrizmCode: 'Town' and 'NA'" in refusal(conflict)


@pytest.mark.parametrize(
    "text", ["many", "1,5", "nan", "inf", "-inf", "1e999", "0x10", "1_000", "True", "Unknown", " "]
)
def test_a_cell_that_is_not_a_number_is_refused_with_row_column_and_value(raw, text):
    assert refusal(with_cell(raw, "MonthlyRevenue", text)) == (
        f"customers.csv: row 4: MonthlyRevenue: {text!r} is not a number; mend the cell or leave it empty"
    )


@pytest.mark.parametrize(
    ("column", "text", "legal"),
    [
        ("AgeHH1", "121", "0 to 120"),
        ("AgeHH2", "-1", "0 to 120"),
        ("IncomeGroup", "10", "0 to 9"),
        ("MonthlyMinutes", "-0.5", "0 to inf"),
        ("HandsetPrice", "-10", "0 to inf"),
    ],
)
def test_a_number_outside_its_range_is_refused_with_the_range(raw, column, text, legal):
    assert f"row 4: {column}: {text!r} is outside {legal}; mend" in refusal(with_cell(raw, column, text))


@pytest.mark.parametrize(("column", "text"), [("AgeHH1", "120"), ("IncomeGroup", "9"), ("CurrentEquipmentDays", "-5")])
def test_a_number_at_the_edge_of_its_range_is_legal(cell, column, text):
    assert cell(column, text) == float(text)


@pytest.mark.parametrize("text", ["yes", "1", "Maybe", "Unknown"])
def test_a_label_that_is_neither_yes_nor_no_is_refused(raw, text):
    assert f"row 4: Churn: {text!r} is neither Yes nor No" in refusal(with_cell(raw, "Churn", text))


@pytest.mark.parametrize("text", ["", "NA", "12.5", "9007199254740993", "1e300"])
def test_a_customer_number_that_is_no_whole_number_is_refused(raw, text):
    message = refusal(with_cell(raw, "CustomerID", text))
    assert message == f"customers.csv: row 4: CustomerID: {text!r} is not a customer number; mend the cell"


def test_several_faulty_rows_are_counted_and_the_first_is_named(raw):
    message = refusal(with_cell(with_cell(raw, "Handsets", "two", row=1), "Handsets", "six", row=4))
    assert "row 3: Handsets: 'two' is not a number (2 such rows)" in message


def test_rows_are_counted_as_they_stand_whatever_the_frames_index(raw):
    assert "row 2: Handsets: 'two'" in refusal(with_cell(raw, "Handsets", "two").iloc[2:])


def test_a_file_with_a_header_only_is_refused(raw):
    assert refusal(raw.iloc[:0]) == "customers.csv: no rows below the header; give a file with customers in it"


def test_a_missing_column_is_named(raw):
    assert refusal(raw.drop(columns=["Handsets", "AgeHH1"])).startswith(
        "customers.csv: row 1: missing columns Handsets, AgeHH1; the file needs the 58 columns of "
    )


def test_an_extra_column_is_named(raw):
    assert "row 1: unknown column Loyalty; the" in refusal(raw.assign(Loyalty="1"))


def test_a_repeated_column_is_named(raw):
    assert "row 1: repeated column Handsets; the" in refusal(pd.concat([raw, raw[["Handsets"]]], axis=1))


def test_more_than_five_missing_columns_are_abbreviated():
    with pytest.raises(DataError, match=r"missing columns CustomerID, .*, TotalRecurringCharge, …; the"):
        check_columns([], source="customers.csv")
