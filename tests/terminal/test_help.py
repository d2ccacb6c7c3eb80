"""`--help` of every command, and what is said of an option or a command that is not there."""

import argparse
import ast
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from churn_drift import options
from churn_drift.serving import server
from churn_drift.usage import Parser
from tests.contracts.documents import faults
from tests.contracts.reach import ROOT
from tests.terminal.typed import COLOUR, ESCAPE, in_pipe, in_terminal


def _all(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    yield parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for below in action.choices.values():
                yield from _all(below)


PARSERS = [*_all(options.parser()), server.parser("python serve-model.py")]
SCRIPTS = sorted(path for path in ROOT.glob("scripts/*.py") if "churn_drift.usage" in path.read_text())


@pytest.mark.parametrize("parser", PARSERS, ids=lambda parser: parser.prog)
def test_help_fits_in_80_columns(parser: argparse.ArgumentParser, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert [line for line in parser.format_help().splitlines() if len(line) > 80] == []


@pytest.mark.parametrize("parser", PARSERS, ids=lambda parser: parser.prog)
def test_every_command_shows_an_example_that_can_be_typed(parser: argparse.ArgumentParser) -> None:
    text = parser.format_help()
    shown = re.search(r"^examples?:\n((?:  .+\n?)+)", text, re.MULTILINE)
    assert shown, text
    assert faults(f"```sh\n{shown[1]}\n```\n") == []


@pytest.mark.parametrize("parser", PARSERS, ids=lambda parser: parser.prog)
def test_every_argument_says_what_it_is(parser: argparse.ArgumentParser) -> None:
    given = [action for action in parser._actions if not isinstance(action, argparse._SubParsersAction)]
    assert [action.dest for action in given if not action.help] == []


def test_every_command_is_in_the_table_of_contents() -> None:
    text = options.parser().format_help()
    names = {words[1] for parser in PARSERS[1:-1] if len(words := parser.prog.split()) == 2}
    assert {name for name in names if re.search(rf"^  {name} ", text, re.MULTILINE)} == names


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_what_a_script_says_of_itself_fits_in_80_columns(script: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    text = Parser(description=ast.get_docstring(ast.parse(script.read_text()))).format_help()
    assert [line for line in text.splitlines() if len(line) > 80] == []


def test_the_help_of_a_script_names_its_defaults() -> None:
    seen = in_pipe(["python", "scripts/s3_server.py", "--help"], COLUMNS="80")
    assert seen.code == 0, seen.text
    assert "(default: 9000)" in seen.text
    assert [line for line in seen.lines if len(line) > 80] == []


def test_headings_and_names_are_coloured_in_a_terminal_and_nowhere_else() -> None:
    command = ("churn-drift", "land", "--help")
    seen = in_terminal(*command)
    assert "\x1b[1moptions:\x1b[0m" in seen.raw
    assert "\x1b[36m--since\x1b[0m" in seen.raw
    plain = [in_terminal(*command, NO_COLOR="1"), in_terminal(*command, TERM="dumb"), in_pipe(command)]
    assert [bool(ESCAPE.search(one.raw)) for one in plain] == [False, False, False]
    assert {one.text for one in [seen, *plain]} == {seen.text}
    assert COLOUR.search(in_pipe(command, FORCE_COLOR="1").raw)
    assert not COLOUR.search(in_pipe(command, FORCE_COLOR="1", NO_COLOR="1").raw)


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("rn", "invalid choice: 'rn' (did you mean run?); `churn-drift --help` says more"),
        ("run --comit", "unrecognized arguments: --comit (did you mean --commit?); `churn-drift run --help` says more"),
        ("models dif a b", "'dif' (did you mean diff?); `churn-drift models --help` says more"),
        ("models diff a", "the following arguments are required: B; `churn-drift models diff --help` says more"),
        ("keys add crm --scope all", "(choose from predict, admin); `churn-drift keys add --help` says more"),
    ],
)
def test_a_wrong_word_is_answered_in_one_line_with_the_right_one(
    typed: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        options.parser().parse_args(shlex.split(typed))
    errors = capsys.readouterr().err
    assert errors.startswith("error: ")
    assert errors.count("\n") == 1
    assert errors.rstrip().endswith(said)


@pytest.mark.parametrize("typed", [[], ["models"], ["keys"], ["schedule"]])
def test_a_command_without_its_action_shows_what_there_is(typed: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        options.parser().parse_args(typed)
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith("usage: churn-drift")
    assert "options:" in told.err


def test_make_help_names_every_target_in_80_columns() -> None:
    listed = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    targets = set(re.findall(r"^([a-z0-9-]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert {line.split()[1] for line in listed.splitlines()} == targets
    assert [line for line in listed.splitlines() if len(line) > 80] == []
