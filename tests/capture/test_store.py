"""The log, read: each row once, in order, with the columns that any file has; what is damaged is named."""

from datetime import UTC, datetime, timedelta

import pytest

from churn_drift.capture import store
from churn_drift.capture.fields import fields_of
from churn_drift.capture.form import FORM
from churn_drift.capture.recorder import Recorder
from churn_drift.errors import DataError
from tests.capture.conftest import NIGHT, QUICK, exchange

EVENING = datetime.fromtimestamp(NIGHT, UTC)


def log(folder, *exchanges, fields="all"):
    recorder = Recorder(folder, fields=fields_of(fields), limits=QUICK, clock=lambda: NIGHT)
    for each in exchanges:
        recorder.put(each)
    recorder.start()
    recorder.close()


def customers(table):
    return table["CustomerID"].to_pylist()


def test_an_empty_log_has_no_rows_and_every_column(folder):
    table = store.read(folder)
    assert (table.num_rows, table.schema) == (0, FORM)


def test_rows_come_by_time_request_and_place(folder):
    log(folder, exchange(5, at=NIGHT + 5), exchange(1, many=2), exchange(0, at=NIGHT - 7200))
    assert customers(store.read(folder)) == [0, 1, 2, 5]


def test_since_and_until_are_included(folder):
    log(folder, *(exchange(hours, at=NIGHT + hours * 3600) for hours in range(5)))
    one, three = EVENING + timedelta(hours=1), EVENING + timedelta(hours=3)
    assert customers(store.read(folder, since=one, until=three)) == [1, 2, 3]
    assert customers(store.read(folder, since=one + timedelta(seconds=1))) == [2, 3, 4]
    assert customers(store.read(folder, until=three - timedelta(seconds=1))) == [0, 1, 2]


def test_files_that_may_store_less_are_united_with_those_that_have_all(folder):
    log(folder, exchange(1), fields="none")
    assert "PrizmCode" not in store.read(folder).column_names
    log(folder, exchange(2))
    table = store.read(folder)
    assert table.schema == FORM
    assert table["PrizmCode"].to_pylist() == [None, "level 2"]


@pytest.mark.parametrize("damage", [lambda b: b[: len(b) // 2], lambda b: b"", lambda b: b[:-4] + b"PAR2"])
def test_a_damaged_file_is_refused_by_name(folder, damage):
    log(folder, exchange(1))
    (path,) = folder.glob("date=*/hour=*/*.parquet")
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(DataError, match=f"{path.name}: no whole file of the inference log") as refused:
        store.read(folder)
    assert "\n" not in str(refused.value)


def test_files_of_other_hours_are_not_even_opened(folder):
    log(folder, exchange(1), exchange(2, at=NIGHT + 7200))
    (early,) = folder.glob("date=2026-11-23/hour=22/*.parquet")
    early.write_bytes(b"damaged")
    assert customers(store.read(folder, since=EVENING + timedelta(hours=1))) == [2]
