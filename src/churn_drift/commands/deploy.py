"""`churn-drift deploy`: a version to where it answers, the server here or a SageMaker endpoint."""

import os
import shutil
import tempfile
from pathlib import Path

from churn_drift.commands.adapters import adapters
from churn_drift.ports import Deployer
from churn_drift.terminal import say, working
from churn_drift.tracking import pin, versions


def deploy(name: str | None, *, aws: bool | None) -> int:
    """0: it answers, as its golden records say.

    name  of the version (see `versions.resolve`); None: the champion
    aws   None: as USE_AWS says
    """
    deployer = adapters(os.environ, aws=aws).deployer()
    with working(f"rolling {name or 'the champion'} out"):
        done = roll_out(name or "champion", deployer)
    say(done)
    return 0


def roll_out(name: str, deployer: Deployer) -> str:
    """What answers now, in one line. Raises PipelineError where it did not come up."""
    version = versions.resolve(name)
    with tempfile.TemporaryDirectory(prefix="churn-drift-") as scratch:
        copy = Path(scratch) / version
        with pin.alone(), versions.folder_of(version) as folder:
            shutil.copytree(folder, copy)  # a roll-out takes minutes, in which others may promote
        return deployer.deploy(copy, version=version)
