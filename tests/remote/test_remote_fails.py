"""The remote fails in every way that a remote fails: DVC says so, nothing is lost, and doing it again completes it.

Every server here is real, and those that die are killed.
"""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts.s3_server import serve
from tests.remote.conftest import (
    AT_ONCE,
    BUCKET,
    FILES,
    SIZE,
    Clone,
    client,
    copied,
    enforce,
    iam_user,
    intact,
    moto,
    stored,
)
from tests.remote.relay import Relay, held, relayed

pytestmark = pytest.mark.long

OBJECTS = FILES + 1  # and the list of them
MIDDLE = FILES * SIZE // 2


def completes(user: Clone, folder: Path) -> str:
    """The push, done again, and a pull after it into a new clone, give the same bytes; what the push says."""
    said = user.dvc("push")
    assert intact(user.cache)
    assert len(user.cache) == OBJECTS
    other = user.clone(folder / "other")
    other.dvc("pull")
    assert other.data == user.data
    assert len(other.data) == FILES
    return said


WRONG = {
    "nobody's key": {"AWS_ACCESS_KEY_ID": "nobody"},
    "another secret": {"AWS_SECRET_ACCESS_KEY": "another-secret"},
    "no credentials": {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""},
}


def test_wrong_credentials_push_and_pull_nothing(user, server, tmp_path):
    other = user.clone(tmp_path / "refused")
    said = {
        name: (user.dvc("push", code=255, **faulty), other.dvc("pull", code=1, **faulty))
        for name, faulty in WRONG.items()
    }
    forbidden = "Forbidden: An error occurred (403) when calling the HeadObject operation: Forbidden"
    for name, words in {
        "nobody's key": forbidden,
        "another secret": forbidden,
        "no credentials": "Unable to locate credentials",
    }.items():
        assert all(words in text for text in said[name])
    assert stored(server.environment()) == {}
    assert other.data == {}
    completes(user, tmp_path)


def test_a_missing_bucket_is_told_by_push_and_by_the_doctor_but_not_by_pull(template, tmp_path):
    with serve(tmp_path / "s3") as server:
        user = copied(template, tmp_path / "user", server.environment())
        assert "NoSuchBucket" in user.dvc("push", code=255)
        other = user.clone(tmp_path / "early")
        said = other.dvc("pull", code=1)
        assert "Everything is up to date." in said  # DVC's own words: the reason for `churn-drift doctor`
        assert "failed to pull data from the cloud - Checkout failed" in said
        assert other.doctor(code=2)["bucket"].startswith("WRONG bucket churn-drift does not exist there: make it")
        server.create_bucket(BUCKET)
        completes(user, tmp_path)


def test_a_bucket_that_may_only_be_read_refuses_the_push_and_serves_the_pull(template, tmp_path):
    with moto(tmp_path) as owner:
        client(owner).create_bucket(Bucket=BUCKET)
        reader, writer = iam_user(owner, "Get*", "List*"), iam_user(owner, "*")
        copied(template, tmp_path / "writer", writer).dvc("push")
        enforce(owner)
        user = copied(template, tmp_path / "user", reader)
        (user.root / "data" / "00.bin").write_bytes(b"changed")
        user.dvc("add", "--quiet", "data")
        before = user.data
        said = user.dvc("push", code=1)
        assert "Access Denied: An error occurred (AccessDenied) when calling the PutObject operation" in said
        assert "failed to push data to the cloud - 2 files failed to upload" in said
        assert len(stored(writer)) == OBJECTS
        assert user.doctor(code=2)["write"].startswith("WRONG write not allowed (Access Denied)")
        other = user.clone(tmp_path / "other")
        other.dvc("pull")
        assert len(other.data) == FILES
        assert intact(user.cache)
        user.commit("Change")
        user.dvc("push", **writer)
        other.run("git", "pull", "--quiet")
        other.dvc("pull")
        assert other.data == before


def test_a_server_killed_in_mid_push_costs_nothing_but_the_rest_of_the_push(user, server, tmp_path):
    with relayed(Relay(server.port, up=MIDDLE, then=server.kill)) as address:
        said = user.dvc("push", "--jobs", "2", code=1, AWS_ENDPOINT_URL=address, **AT_ONCE)
    assert "failed to push data to the cloud" in said
    assert "files failed to upload" in said
    server.start()
    arrived = stored(server.environment())
    assert 0 < len(arrived) < OBJECTS
    assert intact(arrived)
    assert f"{OBJECTS - len(arrived)} files pushed" in completes(user, tmp_path)


def test_a_server_killed_in_mid_pull_costs_nothing_but_the_rest_of_the_pull(user, server, tmp_path):
    user.dvc("push")
    other = user.clone(tmp_path / "cut")
    with relayed(Relay(server.port, down=MIDDLE, then=server.kill)) as address:
        said = other.dvc("pull", "--jobs", "2", code=1, AWS_ENDPOINT_URL=address, **AT_ONCE)
    assert "failed to pull data from the cloud" in said
    assert "files failed to download" in said
    assert 0 < len(other.cache) < OBJECTS
    assert intact(other.cache)
    server.start()
    other.dvc("pull")
    assert other.data == user.data
    assert intact(other.cache)
    assert intact(stored(server.environment()))


def test_a_server_that_is_down_is_named_by_push_and_pull(user, server, tmp_path):
    server.kill()
    words = f'Could not connect to the endpoint URL: "{server.endpoint}/{BUCKET}"'
    assert words in user.dvc("push", code=255, **AT_ONCE)
    other = user.clone(tmp_path / "early")
    assert words in other.dvc("pull", code=1, **AT_ONCE)
    server.start()
    completes(user, tmp_path)


def test_a_full_disk_of_the_server_takes_the_rest_when_it_has_room_again(template, tmp_path):
    with serve(tmp_path / "s3", capacity="3M") as server:
        server.create_bucket(BUCKET)
        user = copied(template, tmp_path / "user", server.environment())
        said = user.dvc("push", code=1, **AT_ONCE)
        assert "no space left on device" in said
        assert "files failed to upload" in said
        arrived = stored(server.environment())
        assert 0 < len(arrived) < OBJECTS
        assert intact(arrived)
        server.stop()
        server.format(capacity="0")
        server.start()
        assert f"{OBJECTS - len(arrived)} files pushed" in completes(user, tmp_path)


def test_a_full_disk_of_the_user_keeps_what_has_come_and_takes_the_rest_later(user, small_disk, tmp_path):
    user.dvc("push")
    other = user.clone(tmp_path / "other")
    other.dvc("cache", "dir", "--local", str(small_disk))
    said = other.dvc("pull", code=1)
    assert "No space left on device" in said
    assert "files failed to download" in said
    assert other.doctor(code=2)["disk"].startswith("WRONG disk 0.0 GB free for DVC's cache")
    kept = [file for file in small_disk.rglob("*") if file.is_file()]
    assert 0 < len(kept) < OBJECTS
    subprocess.run(["mount", "-o", "remount,size=64m", str(small_disk)], check=True)
    assert f"{OBJECTS - len(kept)} files fetched" in other.dvc("pull")
    assert other.data == user.data


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 2 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if os.geteuid() != 0:
        pytest.skip("mounting a small file system needs root")
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)], check=True)
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_two_clones_that_push_at_once_both_complete(user, server, tmp_path):
    second = copied(user, tmp_path / "second", user.settings)
    with held(server.port, up=MIDDLE) as (address, standing, release):
        first = user.start("push", "--jobs", "2", AWS_ENDPOINT_URL=address)
        assert standing.wait(30)
        second.dvc("push")
        assert first.poll() is None
        assert len(stored(server.environment())) == OBJECTS
        release()
        said, _ = first.communicate(timeout=60)
    assert first.returncode == 0, said
    assert intact(stored(server.environment()))
    completes(user, tmp_path)


def test_a_second_push_in_the_same_repository_is_told_of_the_first(user, server, tmp_path):
    with held(server.port, up=MIDDLE) as (address, standing, release):
        first = user.start("push", "--jobs", "2", AWS_ENDPOINT_URL=address)
        assert standing.wait(30)
        said = user.dvc("push", code=1)
        assert "Unable to acquire lock. Most likely another DVC process is running" in said
        release()
        said, _ = first.communicate(timeout=60)
    assert first.returncode == 0, said
    completes(user, tmp_path)
