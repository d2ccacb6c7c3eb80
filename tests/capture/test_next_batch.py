"""What the log makes of its customers: the next batch, with the very values that were scored."""

from dataclasses import replace
from math import inf

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from churn_drift import schema
from churn_drift.capture.fields import fields_of
from churn_drift.capture.form import stored_columns, table_of
from churn_drift.capture.next_batch import NextBatch, next_batch
from churn_drift.data.landing import land_batch, landed_frames
from churn_drift.errors import DataError
from churn_drift.schema import Column
from churn_drift.serving.contract import typed
from tests.capture.conftest import NIGHT, exchange, record


def batch_of(*exchanges, known=(), fields="all") -> NextBatch:
    columns = stored_columns(fields_of(fields))
    return next_batch([table_of([(each, None)]).select(columns) for each in exchanges], known=set(known), source="log")


def customers(batch: NextBatch) -> list[str]:
    return batch.cells["CustomerID"].tolist()


def value(column: Column) -> st.SearchStrategy[object]:
    """What a client may send and the log then carries."""
    if column.kind == "category":
        text = st.text(st.characters(exclude_characters="\r\0", codec="utf-8"), max_size=5)
        return st.none() | st.sampled_from(column.levels or ("SEAPOR503",)) | text
    low = -inf if column.minimum is None else column.minimum
    high = inf if column.maximum is None else column.maximum
    fits = {"min_value": None if low == -inf else low, "max_value": None if high == inf else high}
    return st.none() | st.floats(**fits, allow_nan=False, allow_infinity=False) | st.integers(0, 9)


RECORDS = st.lists(st.fixed_dictionaries({c.name: value(c) for c in schema.RECORD}), min_size=1, max_size=4)


@hypothesis_settings(max_examples=25)
@given(sent=RECORDS, zero_is_missing=st.booleans())
def test_a_landed_batch_typed_again_has_the_very_values_that_were_scored(tmp_path_factory, sent, zero_is_missing):
    read = [typed(each, zero_is_missing=zero_is_missing) for each in sent]
    assert [faults for _, faults in read] == [[]] * len(sent)
    records = [values for values, _ in read]
    batch = batch_of(exchange(1, many=len(sent), records=records))
    folder = tmp_path_factory.mktemp("landed")
    land_batch(batch.cells, source="log", folder=folder)
    (landed,) = landed_frames(zero_is_missing=zero_is_missing, folder=folder)
    names = [column.name for column in schema.RECORD]
    found = landed.frame[names].astype(object).where(landed.frame[names].notna(), None)
    assert found.to_dict("records") == records
    assert landed.frame["CustomerID"].tolist() == list(range(1, len(sent) + 1))


def test_what_no_model_reads_is_missing(tmp_path):
    cells = batch_of(exchange(1)).cells
    assert sorted(cells.columns) == sorted(name for name in schema.NAMES if name != schema.LABEL)
    after = [column.name for column in schema.COLUMNS if column.after_risk]
    assert cells[after].to_numpy().tolist() == [["NA"] * 3]


def test_of_a_customer_who_was_scored_more_than_once_the_latest_counts():
    batch = batch_of(
        exchange(1, at=NIGHT + 1, records=[{**record(1), "Handsets": 2.0}]),
        exchange(2, at=NIGHT + 5),
        exchange(1, at=NIGHT + 3, records=[{**record(1), "Handsets": 3.0}]),
        exchange(1, at=NIGHT + 2, records=[{**record(1), "Handsets": 4.0}]),
    )
    assert customers(batch) == ["1", "2"]
    assert batch.cells["Handsets"].tolist() == ["3", "2"]
    assert (batch.scored, batch.repeated) == (4, 2)


def test_customers_without_a_number_and_those_who_have_arrived_are_left_out_and_counted():
    anonymous = exchange(7, many=2, customers=[None, 8])
    batch = batch_of(exchange(1), anonymous, replace(exchange(5), customers=None), known=[1, 99])
    assert customers(batch) == ["8"]
    assert (batch.scored, batch.anonymous, batch.known, batch.repeated, batch.odd) == (4, 2, 1, 0, 0)


@pytest.mark.parametrize("text", ["a\rb", "a\0b"])
def test_a_customer_with_a_text_that_no_csv_can_hold_is_left_out_and_counted(text):
    batch = batch_of(exchange(1), exchange(2, records=[{**record(2), "PrizmCode": text}]))
    assert customers(batch) == ["1"]
    assert batch.odd == 1


def test_an_empty_log_makes_an_empty_batch():
    batch = batch_of()
    assert batch.cells.empty
    assert (batch.scored, batch.anonymous, batch.repeated, batch.known, batch.odd) == (0, 0, 0, 0, 0)


@pytest.mark.parametrize(
    ("fields", "missing"), [("none", "CustomerID"), ("CustomerID,PrizmCode", "MonthlyRevenue, MonthlyMinutes")]
)
def test_a_log_that_may_not_store_what_a_model_reads_is_refused(fields, missing):
    with pytest.raises(DataError, match=f"log: the log may not store {missing}.*SERVE_LOG_FIELDS=all"):
        batch_of(exchange(1), fields=fields)


def test_rows_of_known_customers_may_lack_what_was_not_stored():
    columns = stored_columns(fields_of("CustomerID"))
    parts = [table_of([(exchange(1), None)]).select(columns), table_of([(exchange(2), None)])]
    assert customers(next_batch(parts, known={1}, source="log")) == ["2"]
    with pytest.raises(DataError, match="SERVE_LOG_FIELDS=all"):
        next_batch(parts, known={2}, source="log")
