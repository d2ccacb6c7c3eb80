"""`train` of our container: what SageMaker calls in a training job. ML_ROOT names another place than /opt/ml.

input/config/hyperparameters.json   batch, run, commit, repository, as `sagemaker_job` sends them
input/data/source/                  the bundle of `git bundle`, where no repository is named
model/                              the champion that the run left; SageMaker keeps it
output/failure                      why it failed, for DescribeTrainingJob

https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-training-algo-running-container.html
"""

import json
import os
import shutil
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from churn_drift import paths
from churn_drift.aws.machines import remote_run
from churn_drift.aws.machines.remote_runs import NEWEST
from churn_drift.aws.machines.sagemaker_job import SOURCE
from churn_drift.errors import ChurnDriftError, ConfigError

ROOT = "/opt/ml"
LONGEST = 1024
"""Characters of output/failure that SageMaker shows."""


def main() -> int:
    """0: done; 1: failed, told in output/failure."""
    root = Path(os.environ.get("ML_ROOT", ROOT))
    try:
        print(train(root))
    except (ChurnDriftError, OSError) as error:
        (root / "output").mkdir(parents=True, exist_ok=True)
        (root / "output/failure").write_text(str(error)[:LONGEST], encoding="utf-8")
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def train(root: Path) -> str:
    """The production run at a commit; how it ended, in one line. Raises PipelineError and ConfigError."""
    asked = _hyperparameters(root / "input/config/hyperparameters.json")
    with tempfile.TemporaryDirectory(prefix="churn-drift-") as scratch:
        work = Path(scratch) / "repository"
        remote_run.step(Path(scratch), "git", "clone", "--quiet", _source(root, asked), str(work))
        told = remote_run.run(work, commit=asked.get("commit", NEWEST))
        if (work / paths.CHAMPION).is_dir():
            shutil.copytree(work / paths.CHAMPION, root / "model" / paths.CHAMPION, dirs_exist_ok=True)
    return told


def _hyperparameters(file: Path) -> Mapping[str, str]:
    try:
        found = json.loads(file.read_bytes())
        return {str(name): str(value) for name, value in found.items()}
    except (OSError, ValueError, AttributeError):
        raise ConfigError(f"{file}: no hyperparameters as SageMaker writes them; start it as a training job") from None


def _source(root: Path, asked: Mapping[str, str]) -> str:
    if asked.get("repository"):
        return asked["repository"]
    folder = root / "input/data" / SOURCE
    bundles = sorted(path for path in folder.rglob("*") if path.is_file())
    if len(bundles) != 1:
        raise ConfigError(f"{folder}: {len(bundles)} files, not one bundle of git; check RETRAIN_REPOSITORY")
    return str(bundles[0])


if __name__ == "__main__":
    sys.exit(main())
