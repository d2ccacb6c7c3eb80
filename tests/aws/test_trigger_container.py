"""What runs on the machines: newest sources, newest data, the pipeline's command, push, and how it ended is told.

The pipeline is a small stand-in that reads what DVC has pulled; git, DVC, bucket and container's entry are real.
"""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from churn_drift.aws.machines.remote_runs import REPOSITORY
from tests.contracts.reach import ROOT
from tests.remote.conftest import client, moto

BUCKET = "churn-drift"
CONTENT = b"customers"
MD5 = hashlib.md5(CONTENT, usedforsecurity=False).hexdigest()
CONFIG = f"""\
[core]
    analytics = false
    check_update = false
['remote "local"']
    url = /nowhere
['remote "s3"']
    url = s3://{BUCKET}/dvc
"""
PIPELINE = """\
import os, subprocess, sys
from pathlib import Path
assert sys.argv[1:] == ["--aws", "--push", "--commit"], sys.argv
assert os.environ["USE_AWS"] == "true"
if Path("fails").exists():
    sys.exit("error: customers.csv: AgeHH1: is missing")
champion = Path("models/champion")
champion.mkdir(parents=True)
(champion / "model.ubj").write_bytes(Path("data.bin").read_bytes())
subprocess.run(["git", "add", "-f", "models"], check=True)
subprocess.run(["git", "commit", "--quiet", "--message", "Promote"], check=True)
sys.exit(3 if Path("worse").exists() else 0)
"""


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    with moto(tmp_path_factory.mktemp("moto")) as owner:
        s3 = client(owner)
        s3.create_bucket(Bucket=BUCKET)
        s3.put_object(Bucket=BUCKET, Key=f"dvc/files/md5/{MD5[:2]}/{MD5[2:]}", Body=CONTENT)
        yield {**owner, "S3_BUCKET": BUCKET, "AWS_EC2_METADATA_DISABLED": "true"}


@pytest.fixture
def machine(settings: dict[str, str], tmp_path: Path) -> dict[str, str]:
    """The environment of a machine of AWS: a role's credentials, and nothing of this user's."""
    kept = {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}", "HOME": str(tmp_path)}
    (tmp_path / "tmp").mkdir()
    own = {
        "DVC_SITE_CACHE_DIR": str(tmp_path / "site"),
        "TMPDIR": str(tmp_path / "tmp"),
        "ML_ROOT": str(tmp_path / "ml"),
    }
    return {**kept, **settings, **own, "GIT_CONFIG_GLOBAL": os.devnull, "PYTHONPATH": str(ROOT / "src")}


@pytest.fixture
def origin(tmp_path: Path, machine: dict[str, str]) -> Path:
    """The repository that everybody clones, with one commit on main."""
    work, bare = tmp_path / "work", tmp_path / "origin.git"
    (work / ".dvc").mkdir(parents=True)
    for name, text in {
        ".dvc/config": CONFIG,
        ".gitignore": "/data.bin\n.dvc/tmp\n.dvc/cache\n.dvc/config.local\n",
        "data.bin.dvc": f"outs:\n- md5: {MD5}\n  size: {len(CONTENT)}\n  hash: md5\n  path: data.bin\n",
        "dvc.yaml": "stages: {}\n",
        "params.yaml": "{}\n",
        "run_pipeline.py": PIPELINE,
    }.items():
        (work / name).write_text(text)
    git(tmp_path, "init", "--quiet", "--bare", "--initial-branch=main", str(bare))
    git(work, "init", "--quiet", "--initial-branch=main")
    git(work, "remote", "add", "origin", str(bare))
    commit(work, "Start")
    return bare


def test_the_container_leaves_the_run_s_commit_in_git_and_its_champion_for_sagemaker(
    origin: Path, machine: dict[str, str], tmp_path: Path
) -> None:
    asked = {"batch": "inbox/x.csv", "run": "x-1", "commit": "HEAD", "repository": str(origin)}
    done = train(asked, machine)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "done"
    assert (tmp_path / "ml/model/models/champion/model.ubj").read_bytes() == CONTENT
    assert git(origin, "log", "--format=%s %an", "main").splitlines() == ["Promote churn-drift", "Start A User"]
    assert not (tmp_path / "ml/output/failure").exists()
    assert [left for left in (tmp_path / "tmp").iterdir() if left.name.startswith("churn-drift-")] == []


def test_a_run_of_a_tag_says_that_nothing_is_kept_in_git(origin: Path, machine: dict[str, str], tmp_path: Path) -> None:
    git(tmp_path / "work", "push", "--quiet", "origin", "HEAD:refs/tags/v1")
    done = train({"batch": "inbox/x.csv", "run": "x-2", "commit": "v1", "repository": str(origin)}, machine)
    assert done.returncode == 0, done.stderr
    told = "done; v1 is no branch: nothing is kept in git, what arrived waits in the inbox"
    assert done.stdout.splitlines()[-1] == told
    assert git(origin, "log", "--format=%s", "main").splitlines() == ["Start"]


def test_the_container_takes_a_bundle_and_tells_sagemaker_why_it_failed(
    origin: Path, machine: dict[str, str], tmp_path: Path
) -> None:
    channel = tmp_path / "ml/input/data/source"
    channel.mkdir(parents=True)
    git(origin, "bundle", "create", "--quiet", str(channel / "source.bundle"), "main", "HEAD")
    done = train({"batch": "b", "run": "b-1", "commit": "nowhere"}, machine)
    failure = (tmp_path / "ml/output/failure").read_text()
    assert done.returncode == 1
    assert failure.startswith("`git checkout --quiet nowhere` ended with 1: error: pathspec 'nowhere'")
    assert done.stderr.splitlines()[-1] == f"error: {failure}"


def test_a_run_from_a_bundle_puts_it_back_with_its_commit(
    origin: Path, machine: dict[str, str], settings: dict[str, str], tmp_path: Path
) -> None:
    machine[REPOSITORY] = f"s3://{BUCKET}/releases/one.bundle"
    put(tmp_path / "work", machine)
    channel = tmp_path / "ml/input/data/source"
    channel.mkdir(parents=True)
    client(settings).download_file(BUCKET, "releases/one.bundle", str(channel / "one.bundle"))
    done = train({"batch": "b", "run": "b-1", "commit": "HEAD"}, machine)
    assert done.returncode == 0, done.stderr
    client(settings).download_file(BUCKET, "releases/one.bundle", str(tmp_path / "after.bundle"))
    git(tmp_path, "clone", "--quiet", str(tmp_path / "after.bundle"), str(tmp_path / "after"))
    assert git(tmp_path / "after", "log", "--format=%s").splitlines() == ["Promote", "Start"]


def test_a_bundle_whose_commits_are_not_here_is_not_overwritten(
    origin: Path, machine: dict[str, str], tmp_path: Path
) -> None:
    machine[REPOSITORY] = f"s3://{BUCKET}/releases/two.bundle"
    git(tmp_path, "clone", "--quiet", str(origin), str(tmp_path / "older"))
    (tmp_path / "work/newer").touch()
    commit(tmp_path / "work", "Newer")
    assert put(tmp_path / "work", machine).returncode == 0
    done = put(tmp_path / "older", machine)
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: s3://{BUCKET}/releases/two.bundle: has commits on refs/heads/main that are")
    assert put(tmp_path / "work", machine).returncode == 0


def put(folder: Path, machine: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """`churn-drift bundle` there."""
    command = [sys.executable, "-m", "churn_drift.cli", "bundle"]
    return subprocess.run(command, cwd=folder, env=machine, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("mark", "code", "told"),
    [
        (
            "fails",
            1,
            "`python run_pipeline.py --aws --push --commit` ended with 1: error: customers.csv: AgeHH1: is missing",
        ),
        ("worse", 0, "the policy was significantly worse than never retraining; nothing promoted"),
    ],
)
def test_a_run_on_an_instance_takes_the_newest_sources_and_tells_the_bucket_how_it_ended(
    origin: Path, machine: dict[str, str], settings: dict[str, str], tmp_path: Path, mark: str, code: int, told: str
) -> None:
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "--quiet", str(origin), str(clone))
    (tmp_path / "work" / mark).touch()
    commit(tmp_path / "work", mark)
    command = [
        sys.executable,
        "-m",
        "churn_drift.aws.machines.remote_run",
        "--commit",
        "main",
        "--batch",
        "b",
        "--run",
        f"{mark}-1",
    ]
    done = subprocess.run(command, cwd=clone, env=machine, capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stderr
    outcome = client(settings).get_object(Bucket=BUCKET, Key=f"locks/retrain-{mark}-1.outcome.json")["Body"].read()
    assert json.loads(outcome) == {"code": code, "told": told}
    lease = json.loads(client(settings).get_object(Bucket=BUCKET, Key="locks/run.json")["Body"].read())
    assert lease["seconds"] == 0


def train(asked: dict[str, str], machine: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """As SageMaker does: the files below /opt/ml, then `docker run IMAGE train`."""
    file = Path(machine["ML_ROOT"]) / "input/config/hyperparameters.json"
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps(asked))
    return subprocess.run([ROOT / "deploy/train"], env=machine, capture_output=True, text=True, check=False)


def commit(work: Path, message: str) -> None:
    git(work, "add", "--all")
    git(work, "-c", "user.name=A User", "-c", "user.email=user@example.org", "commit", "--quiet", "--message", message)
    git(work, "push", "--quiet", "--set-upstream", "origin", "main")


def git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout
