"""`churn-drift retrain`: start the pipeline on AWS for a batch, or ask how its run stands."""

import os

from churn_drift.commands.adapters import adapters
from churn_drift.terminal import say, working


def retrain(batch: str, *, seconds: float | None, aws: bool | None) -> int:
    """0: it has begun, or, with seconds to wait, it is done.

    batch  a name such as inbox/2026-11-24.csv, or the handle of a run that has begun
    aws    None: as USE_AWS says
    """
    remote = adapters(os.environ, aws=aws).trainer()
    from churn_drift.aws.trigger_retrain import KINDS

    with working(f"starting a run for {batch}"):
        handle = batch if batch.partition(":")[0] in KINDS else remote.start(batch)
    print(handle, flush=True)
    if seconds is not None:
        with working(f"waiting {seconds:.0f} s at most for {handle}"):
            ended = remote.wait(handle, seconds=seconds)
        say(ended)
    return 0
