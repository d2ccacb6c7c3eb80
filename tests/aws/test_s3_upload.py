"""Folders go to the bucket and come back, once, whole and encrypted, whatever fails on the way."""

import os
import random
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from churn_drift.aws import services
from churn_drift.aws.copies import etag_of
from churn_drift.aws.s3_upload import download, upload
from churn_drift.errors import ChurnDriftError, ConfigError, PipelineError
from churn_drift.ports import STATE
from scripts.s3_server import serve
from tests.aws.faulty import HANG, proxied
from tests.aws.servers import ISOLATED, Place, new_bucket, user_of
from tests.remote.conftest import checksums, enforce, iam_user, moto, wait_for
from tests.remote.relay import held

LARGE = 9_000_000
"""Bytes: two parts."""
CHAMPION = ("facts.json", "manifest.json", "model.ubj", "profile.json", "scoring.json")
KEYS = [
    "data/batches/batch_00.parquet",
    "data/landed/batches/0001_ab.csv",
    "data/processed/customers.parquet",
    "inference/date=2026-11-23/hour=22/1-1.parquet",
    *(f"models/champion/{name}" for name in CHAMPION),
    "models/retrained/01_ab/model.ubj",
    "reports/evaluate/summary.json",
]


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    with moto(tmp_path_factory.mktemp("moto")) as owner:
        yield owner


@pytest.fixture
def place(settings, here):
    place = new_bucket(settings)
    with user_of(place.environment):
        yield place


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A repository's folders, with files that are copied and files that are not."""
    root = tmp_path / "here"
    for key in [*KEYS, *NOT_COPIED]:
        path = root / key.replace("inference/", "data/inference/", 1)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(f"this is {key}".encode())
    monkeypatch.chdir(root)
    return root


NOT_COPIED = [
    "data/raw/customers.csv",
    "data/landed/.gitkeep",
    "data/processed/.customers.parquet.1.part",
    "inference/open/1/2026-11-23T23_1-2.rows",
    "models/ledger.jsonl",
    "reports/.gitignore",
]


@pytest.fixture
def there(tmp_path, monkeypatch):
    """`there()`: from now on the current folder is another, empty one."""

    def go():
        folder = tmp_path / "there"
        folder.mkdir(exist_ok=True)
        monkeypatch.chdir(folder)
        return folder

    return go


def copied(root):
    """Checksums of what is copied, by key."""
    found = {key.replace("data/inference/", "inference/"): value for key, value in checksums(root).items()}
    return {key: value for key, value in found.items() if key not in NOT_COPIED and not key.startswith(".churn")}


def test_every_folder_goes_there_under_its_keys_encrypted_with_its_sha256(place):
    moved = upload(os.environ)
    assert (moved.files, moved.same) == (len(KEYS), 0)
    assert place.keys == sorted(KEYS)
    head = place.s3.head_object(Bucket=place.bucket, Key=KEYS[0], ChecksumMode="ENABLED")
    assert head["ServerSideEncryption"] == "AES256"
    assert head["ChecksumSHA256"]
    assert len(head["Metadata"]["sha256"]) == 64


def test_the_mirror_brings_the_same_bytes_and_leaves_what_is_only_here(place, here, there):
    upload(os.environ)
    folder = there()
    (folder / "data/landed").mkdir(parents=True)
    (folder / "data/landed/mine.csv").write_text("mine")
    (folder / "data/batches").mkdir()
    (folder / "data/batches/batch_00.parquet").write_text("an old one")
    assert download(os.environ).files == len(KEYS)
    assert (folder / "data/landed/mine.csv").read_text() == "mine"
    (folder / "data/landed/mine.csv").unlink()
    assert copied(folder) == copied(here)
    assert download(os.environ).text().startswith(f"0 files (0.0 MB), {len(KEYS)} were there already")
    log = folder / "data/inference/date=2026-11-23/hour=22"
    assert stat.S_IMODE(log.stat().st_mode) == 0o700
    assert stat.S_IMODE((log / "1-1.parquet").stat().st_mode) == 0o600


def test_nothing_is_sent_twice_and_only_what_has_changed_is_sent_again(place, here):
    upload(os.environ)
    with proxied(place.settings["AWS_ENDPOINT_URL"]) as proxy, user_of({"AWS_ENDPOINT_URL": proxy.url, **_but(place)}):
        assert upload(os.environ).files == 0
        assert proxy.count("PUT", "POST") == 0
        path = here / "reports/evaluate/summary.json"
        path.write_bytes(path.read_bytes()[::-1])  # the same size
        assert upload(os.environ, ["reports", "data"]).files == 1
        assert proxy.count("PUT", "POST") == 1
    assert place.get("reports/evaluate/summary.json") == path.read_bytes()


def _but(place):
    return {name: value for name, value in place.environment.items() if name != "AWS_ENDPOINT_URL"}


def test_only_the_folders_that_are_named_go_and_an_unknown_one_is_refused(place):
    assert upload(os.environ, ["reports", "reports"]).files == 1
    assert place.keys == ["reports/evaluate/summary.json"]
    with pytest.raises(ConfigError, match="data/raw: no folder that is copied; name some of data, models, reports"):
        upload(os.environ, ["data/raw"])


def test_a_key_of_kms_encrypts_also_what_was_there_already(place, monkeypatch):
    upload(os.environ, ["reports"])
    monkeypatch.setenv("S3_KMS_KEY_ID", "1234abcd")
    assert upload(os.environ, ["reports"]).files == 1
    assert upload(os.environ, ["reports"]).files == 0
    head = place.s3.head_object(Bucket=place.bucket, Key="reports/evaluate/summary.json")
    assert (head["ServerSideEncryption"], head["SSEKMSKeyId"]) == ("aws:kms", "1234abcd")


def test_a_bucket_that_keeps_no_versions_is_told(place):
    assert upload(os.environ, ["reports"]).warning.startswith(f"bucket {place.bucket} keeps no old versions; ")
    place.s3.put_bucket_versioning(Bucket=place.bucket, VersioningConfiguration={"Status": "Enabled"})
    assert upload(os.environ, ["reports"]).warning == ""


def test_the_champions_profile_goes_last_and_not_at_all_where_another_file_of_his_does_not_go(place):
    with proxied(place.settings["AWS_ENDPOINT_URL"]) as proxy, user_of({"AWS_ENDPOINT_URL": proxy.url, **_but(place)}):
        proxy.fault = lambda verb, path: 403 if verb == "PUT" and "model.ubj" in path else None
        with pytest.raises(PipelineError, match=r"model.ubj: AccessDenied; .*doctor --aws` .*\(and 1 more files\)"):
            upload(os.environ, ["models"])
        assert "models/champion/profile.json" not in place.keys
        proxy.fault = lambda verb, path: None
        upload(os.environ)
        put = [path.partition("?")[0] for verb, path in proxy.asked if verb == "PUT"]
        assert put[-1].endswith("/models/champion/profile.json")


def test_throttling_is_waited_out_and_told(place):
    busy = iter([503] * 4)
    with proxied(place.settings["AWS_ENDPOINT_URL"]) as proxy, user_of({"AWS_ENDPOINT_URL": proxy.url, **_but(place)}):
        proxy.fault = lambda verb, path: next(busy, None) if verb == "PUT" else None
        moved = upload(os.environ)
    assert place.keys == sorted(KEYS)
    assert moved.text().endswith("; 4 requests were sent again (SlowDown 4)")


def test_throttling_that_does_not_end_is_told_and_the_next_upload_sends_the_rest(place, monkeypatch):
    monkeypatch.setattr(services, "TRIES", 2)
    with proxied(place.settings["AWS_ENDPOINT_URL"]) as proxy, user_of({"AWS_ENDPOINT_URL": proxy.url, **_but(place)}):
        proxy.fault = lambda verb, path: 503 if verb == "PUT" and "/data/" in path else None
        with pytest.raises(
            PipelineError, match=r"SlowDown; AWS throttles us.*\(and 2 more files\); what has gone stays"
        ):
            upload(os.environ)
        assert 0 < len(place.keys) < len(KEYS)
        proxy.fault = lambda verb, path: None
        gone = len(place.keys)
        assert upload(os.environ).files == len(KEYS) - gone
    assert place.keys == sorted(KEYS)


def test_a_request_that_is_never_answered_is_sent_again(place, monkeypatch):
    monkeypatch.setattr(services, "READ_SECONDS", 0.3)
    lost = iter([HANG])
    with proxied(place.settings["AWS_ENDPOINT_URL"]) as proxy, user_of({"AWS_ENDPOINT_URL": proxy.url, **_but(place)}):
        proxy.fault = lambda verb, path: next(lost, None) if verb == "PUT" else None
        moved = upload(os.environ, ["models"])
    assert moved.retried == {"ReadTimeoutError": 1}
    assert len(place.keys) == 6


def test_an_upload_that_was_killed_goes_on_and_leaves_nothing_unfinished(place, here):
    large = here / "data/landed/batches/0002_cd.csv"
    large.write_bytes(random.Random(3).randbytes(LARGE))
    port = int(place.settings["AWS_ENDPOINT_URL"].rpartition(":")[2])
    with held(port, up=LARGE // 2) as (address, standing, release):
        process = churn_drift(here, "upload", AWS_ENDPOINT_URL=address)
        assert standing.wait(60)
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
        release()
    assert (here / STATE / "uploads.jsonl").exists()
    assert unfinished(place) == 1
    moved = upload(os.environ)
    assert unfinished(place) == 0
    assert place.keys == sorted([*KEYS, "data/landed/batches/0002_cd.csv"])
    assert moved.bytes >= LARGE
    assert place.get("data/landed/batches/0002_cd.csv") == large.read_bytes()
    assert not (here / STATE / "uploads.jsonl").exists()


def unfinished(place):
    return len(place.s3.list_multipart_uploads(Bucket=place.bucket).get("Uploads", []))


def churn_drift(folder, *arguments, **env):
    for name in ("dvc.yaml", "params.yaml"):
        (folder / name).write_text("{}\n")
    command = [sys.executable, "-m", "churn_drift.cli", *arguments]
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(command, cwd=folder, env={**os.environ, **env}, text=True, **streams)


def test_a_download_that_was_killed_goes_on_and_leaves_no_half_file(place, here, there):
    (here / "data/landed/batches/0002_cd.csv").write_bytes(random.Random(4).randbytes(LARGE))
    upload(os.environ)
    folder = there()
    with proxied(place.settings["AWS_ENDPOINT_URL"]) as proxy:
        proxy.fault = lambda verb, path: HANG if verb == "GET" and "0002_cd" in path else None
        process = churn_drift(folder, "download", AWS_ENDPOINT_URL=proxy.url)
        wait_for(lambda: proxy.count("GET") > len(KEYS))
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
    assert not (folder / "data/landed/batches/0002_cd.csv").exists()
    (folder / "data/landed/batches/.0002_cd.csv.download.3fA9").write_bytes(b"half")
    download(os.environ)
    for name in ("dvc.yaml", "params.yaml"):
        (folder / name).unlink()
    assert copied(folder) == copied(here)
    assert list(folder.rglob("*.download*")) == []


def test_bytes_that_do_not_have_their_sha256_are_refused_and_the_file_here_stays(place, here):
    upload(os.environ, ["reports"])
    key = "reports/evaluate/summary.json"
    metadata = place.s3.head_object(Bucket=place.bucket, Key=key)["Metadata"]
    place.put(key, b"x" * (here / key).stat().st_size, Metadata=metadata)
    before = (here / key).read_bytes()
    (here / key).write_bytes(b"mine")
    with pytest.raises(PipelineError, match=f"{key}: arrived damaged, or is so there"):
        download(os.environ, ["reports"])
    assert (here / key).read_bytes() == b"mine"
    assert [path.name for path in (here / key).parent.iterdir()] == ["summary.json"]
    (here / key).write_bytes(before)


@pytest.mark.parametrize("name", ["../../way-out", "a/../../../way-out", "/way-out", "a//b", "./a"])
def test_a_key_that_leads_out_of_its_folder_stops_the_download_before_anything_is_written(place, there, name):
    upload(os.environ, ["reports"])
    place.put(f"reports/{name}", "x")
    folder = there()
    with pytest.raises(PipelineError, match=r"leads out of reports; delete this object"):
        download(os.environ)
    assert [path for path in folder.rglob("*") if path.is_file() and STATE.name not in path.parts] == []


def test_a_link_that_leads_out_of_its_folder_is_not_followed(place, there, tmp_path):
    place.put("reports/linked/x", "x")
    folder = there()
    (folder / "reports").mkdir()
    (tmp_path / "outside").mkdir()
    (folder / "reports/linked").symlink_to(tmp_path / "outside")
    with pytest.raises(PipelineError, match="leads out of reports"):
        download(os.environ, ["reports"])
    assert list((tmp_path / "outside").iterdir()) == []


def test_objects_that_others_have_put_come_too_and_once(place, there):
    place.put("inference/date=2026-11-23/hour=21/9-1.parquet", "by the server itself")
    there()
    assert download(os.environ).files == 1
    assert download(os.environ).files == 0


def test_a_full_disk_is_told_and_what_has_come_stays(place, here, small_disk):
    (here / "data/landed/batches/0002_cd.csv").write_bytes(bytes(3_000_000))
    upload(os.environ)
    process = churn_drift(small_disk, "download")
    _, errors = process.communicate()
    assert process.returncode == 1
    assert "No space left on device" in errors
    assert "what has gone stays, run it again for the rest" in errors
    arrived = copied(small_disk)
    assert {key: arrived[key] for key in arrived if key in KEYS}.items() <= copied(here).items()
    subprocess.run(["mount", "-o", "remount,size=16m", str(small_disk)], check=True)
    process = churn_drift(small_disk, "download")
    assert process.communicate()[1] == ""
    assert copied(here).items() <= copied(small_disk).items()


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 1 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if os.geteuid() != 0:
        pytest.skip("mounting a small file system needs root")
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)], check=True)
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_the_command_line_says_what_went_and_what_is_wrong_in_one_line(place, here):
    done = churn_drift(here, "upload", "reports", "models")
    said, errors = done.communicate()
    assert (done.returncode, said) == (
        0,
        f"uploaded to s3://{place.bucket}: 7 files (0.0 MB), 0 were there already\n",
    )
    assert errors.startswith(f"warning: bucket {place.bucket} keeps no old versions")
    done = churn_drift(here, "download", S3_BUCKET="nothing-there")
    said, errors = done.communicate()
    assert (done.returncode, said) == (1, "")
    assert errors.endswith("; make the bucket, or set S3_BUCKET to another\n")
    assert errors.count("\n") == 1


@pytest.mark.parametrize(
    ("env", "line"),
    [
        ({"AWS_SECRET_ACCESS_KEY": "", "AWS_ACCESS_KEY_ID": ""}, "credentials; set AWS_ACCESS_KEY_ID and AWS_SECRET_"),
        ({"AWS_SECRET_ACCESS_KEY": ""}, "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in .env, or AWS_PROFILE"),
        ({"AWS_PROFILE": "nobody"}, r"profile \(nobody\) could not be found; check AWS_PROFILE"),
        ({"S3_BUCKET": ""}, "S3_BUCKET is not set"),
        ({"S3_ENCRYPTION": "maybe"}, "S3_ENCRYPTION: 'maybe' is neither on nor off"),
    ],
)
def test_a_setting_that_is_wrong_is_told_with_what_mends_it(place, env, line):
    with user_of({**place.environment, **env}), pytest.raises(ChurnDriftError, match=line):
        upload(os.environ, ["reports"])


def test_another_server_is_served_unencrypted_where_that_is_said_and_sends_nothing_twice(here, tmp_path):
    (here / "data/landed/batches/0002_cd.csv").write_bytes(random.Random(5).randbytes(LARGE))
    with serve(tmp_path / "s3") as server:
        server.create_bucket("bucket")
        with user_of(Place("bucket", server.environment()).environment):
            with pytest.raises(PipelineError, match="this server does not encrypt: S3_ENCRYPTION=off"):
                upload(os.environ, ["reports"])
            off = {**os.environ, "S3_ENCRYPTION": "off"}
            moved = upload(off)
            assert moved.files == len(KEYS) + 1
            assert "does not tell whether it keeps old versions" in moved.warning
            assert upload(off).files == 0


def test_the_etag_of_a_file_is_the_one_that_s3_gives(place, here):
    for size in (0, 8 * 2**20 - 1, 8 * 2**20):
        (here / "reports/x").write_bytes(bytes(size))
        upload(os.environ, ["reports"])
        head = place.s3.head_object(Bucket=place.bucket, Key="reports/x")
        assert etag_of(Path("reports/x")) == head["ETag"].strip('"')


def test_a_user_who_may_not_write_is_told_which_command_names_the_permission(tmp_path, here):
    with moto(tmp_path) as owner:
        place = new_bucket(owner)
        reader = iam_user(owner, "Get*", "List*")
        enforce(owner)
        with user_of({**place.environment, **reader, **ISOLATED}):
            with pytest.raises(PipelineError, match=r"Access Denied; `churn-drift doctor --aws` names the permission"):
                upload(os.environ, ["reports"])
            assert download(os.environ).files == 0
