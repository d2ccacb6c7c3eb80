"""The command line in this process."""

from collections.abc import Callable
from pathlib import Path

import pytest

from churn_drift.cli import main


@pytest.fixture
def run(scratch: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., object]:
    """`run("schedule", "status")`: exit code and both streams, on a terminal of 80 columns."""
    monkeypatch.setenv("COLUMNS", "80")

    def one(*arguments: str) -> tuple[int, str]:
        capsys.readouterr()
        code = main(arguments)
        told = capsys.readouterr()
        return code, told.out + told.err

    return one
