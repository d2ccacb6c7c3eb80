"""Production runs by the scheduler, day by day, end where one `dvc repro` over the same batches ends."""

from pathlib import Path

import pytest

from scripts.simulated_month import COMPARED, simulate
from tests.end_to_end.repository import Finished


@pytest.mark.long
def test_three_days_by_the_scheduler_are_byte_for_byte_one_reproduction(finished: Finished, tmp_path: Path) -> None:
    runs, rows = simulate(finished.repository, tmp_path, days=3, rows=60)
    assert [(run.exit, run.trigger) for run in runs] == [(0, "time")] * 3
    assert [run.did.split(", promoted")[0] for run in runs] == ["1 landed, 1 judged"] * 3
    assert [row.path for row in rows if row.same] == list(COMPARED)
