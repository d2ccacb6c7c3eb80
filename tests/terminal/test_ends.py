"""How a command ends that somebody stops: by Ctrl-C, or by reading no further."""

import os
import subprocess
import sys
from pathlib import Path
from typing import NoReturn

import pytest

from churn_drift import cli
from churn_drift.serving import server
from churn_drift.stages import entry
from tests.contracts.reach import ROOT
from tests.terminal.typed import environment, in_pipe

COMPLAINS = """
import sys
from churn_drift import cli
from churn_drift.errors import PipelineError
def publish(parsed):
    print("first")
    raise PipelineError("second")
cli._COMMANDS["publish"] = publish
sys.exit(cli.main(["publish"]))
"""


def _interrupted(*_: object, **__: object) -> NoReturn:
    raise KeyboardInterrupt


@pytest.mark.parametrize("typed", ["run", "step --batch x.csv", "land x.csv", "publish"])
def test_ctrl_c_ends_a_command_in_one_line_that_says_how_to_go_on(
    typed: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setitem(cli._COMMANDS, typed.partition(" ")[0], _interrupted)
    assert cli.main(typed.split()) == 130
    assert capsys.readouterr().err == "interrupted; what was finished is kept, run it again to go on\n"


def test_ctrl_c_ends_a_stage_without_a_word(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="130"):
        entry.run(_interrupted)
    assert capsys.readouterr().err == ""


def test_ctrl_c_ends_a_server_that_has_not_begun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(server, "_serve", _interrupted)
    monkeypatch.setattr(server.logs, "start", lambda **_: None)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", "")
    assert server.main([]) == 130
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("typed", [["--help"], ["models", "list"]])
def test_a_reader_that_has_seen_enough_is_no_error(typed: list[str]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    ended = subprocess.run(
        ["churn-drift", *typed],
        cwd=ROOT,
        env=environment(),
        stdout=writing,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    os.close(writing)
    assert (ended.returncode, ended.stderr) == (141, "")


def test_in_a_pipe_an_error_comes_after_what_was_said_before_it() -> None:
    assert in_pipe([sys.executable, "-c", COMPLAINS]).text == "first\nerror: second\n"
