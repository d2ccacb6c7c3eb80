"""The systemd timer: systemd does not run here, so systemd-analyze judges the files."""

import re
import subprocess
import sys
from pathlib import Path

from churn_drift.scheduler.plan import FINAL
from tests.contracts.reach import ROOT

NAME = "churn-drift-pipeline"
SERVICE, TIMER = (ROOT / "deploy" / f"{NAME}.{kind}" for kind in ("service", "timer"))


def test_systemd_finds_nothing_wrong_with_service_and_timer_and_little_that_they_leave_open(tmp_path: Path) -> None:
    for unit in (SERVICE, TIMER):
        text = unit.read_text().replace("/opt/churn-drift/.venv/bin/python", sys.executable)
        (tmp_path / unit.name).write_text(text)
    verified = analyze("verify", str(tmp_path / TIMER.name), str(tmp_path / SERVICE.name))
    assert (verified.returncode, verified.stderr) == (0, "")
    judged = analyze("security", "--offline=true", "--threshold=14", str(tmp_path / SERVICE.name))
    assert judged.returncode == 0, judged.stdout


def test_the_timer_s_time_is_one_and_makes_up_for_a_machine_that_was_off() -> None:
    told = settings(TIMER)
    done = analyze("calendar", "--iterations=1", told["OnCalendar"])
    assert done.returncode == 0
    assert "02:00:00" in done.stdout
    assert told["Persistent"] == "true"


def test_the_service_runs_the_pipeline_and_tries_again_what_the_scheduler_would() -> None:
    told = settings(SERVICE)
    assert re.fullmatch(r"\S+/python run_pipeline\.py \$PIPELINE_OPTIONS", told["ExecStart"])
    assert (ROOT / "run_pipeline.py").exists()
    assert [int(code) for code in told["RestartPreventExitStatus"].split()] == [code for code in FINAL if code]


def settings(unit: Path) -> dict[str, str]:
    lines = [line for line in unit.read_text().splitlines() if "=" in line and not line.startswith("#")]
    return dict(line.split("=", 1) for line in lines)


def analyze(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["systemd-analyze", *arguments], capture_output=True, text=True, check=False)
