"""The doctor names what is wrong in one line, with what mends it. Servers, their faults and their answers are real."""

import http.server
import re
import shutil
import socket
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from scripts.s3_server import free_port, serve
from tests.remote.conftest import BUCKET, Clone, client, copied, enforce, iam_user, moto, stored


def test_a_good_set_up_is_all_ok_shows_no_secret_and_leaves_nothing_behind(user, server):
    said = user.run("churn-drift", "doctor", USE_AWS="true", S3_BUCKET=BUCKET)
    assert said.endswith("nothing is wrong\n")
    assert re.findall(r"(?m)^ok +(\w+)", said) == [
        "python", "packages", "git", "disk", "mlflow", "secrets", "remote",
        "credentials", "region", "endpoint", "clock", "addressing", "signature", "bucket", "write", "read", "delete",
    ]  # fmt: skip
    assert "16 bytes to dvc/.doctor-" in said
    assert server.secret not in said
    assert stored(server.environment()) == {}


@pytest.mark.parametrize(
    ("env", "line"),
    [
        (
            {"AWS_ACCESS_KEY_ID": "nobody"},
            "WRONG signature the server does not know the key id (The Access Key Id you provided does not exist in our "
            "records): check AWS_ACCESS_KEY_ID",
        ),
        (
            {"AWS_SECRET_ACCESS_KEY": "another-secret"},
            "WRONG signature the secret does not belong to the key id (The request signature we calculated does not "
            "match the signature you provided. Check your key and signing method): check AWS_SECRET_ACCESS_KEY",
        ),
        (
            {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""},
            "WRONG credentials none found: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in .env, or AWS_PROFILE",
        ),
        (
            {"AWS_SECRET_ACCESS_KEY": ""},
            "WRONG credentials Partial credentials found in env, missing: AWS_SECRET_ACCESS_KEY: set AWS_ACCESS_KEY_ID "
            "and AWS_SECRET_ACCESS_KEY in .env, or AWS_PROFILE",
        ),
        (
            {"AWS_PROFILE": "nobody"},
            "WRONG credentials The config profile (nobody) could not be found: set AWS_ACCESS_KEY_ID and "
            "AWS_SECRET_ACCESS_KEY in .env, or AWS_PROFILE",
        ),
        ({"AWS_DEFAULT_REGION": ""}, "WRONG region not set: set AWS_DEFAULT_REGION in .env"),
        (
            {"AWS_DEFAULT_REGION": "", "AWS_REGION": "us-east-1"},
            "WRONG region AWS_REGION is set, but boto3 and DVC do not read it: set AWS_DEFAULT_REGION",
        ),
        (
            {"AWS_ENDPOINT_URL": "127.0.0.1:9000"},
            "WRONG endpoint Invalid endpoint: 127.0.0.1:9000: set AWS_ENDPOINT_URL to an address such as "
            "http://127.0.0.1:9000",
        ),
        (
            {"S3_BUCKET": "another"},
            "WRONG remote S3_BUCKET is another, but `dvc push` goes to s3://churn-drift/dvc: `churn-drift remote s3`",
        ),
        (
            {"USE_AWS": "maybe"},
            "WRONG remote USE_AWS: 'maybe' is neither true nor false: set USE_AWS=true or USE_AWS=false",
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, dict) else "",
)
def test_a_wrong_setting_is_one_line_that_says_what_mends_it(user, env, line):
    said = user.doctor(code=2, **env)
    assert [text for text in said.values() if text.startswith("WRONG")] == [line]


def test_a_server_that_is_down_is_told_at_once_and_what_needs_it_is_skipped(user, server):
    server.kill()
    said = user.doctor(code=2)
    assert said["endpoint"] == (
        f"WRONG endpoint Could not connect to the endpoint URL: {server.endpoint}/{BUCKET}: "
        "start the server (`make s3` starts one here), or check AWS_ENDPOINT_URL"
    )
    assert said["addressing"] == "skip addressing needs endpoint"
    assert said["delete"] == "skip delete needs write"


def test_a_server_that_never_answers_is_told_within_ten_seconds(template, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        settings = {**KEYS, "AWS_ENDPOINT_URL": f"http://127.0.0.1:{deaf.getsockname()[1]}"}
        start = time.monotonic()
        said = copied(template, tmp_path / "user", settings).doctor(code=2)
        assert time.monotonic() - start < 10
    assert said["endpoint"].startswith("WRONG endpoint Read timeout on endpoint URL: http://127.0.0.1:")


KEYS = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_DEFAULT_REGION": "us-east-1"}


def test_a_server_that_is_not_an_s3_server_is_told_so(template, tmp_path):
    with files_served(tmp_path) as address:
        said = copied(template, tmp_path / "user", {**KEYS, "AWS_ENDPOINT_URL": address}).doctor(code=2)
    assert said["endpoint"] == f"ok endpoint {address} answers"
    assert said["signature"].startswith("WRONG signature not answered as S3 does")


def test_a_bucket_that_cannot_be_resolved_in_virtual_host_style_is_a_matter_of_addressing(user, server, tmp_path):
    config = tmp_path / "aws-config"
    config.write_text("[default]\ns3 =\n  addressing_style = virtual\n")
    address = f"http://localhost:{server.port}"
    said = user.doctor(code=2, AWS_CONFIG_FILE=str(config), AWS_ENDPOINT_URL=address)
    where = f"http://{BUCKET}.localhost:{server.port}"
    assert said["addressing"] == (
        f"WRONG addressing {where} does not reach the bucket (Could not connect to the endpoint URL: {where}/), "
        f"path style does: set `addressing_style = path` below `s3 =` in {config}"
    )
    config.write_text(config.read_text().replace("virtual", "path"))
    said = user.doctor(code=0, AWS_CONFIG_FILE=str(config), AWS_ENDPOINT_URL=address)
    assert said["addressing"] == f"ok addressing path style, {address}/{BUCKET}"


def test_a_bucket_with_dots_is_fine(user, server):
    server.create_bucket("our.bucket")
    user.run("churn-drift", "remote", "s3", S3_BUCKET="our.bucket")
    assert user.doctor(code=0)["bucket"] == "ok bucket our.bucket"


def test_a_server_without_room_is_told_at_the_write(template, tmp_path):
    with serve(tmp_path / "s3", capacity="100K") as server:
        server.create_bucket(BUCKET)
        fill(server.environment())
        said = copied(template, tmp_path / "user", server.environment()).doctor(code=2)
    assert said["write"].startswith("WRONG write We encountered an internal error, please try again")
    assert said["write"].endswith("mend the server: is its disk full?")
    assert said["delete"] == "skip delete needs write"


def fill(settings: dict[str, str]) -> None:
    """Put small objects until the server takes no more."""
    s3 = client(settings, attempts=1)
    with suppress(ClientError):
        for number in range(1000):
            s3.put_object(Bucket=BUCKET, Key=str(number), Body=b"x")


def test_a_clock_that_is_off_is_told_in_seconds(template, tmp_path):
    with moto(tmp_path, behind=400) as owner:
        client(owner).create_bucket(Bucket=BUCKET)
        said = copied(template, tmp_path / "user", owner).doctor(code=2)
    assert re.fullmatch(
        r"WRONG clock (399|4\d\d) s ahead of the server's, S3 refuses that: set this machine's clock \(NTP\)",
        said["clock"],
    )


def test_a_bucket_in_another_region_names_that_region(template, tmp_path):
    with moto(tmp_path) as owner:
        home = {"LocationConstraint": "eu-west-1"}
        client({**owner, "AWS_DEFAULT_REGION": "eu-west-1"}).create_bucket(
            Bucket=BUCKET, CreateBucketConfiguration=home
        )
        said = copied(template, tmp_path / "user", owner).doctor(code=2)
    assert said["bucket"] == (
        "WRONG bucket churn-drift lies in eu-west-1, not in us-east-1: set AWS_DEFAULT_REGION=eu-west-1"
    )


@pytest.mark.parametrize(
    ("denied", "line"),
    [
        ("List", "WRONG bucket churn-drift may not be listed: have s3:ListBucket allowed"),
        ("Put", "WRONG write not allowed (Access Denied): have s3:PutObject allowed; `dvc pull` works as it is"),
        ("Get", "WRONG read Access Denied: have s3:GetObject allowed"),
        ("Delete", r"WRONG delete Access Denied: have s3:DeleteObject allowed, and delete dvc/\.doctor-\w+"),
    ],
)
def test_a_permission_that_is_missing_is_named(template, permissions, tmp_path, denied, line):
    said = copied(template, tmp_path / "user", permissions[denied]).doctor(code=2)
    faults = [text for text in said.values() if text.startswith("WRONG")]
    assert len(faults) == 1
    assert faults[0] == line or re.fullmatch(line, faults[0])


@pytest.fixture(scope="module")
def permissions(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, dict[str, str]]]:
    """Settings of a user who may do all that DVC does, but not this."""
    actions = ("List*", "Head*", "Put*", "Get*", "Delete*")
    with moto(tmp_path_factory.mktemp("moto")) as owner:
        client(owner).create_bucket(Bucket=BUCKET)
        users = {name[:-1]: iam_user(owner, *(set(actions) - {name})) for name in actions}
        enforce(owner)
        yield users


@pytest.mark.parametrize("source", ["the environment", ".env", "the credentials file", ".dvc/config.local"])
def test_the_source_of_the_credentials_is_named_and_nothing_of_them_is_shown(template, server, tmp_path, source):
    settings = server.environment()
    key, secret = settings.pop("AWS_ACCESS_KEY_ID"), settings.pop("AWS_SECRET_ACCESS_KEY")
    user = copied(template, tmp_path / "user", settings)
    names = f"AWS_ACCESS_KEY_ID={key}\nAWS_SECRET_ACCESS_KEY={secret}\n"
    env = {}
    match source:
        case "the environment":
            env = dict(line.split("=") for line in names.splitlines())
        case ".env":
            (user.root / ".env").write_text(names)
        case "the credentials file":
            (tmp_path / "credentials").write_text(f"[team]\n{names.lower()}")
            env = {"AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "credentials"), "AWS_PROFILE": "team"}
        case _:
            user.dvc("remote", "modify", "--local", "s3", "access_key_id", key)
            user.dvc("remote", "modify", "--local", "s3", "secret_access_key", secret)
    said = user.run("churn-drift", "doctor", **env)
    assert f"ok     credentials  from {source}\n" in said
    assert secret not in said


def test_a_secret_in_the_committed_configuration_is_found_and_not_shown(user, server):
    user.dvc("remote", "modify", "s3", "secret_access_key", server.secret)
    user.dvc("remote", "modify", "s3", "access_key_id", server.key)
    said = user.run("churn-drift", "doctor", code=2)
    assert "WRONG  secrets      s3.secret_access_key in .dvc/config, which git keeps: move it by" in said
    assert server.secret not in said


@pytest.fixture
def local(template: Clone, tmp_path: Path) -> Clone:
    """A user whose default remote is a folder."""
    user = copied(template, tmp_path / "user", {})
    user.dvc("remote", "default", "local")
    return user


def test_a_folder_as_remote_needs_no_s3(local):
    said = local.doctor(code=0)
    assert said["remote"] == f"ok remote local: {local.root.parent / 'churn-drift-remote'}"
    assert said["folder"] == "ok folder is not there yet, `dvc push` makes it"
    assert said["s3"] == "skip s3 not used: `dvc push` goes elsewhere and USE_AWS is not set"
    assert not (local.root.parent / "churn-drift-remote").exists()
    local.dvc("push")
    assert local.doctor(code=0)["folder"] == "ok folder may be written"


def test_a_folder_that_cannot_be_written_is_told(local):
    (local.root.parent / "churn-drift-remote").write_text("a file is in the way")
    assert local.doctor(code=2)["folder"].endswith(
        "Not a directory: `dvc remote modify --local local url` to a folder that you may write"
    )


def test_aws_mode_with_a_folder_as_remote_is_wrong_and_s3_is_checked_all_the_same(local, server):
    said = local.doctor(code=2, USE_AWS="true", S3_BUCKET=BUCKET, **server.environment())
    assert said["remote"].startswith("WRONG remote USE_AWS is set, but `dvc push` goes to /")
    assert said["remote"].endswith("`churn-drift remote s3`, or USE_AWS=false")
    assert said["delete"] == "ok delete nothing is left behind"


def test_no_default_remote_is_wrong(local):
    local.dvc("config", "--unset", "core.remote")
    remedy = "`churn-drift remote local` or `churn-drift remote s3`"
    assert local.doctor(code=2)["remote"] == f"WRONG remote DVC has no default remote: {remedy}"


def test_versions_are_held_against_pyproject(local):
    file = local.root / "pyproject.toml"
    text = file.read_text()
    file.write_text(text.replace('"boto3"', '"boto3>=99"').replace('">=3.11,<3.12"', '">=3.99"'))
    said = local.doctor(code=2)
    assert re.fullmatch(
        r"WRONG packages boto3 1[.\d]+, not boto3>=99: `pip install -r requirements.txt`", said["packages"]
    )
    assert said["python"].startswith("WRONG python 3.11.")
    file.write_text(text.replace('"boto3"', '"churn-drift-is-no-such-package"'))
    assert "no-such-package missing" in local.doctor(code=2)["packages"]


def test_a_folder_without_git_is_told(local):
    shutil.rmtree(local.root / ".git")
    said = local.doctor(code=2, GIT_CEILING_DIRECTORIES=str(local.root.parent))
    assert said["git"].startswith("WRONG git fatal: not a git repository")


def test_a_configuration_that_dvc_does_not_understand_is_refused_in_one_line(local):
    (local.root / ".dvc" / "config").write_text("[core]\n    no_such_option = true\n")
    said = local.run("churn-drift", "doctor", code=2)
    assert said.startswith("error: .dvc/config: ")
    assert "no_such_option" in said
    assert said.count("\n") == 1


def test_mlflow_is_asked_where_a_server_is_named(local, tmp_path):
    (tmp_path / "health").write_text("OK")
    with files_served(tmp_path) as address:
        said = local.doctor(code=0, MLFLOW_TRACKING_URI=address.replace("//", "//me:pass@"))
        assert said["mlflow"] == f"ok mlflow {address.replace('//', '//me@')} answers"
        (tmp_path / "health").unlink()
        said = local.doctor(code=2, MLFLOW_TRACKING_URI=address)
        assert said["mlflow"].startswith(f"WRONG mlflow {address} answers 404")
    gone = f"http://127.0.0.1:{free_port()}"
    assert local.doctor(code=2, MLFLOW_TRACKING_URI=gone)["mlflow"] == (
        f"WRONG mlflow {gone} does not answer ([Errno 111] Connection refused): "
        "start it (`mlflow server`), or check MLFLOW_TRACKING_URI"
    )


def test_a_store_in_a_file_is_opened(local):
    store = local.root / "mlflow.db"
    with sqlite3.connect(store) as database:
        database.execute("CREATE TABLE alembic_version (version_num TEXT)")
    assert local.doctor(code=0)["mlflow"] == "ok mlflow mlflow.db"
    store.write_bytes(b"no database at all" * 99)
    assert local.doctor(code=2)["mlflow"].startswith(
        "WRONG mlflow mlflow.db: file is not a database: `mlflow db upgrade"
    )


@contextmanager
def files_served(folder: Path) -> Iterator[str]:
    """A web server that knows nothing of S3 and serves these files."""
    handler = partial(http.server.SimpleHTTPRequestHandler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
