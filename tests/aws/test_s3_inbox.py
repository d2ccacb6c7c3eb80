"""What arrives in the bucket is taken once, whatever it is called and whoever is killed meanwhile."""

import io

import pytest
from botocore.exceptions import EndpointConnectionError
from botocore.response import StreamingBody

from churn_drift.aws.inbox import S3Inbox
from churn_drift.aws.services import service
from churn_drift.errors import PipelineError
from scripts.s3_server import serve
from tests.aws.servers import Place, new_bucket, user_of
from tests.remote.conftest import moto


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    with moto(tmp_path_factory.mktemp("moto")) as owner:
        yield owner


@pytest.fixture
def place(settings):
    place = new_bucket(settings)
    with user_of(place.environment):
        yield place


class Broken:
    """boto3's client, but for one method."""

    def __init__(self, s3, method, behaviour):
        self._client, self._method, self._behaviour = s3, method, behaviour

    def __getattr__(self, name):
        return self._behaviour if name == self._method else getattr(self._client, name)


def killed(*_, **__):
    raise KeyboardInterrupt


STRANGE = ["a b.csv", "ü+%20&?#.csv.gz", "2026/11/day.csv", "x" * 240 + ".csv"]


@pytest.mark.parametrize("name", [*STRANGE, "../../way out.csv", "a/./b.csv"])
def test_a_file_with_any_name_is_fetched_into_the_folder_settled_and_refused(place, tmp_path, name):
    inbox = S3Inbox(place.bucket, client=place.s3)
    for content in ("first", "second"):
        place.put(f"inbox/{name}", content)
        assert inbox.waiting() == [name]
        copy = inbox.fetch(name, tmp_path / "scratch")
        assert copy.read_text() == content
        assert copy.resolve().is_relative_to(tmp_path / "scratch")
        if content == "first":
            inbox.settle(name)
            assert inbox.waiting() == []
    where = inbox.refuse(name, "column Churn is missing")
    key = where.removeprefix(f"s3://{place.bucket}/")
    assert place.get(key) == b"second"
    assert place.get(f"{key}.error.txt") == b"column Churn is missing\n"
    assert [k.split("/")[0] for k in place.keys] == ["landed", "quarantine", "quarantine"]
    assert all(".." not in k and "/./" not in k for k in place.keys)


def test_only_csv_files_wait_in_order_of_name(place):
    for name in ("b.csv", "a.csv.gz", "a.drift.json", "notes.txt", "folder/", "c.csv.part"):
        place.put(f"inbox/{name}", "x")
    place.put("landed/z.csv", "x")
    assert S3Inbox(place.bucket, client=place.s3).waiting() == ["a.csv.gz", "b.csv"]


def test_an_inbox_of_more_than_one_page_is_seen_whole(place):
    names = [f"{number}.csv" for number in range(8)]
    for name in names:
        place.put(f"inbox/{name}", "x")
    s3 = service("s3")
    s3.meta.events.register("provide-client-params.s3.ListObjectsV2", lambda params, **_: {**params, "MaxKeys": 3})
    assert S3Inbox(place.bucket, client=s3).waiting() == names


def test_settling_and_refusing_twice_is_once(place):
    place.put("inbox/a.csv", "a")
    place.put("inbox/b.csv", "b")
    for _ in range(2):
        S3Inbox(place.bucket, client=place.s3).settle("a.csv")
        where = S3Inbox(place.bucket, client=place.s3).refuse("b.csv", "no CSV")
    assert where == f"s3://{place.bucket}/quarantine/b.csv"
    assert place.keys == ["landed/a.csv", "quarantine/b.csv", "quarantine/b.csv.error.txt"]


@pytest.mark.parametrize("dies_in", ["copy_object", "delete_object"])
def test_who_is_killed_while_settling_has_it_settled_by_the_next_run(place, dies_in):
    place.put("inbox/a.csv", "a")
    with pytest.raises(KeyboardInterrupt):
        S3Inbox(place.bucket, client=Broken(place.s3, dies_in, killed)).settle("a.csv")
    assert S3Inbox(place.bucket, client=place.s3).waiting() == ["a.csv"]
    S3Inbox(place.bucket, client=place.s3).settle("a.csv")
    assert place.keys == ["landed/a.csv"]


@pytest.mark.parametrize("dies_in", ["copy_object", "put_object", "delete_object"])
def test_who_is_killed_while_refusing_has_it_refused_by_the_next_run(place, dies_in):
    place.put("inbox/a.csv", "a")
    with pytest.raises(KeyboardInterrupt):
        S3Inbox(place.bucket, client=Broken(place.s3, dies_in, killed)).refuse("a.csv", "empty")
    assert S3Inbox(place.bucket, client=place.s3).waiting() == ["a.csv"]
    S3Inbox(place.bucket, client=place.s3).refuse("a.csv", "empty")
    assert place.keys == ["quarantine/a.csv", "quarantine/a.csv.error.txt"]


def test_what_is_noted_waits_for_other_machines_until_it_is_settled(place, tmp_path):
    noted = tmp_path / "state/noted.jsonl"
    place.put("inbox/day.csv", "a\n1\n")
    inbox = S3Inbox(place.bucket, noted=noted)
    inbox.fetch("day.csv", tmp_path)
    inbox.settle("day.csv")
    assert S3Inbox(place.bucket).waiting() == ["day.csv"]
    for _ in range(2):
        S3Inbox(place.bucket).settle_noted(noted)
        assert place.keys == ["landed/day.csv"]
    assert not noted.exists()


def test_what_is_noted_and_has_come_anew_since_waits_on(place, tmp_path):
    place.put("inbox/day.csv", "a\n1\n")
    inbox = S3Inbox(place.bucket, noted=tmp_path / "noted.jsonl")
    inbox.fetch("day.csv", tmp_path)
    inbox.settle("day.csv")
    place.put("inbox/day.csv", "a\n2\n")
    S3Inbox(place.bucket).settle_noted(tmp_path / "noted.jsonl")
    assert place.keys == ["inbox/day.csv"]


def test_the_same_name_with_other_content_another_day_overwrites_nothing(place):
    for content in ("monday", "tuesday", "tuesday"):
        place.put("inbox/day.csv", content)
        S3Inbox(place.bucket, client=place.s3).settle("day.csv")
    assert sorted(map(place.get, place.keys)) == [b"monday", b"tuesday"]


def test_what_has_come_under_the_name_since_it_was_fetched_is_not_settled_with_it(place, tmp_path):
    inbox = S3Inbox(place.bucket, client=place.s3)
    place.put("inbox/day.csv", "old")
    inbox.fetch("day.csv", tmp_path)
    place.put("inbox/day.csv", "new")
    inbox.settle("day.csv")
    inbox.refuse("day.csv", "of the old one")
    assert place.keys == ["inbox/day.csv"]
    assert inbox.fetch("day.csv", tmp_path).read_text() == "new"
    inbox.settle("day.csv")
    assert place.get("landed/day.csv") == b"new"


def test_what_has_come_in_the_moment_between_copying_and_deleting_stays(place):
    place.put("inbox/day.csv", "old")
    late = Broken(place.s3, "delete_object", None)

    def delete(**arguments):
        place.put("inbox/day.csv", "new")
        return late._client.delete_object(**arguments)

    late._behaviour = delete
    S3Inbox(place.bucket, client=late).settle("day.csv")
    assert place.get("inbox/day.csv") == b"new"
    assert place.get("landed/day.csv") == b"old"


def test_the_lambdas_report_goes_along_with_its_batch(place):
    for name in ("day.csv", "day.drift.json", "night.csv.gz", "night.gz.drift.json"):
        place.put(f"inbox/{name}", name)
    S3Inbox(place.bucket, client=place.s3).settle("day.csv")
    S3Inbox(place.bucket, client=place.s3).refuse("night.csv.gz", "empty")
    assert place.keys == [
        "landed/day.csv",
        "landed/day.drift.json",
        "quarantine/night.csv.gz",
        "quarantine/night.csv.gz.error.txt",
        "quarantine/night.gz.drift.json",
    ]


def test_bytes_that_are_not_what_was_promised_are_refused_and_leave_nothing(place, tmp_path):
    place.put("inbox/a.csv", "good")

    def damaged(**arguments):
        answer = place.s3.get_object(**arguments)
        return {**answer, "Body": StreamingBody(io.BytesIO(b"evil"), 4)}

    with pytest.raises(PipelineError, match=f"s3://{place.bucket}/inbox/a.csv: arrived damaged"):
        S3Inbox(place.bucket, client=Broken(place.s3, "get_object", damaged)).fetch("a.csv", tmp_path)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_bucket_that_is_missing_or_a_server_that_is_down_is_told_in_one_line(place, tmp_path):
    with pytest.raises(PipelineError, match=r"s3://nothing/inbox/: .*; make the bucket, or set S3_BUCKET to another"):
        S3Inbox("nothing").waiting()

    def down(**_):
        raise EndpointConnectionError(endpoint_url="http://127.0.0.1:1")

    for act in (lambda i: i.settle("a.csv"), lambda i: i.refuse("a.csv", "x")):
        with pytest.raises(
            PipelineError, match=r"inbox/a.csv: Could not connect .*; is it up\? check AWS_ENDPOINT_URL"
        ):
            act(S3Inbox(place.bucket, client=Broken(place.s3, "head_object", down)))


def test_another_server_that_knows_no_conditions_and_keeps_no_metadata_serves_too(tmp_path):
    with serve(tmp_path / "s3") as server:
        server.create_bucket("bucket")
        place = Place("bucket", server.environment())
        with user_of(place.environment):
            place.put("inbox/a b.csv", "a")
            inbox = S3Inbox("bucket")
            assert inbox.fetch("a b.csv", tmp_path).read_text() == "a"
            for _ in range(2):
                inbox.settle("a b.csv")
            assert place.keys == ["landed/a b.csv"]
