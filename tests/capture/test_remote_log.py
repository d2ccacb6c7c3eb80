"""A log at S3: files leave this machine once they are there, and wait here while S3 is away."""

import pytest
import s3fs

from churn_drift.capture import store
from churn_drift.capture.recorder import Recorder
from churn_drift.errors import DataError
from scripts.s3_server import serve
from tests.capture.conftest import NIGHT, QUICK, exchange, files
from tests.remote.conftest import wait_for

WHERE = "s3://churn-drift/inference/log"


@pytest.fixture
def server(tmp_path, monkeypatch):
    with serve(tmp_path / "s3") as server:
        for name, value in server.environment().items():
            monkeypatch.setenv(name, value)
        server.create_bucket("churn-drift")
        yield server


@pytest.fixture
def staging(folder):
    return folder


def customers(staging):
    return store.read(WHERE, staging=staging)["CustomerID"].to_pylist()


def objects():
    s3 = s3fs.S3FileSystem(use_listings_cache=False, skip_instance_cache=True)
    return [name.removeprefix("churn-drift/inference/log/") for name in s3.find(WHERE)]


def log(staging, *numbers):
    recorder = Recorder(WHERE, staging=staging, limits=QUICK, clock=lambda: NIGHT)
    for number in numbers:
        recorder.put(exchange(number))
    recorder.start()
    recorder.close()
    return recorder


def test_files_wait_while_s3_is_away_and_go_there_when_it_is_back_also_after_a_restart(
    server, staging, recording, caplog
):
    assert log(staging, 1).counts.errors == 0
    (first,) = objects()
    assert first.startswith("date=2026-11-23/hour=22/")
    assert files(staging, "date=*/hour=*/*") == []

    server.stop()
    now = [NIGHT]
    recorder = recording(WHERE, staging=staging, clock=lambda: now[0])
    recorder.put(exchange(2))
    wait_for(lambda: recorder.counts.written == 1)
    now[0] = NIGHT + 7200
    wait_for(lambda: recorder.counts.errors > 0)
    recorder.put(exchange(3))  # S3 that is away delays no row
    wait_for(lambda: recorder.counts.written == 2)
    recorder.close()
    assert caplog.text.count("sending fails") == 1
    assert len(files(staging, "date=*/hour=*/*")) == 2
    with pytest.raises(DataError, match=r"the inference log cannot be read: .*AWS_ENDPOINT_URL"):
        customers(staging)

    server.start()
    assert customers(staging) == [1, 2, 3]
    recording(WHERE, staging=staging)
    wait_for(lambda: not files(staging, "date=*/hour=*/*"))
    assert len(objects()) == 3
    assert customers(staging) == [1, 2, 3]


def test_a_file_that_is_here_and_there_counts_once(server, staging):
    log(staging, 1)
    (key,) = objects()
    (staging / key).parent.mkdir(parents=True, exist_ok=True)
    s3fs.S3FileSystem(skip_instance_cache=True).get_file(f"{WHERE}/{key}", str(staging / key))
    assert customers(staging) == [1]
    log(staging)
    wait_for(lambda: not files(staging, "date=*/hour=*/*"))
    assert objects() == [key]
