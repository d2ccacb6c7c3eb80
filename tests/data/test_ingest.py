"""Customers come from statistics or from the user's file, and a file that is not the schema is refused."""

import gzip
from pathlib import Path

import pytest

from churn_drift import schema
from churn_drift.config import Ingest
from churn_drift.data import io, simulator
from churn_drift.data.ingest import ingest, read_customers
from churn_drift.errors import DataError


@pytest.fixture
def written(tmp_path, raw_records):
    def write(frame=None, name="customers.csv"):
        io.write_csv(raw_records(8) if frame is None else frame, tmp_path / name)
        return str(tmp_path / name)

    return write


def test_a_json_of_statistics_is_simulated():
    customers = ingest(Ingest(source=str(simulator.STATISTICS), rows=12, seed=1))
    assert customers.simulated
    assert len(customers.frame) == 12


def test_a_csv_is_read_and_brings_its_own_rows(written, raw_records):
    customers = ingest(Ingest(source=written(), rows=12, seed=1))
    assert not customers.simulated
    assert customers.frame.equals(raw_records(8))


def test_a_gz_gives_the_same_customers(tmp_path, written, raw_records):
    packed = tmp_path / "customers.csv.gz"
    packed.write_bytes(gzip.compress(Path(written()).read_bytes()))
    assert read_customers(str(packed)).equals(raw_records(8))


def test_columns_are_put_in_the_schemas_order(written, raw_records):
    assert tuple(read_customers(written(raw_records(8)[sorted(schema.NAMES)])).columns) == schema.NAMES


def test_the_cells_stay_as_the_file_has_them(written, raw_records):
    odd = raw_records(8).assign(Handsets="007", AgeHH1="0", HandsetPrice="Unknown")
    assert read_customers(written(odd)).equals(odd)


def test_a_faulty_cell_is_refused_with_the_users_file_and_row(written, raw_records):
    source = written(raw_records(8).assign(Handsets=["1", "two", *"345678"]))
    with pytest.raises(DataError) as refused:
        read_customers(source)
    assert str(refused.value).startswith(f"{source}: row 3: Handsets: 'two' is not a number; ")


def test_a_json_is_no_csv_of_customers(written):
    with pytest.raises(DataError, match="not a CSV of customers"):
        read_customers(str(simulator.STATISTICS))


def test_a_label_is_needed_in_the_history(written, raw_records):
    with pytest.raises(DataError, match="row 1: missing column Churn"):
        read_customers(written(raw_records(8).drop(columns="Churn")))


def test_a_url_is_read_like_a_file(written, raw_records):
    import fsspec

    fsspec.filesystem("memory").pipe("/bucket/customers.csv", Path(written()).read_bytes())
    assert read_customers("memory://bucket/customers.csv").equals(raw_records(8))
