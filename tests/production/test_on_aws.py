"""The same run with its inbox, its remote and its copies in a bucket, over HTTP."""

import json

import pytest

from tests.aws.emulators import world
from tests.aws.fake_sagemaker import Refused
from tests.aws.servers import ISOLATED, new_bucket
from tests.remote.conftest import moto

pytestmark = pytest.mark.long

OPTIONS = ("--aws", "--push")


@pytest.fixture
def place(tmp_path):
    with moto(tmp_path) as settings:
        yield new_bucket(settings)


def test_a_run_on_aws_takes_in_refuses_and_pushes_in_the_bucket_what_a_local_one_does_here(machine, arrivals, place):
    before = machine.results()
    place.put("inbox/1_batch.csv", arrivals["1_batch.csv"])
    place.put("inbox/cut.csv.gz", arrivals["2_batch.csv.gz"][:-500])
    place.put("inbox/2_labels.csv", "CustomerID,Churn\n99999999,Yes\n")
    settings = {"USE_AWS": "false", "S3_BUCKET": place.bucket, **place.settings, **ISOLATED}
    said = machine.run(*OPTIONS, **settings)
    lines = said.splitlines()
    assert "1_batch.csv: again, 300 customers" in lines
    refused = f"s3://{place.bucket}/quarantine/cut.csv.gz"
    assert f"cut.csv.gz: refused, cannot be read to its end; {refused}.error.txt says why" in lines
    assert "2_labels.csv: waits, 1 of its 1 customers are in no landed batch yet" in lines
    keys = set(place.keys)
    assert {key for key in keys if key.startswith(("inbox/", "landed/", "quarantine/"))} == {
        "inbox/2_labels.csv",
        "landed/1_batch.csv",
        "quarantine/cut.csv.gz",
        "quarantine/cut.csv.gz.error.txt",
    }
    champion = (machine.root / "models/champion/model.ubj").read_bytes()
    assert place.get("models/champion/model.ubj") == champion
    assert [key for key in keys if key.startswith("dvc/files/md5/")] != []
    assert "in sync" in machine.repository.run("dvc", "status", "--cloud", "--remote", "s3", **settings)
    assert machine.results() == before
    assert machine.repository.changes == []


@pytest.fixture
def hosted(tmp_path):
    (tmp_path / "aws").mkdir()
    with world(tmp_path / "aws") as found:
        named = {
            "SAGEMAKER_ENDPOINT": "churn",
            "SAGEMAKER_IMAGE_URI": "123456789012.dkr.ecr.us-east-1.amazonaws.com/churn-drift:1",
            "SAGEMAKER_ROLE_ARN": "arn:aws:iam::123456789012:role/churn-drift",
        }
        yield found, {"USE_AWS": "true", **found.settings, **named}


def test_a_run_on_aws_rolls_the_champion_out_and_a_roll_out_that_fails_is_told_and_leaves_the_run_as_it_is(
    machine, hosted
):
    found, settings = hosted
    found.sagemaker.faults.refuse["CreateModel"] = [Refused("ValidationException", "no such image")]
    said = machine.run("--no-promote", **settings)
    assert "churn:" not in said
    said = machine.run(**settings)
    assert "warning: " in said
    assert "no such image" in said
    assert found.sagemaker.endpoints == {}
    said = machine.run(**settings)
    version = machine.repository.read("models/ledger.jsonl").splitlines()[-1]
    assert f"churn answers with {json.loads(version)['version']}, as its golden records say" in said
    assert "recovery" in said
