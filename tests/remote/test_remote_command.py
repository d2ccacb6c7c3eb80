"""`churn-drift remote` chooses by DVC's own configuration, in this clone only, and writes no secret."""

import pytest

from tests.contracts.reach import ROOT
from tests.remote.conftest import CONFIG, Clone, copied

LOCAL = CONFIG.replace("remote = s3", "remote = local")
SECRET = "the-secret"


@pytest.fixture
def user(template: Clone, tmp_path) -> Clone:
    """A user whose commits go to the local remote, as in this repository."""
    clone = copied(template, tmp_path / "user", {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": SECRET})
    (clone.root / ".dvc" / "config").write_text(LOCAL)
    clone.commit("Default to the local remote")
    return clone


def kept(user: Clone) -> str:
    file = user.root / ".dvc" / "config.local"
    return file.read_text() if file.exists() else ""


def test_the_committed_configuration_goes_to_a_folder_beside_the_checkout_and_knows_s3():
    clone = Clone(ROOT)
    assert clone.dvc("config", "--project", "core.remote").strip() == "local"
    assert clone.dvc("config", "--project", "remote.local.url").strip() == str(ROOT.parent / "churn-drift-remote")
    assert clone.dvc("config", "--project", "remote.s3.url").strip() == "s3://churn-drift/dvc"
    assert "version_aware" not in clone.read(".dvc/config")


def test_s3_is_chosen_for_this_clone_only_and_twice_is_once(user):
    said = user.run("churn-drift", "remote", "s3", S3_BUCKET="our-bucket")
    assert said == "`dvc push` and `dvc pull` now go to s3://our-bucket/dvc (remote s3, chosen in .dvc/config.local)\n"
    assert user.dvc("remote", "default").strip() == "s3"
    first = kept(user)
    user.run("churn-drift", "remote", "s3", S3_BUCKET="our-bucket")
    assert kept(user) == first
    assert user.changes == []


def test_local_takes_it_back(user):
    user.run("churn-drift", "remote", "s3", S3_BUCKET="our-bucket")
    said = user.run("churn-drift", "remote", "local")
    assert f"now go to {user.root.parent / 'churn-drift-remote'} (remote local" in said
    assert user.dvc("remote", "default").strip() == "local"


def test_without_a_name_the_mode_decides_also_the_one_in_dotenv(user):
    (user.root / ".env").write_text("USE_AWS=yes\nS3_BUCKET=our-bucket\n")
    assert "s3://our-bucket/dvc" in user.run("churn-drift", "remote")
    assert "(remote local" in user.run("churn-drift", "remote", USE_AWS="off")


def test_no_credentials_are_written(user):
    user.run("churn-drift", "remote", "s3", S3_BUCKET="our-bucket")
    written = [file for file in (user.root / ".dvc").rglob("*") if file.is_file()]
    assert not [file for file in written if SECRET.encode() in file.read_bytes()]


@pytest.mark.parametrize(
    ("env", "words"),
    [
        ({"USE_AWS": "maybe"}, "error: USE_AWS: 'maybe' is neither true nor false; set USE_AWS=true or USE_AWS=false"),
        ({"USE_AWS": "true"}, "error: S3_BUCKET is not set; put S3_BUCKET=your-bucket into .env, or export it"),
        (
            {"USE_AWS": "1", "S3_BUCKET": "s3://b/dvc"},
            "error: S3_BUCKET: 's3://b/dvc' is no name of a bucket; give the",
        ),
        (
            {"USE_AWS": "1", "S3_BUCKET": "Our_Bucket"},
            "error: S3_BUCKET: 'Our_Bucket' is no name of a bucket; give the",
        ),
    ],
)
def test_a_setting_that_says_nothing_clear_is_refused_by_name_and_changes_nothing(user, env, words):
    said = user.run("churn-drift", "remote", code=2, **env)
    assert said.startswith(words)
    assert said.count("\n") == 1
    assert kept(user) == ""


def test_a_remote_that_is_not_in_the_configuration_is_a_failure_of_dvc(user):
    user.dvc("remote", "remove", "s3")
    said = user.run("churn-drift", "remote", "s3", code=1, S3_BUCKET="our-bucket")
    assert "remote 's3' doesn't exist" in said
    assert "error: `dvc remote modify --local s3 url s3://our-bucket/dvc` failed (see above)" in said
