"""DVC's own commands against real S3 servers over HTTP: buckets, credentials and endpoint from the environment only."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from scripts.s3_server import Server, serve
from tests.end_to_end.repository import Finished
from tests.remote.conftest import BUCKET, FILES, URL, Clone, checksums, client, copied, intact, moto, objects, stored

pytestmark = pytest.mark.slow

CHAMPION = "models/champion"
FROM_S3 = ("--remote", "s3", "--remote-config", f"url={URL}")
"""For a repository whose commits do not name the bucket; last, because --remote-config takes every word after it."""


@dataclass(frozen=True)
class Pushed:
    """The finished pipeline after `churn-drift remote s3` and `dvc push`; git: where others clone it, without data."""

    user: Clone
    git: Path
    server: Server

    @property
    def tracked(self) -> dict[str, str]:
        """Checksums of what DVC keeps of data and models."""
        return results(self.user)


def results(user: Clone) -> dict[str, str]:
    """Checksums of the files below data and models that git does not have."""
    here = {**checksums(user.root / "data", "data/"), **checksums(user.root / "models", "models/")}
    in_git = set(user.run("git", "ls-files").splitlines())
    return {name: checksum for name, checksum in here.items() if name not in in_git}


@pytest.fixture(scope="session")
def pushed(finished: Finished, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pushed]:
    """Pushed once; nobody changes it."""
    folder = tmp_path_factory.mktemp("pushed")
    with serve(folder / "s3") as server:
        server.create_bucket(BUCKET)
        shutil.copytree(finished.repository.root, folder / "user", symlinks=True)
        user = Clone(folder / "user", {**server.environment(), "S3_BUCKET": BUCKET})
        user.run("churn-drift", "remote", "s3")
        assert "files pushed" in user.dvc("push")
        user.run("git", "clone", "--quiet", "--bare", ".", str(folder / "team.git"))
        yield Pushed(user, folder / "team.git", server)


@pytest.fixture
def newcomer(pushed: Pushed, tmp_path: Path) -> Clone:
    """A second user's clone, pointed at S3, before any pull."""
    pushed.user.run("git", "clone", "--quiet", str(pushed.git), str(tmp_path / "newcomer"))
    clone = replace(pushed.user, root=tmp_path / "newcomer")
    clone.run("churn-drift", "remote", "s3")
    return clone


def test_what_was_pushed_is_stored_under_its_checksum_and_nothing_is_written_into_git(pushed):
    there = stored(pushed.server.environment())
    assert len(there) > 20
    assert intact(there)
    assert set(pushed.tracked.values()) <= set(there)
    assert pushed.user.changes == []
    assert pushed.user.dvc("push") == "Everything is up to date.\n"


def test_a_clone_pulls_the_same_bytes_and_is_up_to_date_without_running_a_stage(pushed, newcomer):
    assert results(newcomer) == {}
    newcomer.dvc("pull")
    assert results(newcomer) == pushed.tracked
    assert newcomer.dvc("status") == "Data and pipelines are up to date.\n"
    assert newcomer.dvc("status", "--cloud") == "Cache and remote 's3' are in sync.\n"
    assert newcomer.changes == []


def test_fetch_fills_the_cache_and_checkout_needs_no_server_then(pushed, newcomer):
    assert CHAMPION in newcomer.dvc("status", "--cloud", CHAMPION)
    newcomer.dvc("fetch", CHAMPION)
    assert results(newcomer) == {}
    newcomer.dvc("checkout", CHAMPION, AWS_ENDPOINT_URL="http://127.0.0.1:1")
    assert checksums(newcomer.root / CHAMPION) == checksums(pushed.user.root / CHAMPION)


def test_get_brings_the_champion_alone_into_any_folder(pushed, tmp_path):
    anyone = replace(pushed.user, root=tmp_path)
    anyone.dvc("get", f"file://{pushed.git}", CHAMPION, "--out", "champion", *FROM_S3)
    assert checksums(tmp_path / "champion") == checksums(pushed.user.root / CHAMPION)


def test_import_brings_the_champion_into_another_repository_whose_clones_pull_it(pushed, template, tmp_path):
    project = copied(template, tmp_path / "project", pushed.user.settings)
    project.dvc("import", f"file://{pushed.git}", CHAMPION, "--out", "champion", *FROM_S3)
    assert checksums(project.root / "champion") == checksums(pushed.user.root / CHAMPION)
    project.commit("Import the champion")
    colleague = project.clone(tmp_path / "colleague")
    colleague.dvc("pull", "champion.dvc")
    assert checksums(colleague.root / "champion") == checksums(pushed.user.root / CHAMPION)


def test_a_team_that_commits_its_bucket_needs_no_options(pushed, newcomer, tmp_path):
    newcomer.dvc("remote", "default", "s3")
    newcomer.dvc("remote", "modify", "s3", "url", URL)
    newcomer.commit("Keep the data in our bucket")
    newcomer.run("git", "clone", "--quiet", "--bare", ".", str(tmp_path / "ours.git"))
    anyone = replace(pushed.user, root=tmp_path)
    anyone.dvc("get", f"file://{tmp_path / 'ours.git'}", CHAMPION, "--out", "champion")
    assert checksums(tmp_path / "champion") == checksums(pushed.user.root / CHAMPION)


def test_the_local_remote_beside_the_checkout_does_the_same_without_any_setting(pushed, tmp_path):
    shutil.copytree(pushed.user.root, tmp_path / "one" / "repository", symlinks=True)
    user = Clone(tmp_path / "one" / "repository")
    user.run("churn-drift", "remote")
    user.dvc("push")
    assert intact(objects(tmp_path / "one" / "churn-drift-remote"))
    assert user.changes == []
    other = user.clone(tmp_path / "one" / "other")
    other.dvc("pull")
    assert results(other) == pushed.tracked


def test_a_second_implementation_of_s3_gives_the_same_bytes(template, tmp_path):
    with moto(tmp_path) as settings:
        client(settings).create_bucket(Bucket=BUCKET)
        user = copied(template, tmp_path / "user", settings)
        user.dvc("push")
        assert intact(stored(settings))
        other = user.clone(tmp_path / "other")
        other.dvc("pull")
        assert other.data == user.data
        assert len(other.data) == FILES
