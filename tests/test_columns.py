"""Columns keep every value where it was, whatever the levels are numbered by."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from churn_drift.columns import Codes, concatenate, length, take

cells = st.lists(st.one_of(st.none(), st.sampled_from(["a", "b", "c", "ä", ""])), max_size=12)
some_cells = st.lists(st.one_of(st.none(), st.sampled_from(["a", "b", "c", "ä", ""])), min_size=1, max_size=12)


def values(codes: Codes) -> list[str | None]:
    return [None if code < 0 else codes.levels[code] for code in codes.codes]


@given(cells)
def test_encoding_loses_nothing(column):
    codes = Codes.of(column)
    assert values(codes) == column
    assert list(codes.levels) == sorted(set(column) - {None})
    assert codes.codes.dtype == np.int32
    assert len(codes) == len(column)


@given(cells, st.permutations(["a", "b", "c", "ä", ""]))
def test_recoding_by_all_levels_changes_no_value(column, levels):
    recoded = Codes.of(column).recode(levels)
    assert values(Codes(recoded, tuple(levels))) == column


@given(cells)
def test_a_level_that_is_not_known_is_told_from_a_missing_value(column):
    recoded = Codes.of(column).recode(["a"], unseen=-2)
    assert recoded.tolist() == [-1 if v is None else 0 if v == "a" else -2 for v in column]


def test_an_unseen_level_is_missing_unless_told_otherwise():
    assert Codes.of(["z", "a"]).recode(["a"]).tolist() == [-1, 0]


def test_a_column_of_missing_values_has_no_levels():
    codes = Codes.of([None, None])
    assert codes.levels == ()
    assert codes.recode(["a"]).tolist() == [-1, -1]


@given(some_cells, st.data())
def test_taking_rows_takes_them_from_every_column(column, data):
    rows = np.array(data.draw(st.lists(st.integers(0, len(column) - 1), max_size=9)), dtype=np.intp)
    taken = take({"number": np.arange(len(column), dtype=float), "category": Codes.of(column)}, rows)
    assert taken["number"].tolist() == rows.tolist()
    assert values(taken["category"]) == [column[row] for row in rows]


def test_rows_can_be_taken_by_a_mask():
    mask = np.array([True, False, True])
    taken = take({"number": np.array([1.0, 2.0, 3.0]), "category": Codes.of(["a", "b", None])}, mask)
    assert taken["number"].tolist() == [1.0, 3.0]
    assert values(taken["category"]) == ["a", None]


@given(st.lists(cells, min_size=1, max_size=4))
def test_concatenating_puts_the_rows_one_after_another(parts):
    joined = concatenate([{"number": np.full(len(part), 1.0), "category": Codes.of(part)} for part in parts])
    assert values(joined["category"]) == [value for part in parts for value in part]
    assert length(joined) == len(joined["category"]) == sum(map(len, parts))


@given(some_cells, some_cells)
def test_concatenating_then_taking_gives_a_part_back(first, second):
    joined = concatenate([{"category": Codes.of(first)}, {"category": Codes.of(second)}])
    back = take(joined, np.arange(len(first), len(first) + len(second)))
    assert values(back["category"]) == second


def test_levels_are_united_in_order_of_first_appearance():
    joined = concatenate([{"c": Codes.of(["b", "c"])}, {"c": Codes.of(["a", "c"])}])
    assert joined["c"].levels == ("b", "c", "a")
    assert joined["c"].codes.tolist() == [0, 1, 2, 1]


def test_no_columns_have_no_rows():
    assert length({}) == 0
