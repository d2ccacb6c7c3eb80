"""Customers on S3, over real HTTP: moto's server on the loopback address, endpoint and credentials by environment."""

import gzip
import os
from collections.abc import Iterator

import boto3
import pytest
import s3fs
from moto.server import ThreadedMotoServer

from churn_drift.data.io import read_raw
from churn_drift.errors import DataError


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    running = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    running.start()
    host, port = running.get_host_and_port()
    yield f"http://{host}:{port}"
    running.stop()


@pytest.fixture
def bucket(server: str, monkeypatch: pytest.MonkeyPatch) -> str:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_ENDPOINT_URL", server)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    s3fs.S3FileSystem.clear_instance_cache()
    store = boto3.client("s3")
    store.create_bucket(Bucket="customers")
    store.put_object(Bucket="customers", Key="some.csv.gz", Body=gzip.compress(b"CustomerID,Churn\n3000010,Yes\n"))
    return "s3://customers"


def test_a_gz_file_on_s3_reads_like_a_local_one(bucket: str) -> None:
    assert read_raw(f"{bucket}/some.csv.gz").to_dict("list") == {"CustomerID": ["3000010"], "Churn": ["Yes"]}


def test_a_file_that_is_not_on_s3_is_refused(bucket: str) -> None:
    with pytest.raises(DataError, match=r"s3://customers/other\.csv: no such file"):
        read_raw(f"{bucket}/other.csv")


def test_absent_credentials_are_named(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
    s3fs.S3FileSystem.clear_instance_cache()
    with pytest.raises(DataError, match=r"Unable to locate credentials.*AWS_ACCESS_KEY_ID"):
        read_raw(f"{bucket}/some.csv.gz")
