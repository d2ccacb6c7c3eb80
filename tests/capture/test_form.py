"""A row of the log: every field of an exchange in its column, what is missing null."""

import numpy as np
import pyarrow
import pytest

from churn_drift import schema
from churn_drift.capture.fields import fields_of
from churn_drift.capture.form import FORM, stored_columns, table_of
from churn_drift.errors import ConfigError
from tests.capture.conftest import NIGHT, exchange, record


def test_every_customer_of_a_request_is_a_row():
    first, second = table_of([(exchange(7, many=2), ("challenger", [0.5, 0.75]))]).to_pylist()
    assert (first["request_id"], first["place"], first["CustomerID"]) == ("r000000007", 0, 7)
    assert (second["request_id"], second["place"], second["CustomerID"]) == ("r000000007", 1, 8)
    assert (second["model_version"], second["probability"], second["decision"]) == ("0123456789ab", 0.25, False)
    assert (second["shadow_version"], second["shadow_probability"]) == ("challenger", 0.75)
    assert second["time"].timestamp() == NIGHT
    assert {name: second[name] for name in record(8)} == record(8)


def test_what_is_not_there_is_null():
    table = table_of([(exchange(1, records=[{"MonthsInService": 3.0}], customers=None), None)])
    assert table.schema == FORM
    (row,) = table.to_pylist()
    assert row["MonthsInService"] == 3.0
    null = {name for name, value in row.items() if value is None}
    assert {"CustomerID", "PrizmCode", "shadow_version", "shadow_probability"} <= null
    assert len(null) == 3 + len(schema.RECORD) - 1


def test_a_table_becomes_the_rows_that_its_records_would_become():
    records = [{**record(1), "AgeHH1": None}, record(2)]
    table = pyarrow.Table.from_pylist([{**records[0], "AgeHH1": float("nan")}, records[1]])
    arrays = {"probability": np.array([0.5, 0.25]), "decision": np.array([True, False]), "customers": np.array([4, 5])}
    lists = {name: values.tolist() for name, values in arrays.items()}
    loose = table_of([(exchange(4, records=records, **lists), None)])
    assert table_of([(exchange(4, records=table, **arrays), None)]).equals(loose)


def test_only_named_fields_may_be_stored():
    head = FORM.names[:8]
    assert stored_columns(fields_of("none")) == head
    assert stored_columns(fields_of("PrizmCode, CustomerID")) == [*head, "CustomerID", "PrizmCode"]
    assert stored_columns(fields_of("all")) == FORM.names


def test_a_field_that_nobody_has_is_refused_by_name():
    with pytest.raises(ConfigError, match="SERVE_LOG_FIELDS: 'Prizm' is no field of a customer; set it to all, none"):
        fields_of("CustomerID,Prizm")
