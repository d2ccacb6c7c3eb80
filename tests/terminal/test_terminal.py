"""Lines, colours and the sign that something goes on, where there is a terminal and where there is none."""

import sys
from pathlib import Path

import pytest

from churn_drift.terminal import folded
from tests.terminal.typed import COLOUR, ESCAPE, in_pipe, in_terminal

WORKS = """
import time
from churn_drift.terminal import working
with working("asking the store") as tell:
    tell("first")
    time.sleep(0.3)
    tell("second")
print("done")
"""

TO_A_FILE = """
import sys
from churn_drift.terminal import say, working
sys.stdout = open(sys.argv[1], "w")
with working("asking the store") as tell:
    tell("first")
    print("between")
say("a long line " * 20)
"""


@pytest.mark.parametrize("columns", [20, 40, 80, 200])
def test_a_folded_line_keeps_every_word_and_every_command_whole(columns: int) -> None:
    line = "  error: /a/very/long/path/of/a/file.csv: no such file; `churn-drift land FILE` lands one"
    lines = folded(line, columns=columns).split("\n")
    assert " ".join(" ".join(lines).split()) == line.strip()
    assert any("`churn-drift land FILE`" in part for part in lines)
    assert all(part.startswith("    ") for part in lines[1:])
    assert all(len(part) <= columns or len(part.split()) == 1 or "`" in part for part in lines)


def test_an_error_breaks_at_its_words_in_a_terminal_and_is_one_line_in_a_pipe() -> None:
    command = ("churn-drift", "models", "show", "nobody-has-this-name")
    seen, piped = in_terminal(*command, columns=60), in_pipe(command)
    assert (seen.code, piped.code) == (2, 2)
    assert len(piped.text.strip().splitlines()) == 1
    assert max(map(len, seen.lines)) <= 60
    assert " ".join(seen.text.split()) == piped.text.strip()


def test_work_shows_in_a_terminal_and_its_lines_stay() -> None:
    seen = in_terminal(sys.executable, "-c", WORKS)
    assert "asking the store" in seen.raw
    assert [line for line in seen.lines if line in ("first", "second", "done")] == ["first", "second", "done"]
    assert seen.raw.rindex("\x1b[?25h") > seen.raw.rindex("\x1b[?25l")  # the cursor is there again


@pytest.mark.parametrize("setting", ["NO_COLOR", "FORCE_COLOR"])
def test_work_shows_nothing_in_a_pipe_whatever_colours_are_asked_for(setting: str) -> None:
    assert in_pipe([sys.executable, "-c", WORKS], **{setting: "1"}).raw == "first\nsecond\ndone\n"


def test_work_shows_nothing_on_a_terminal_that_cannot_draw_a_line_again() -> None:
    seen = in_terminal(sys.executable, "-c", WORKS, TERM="dumb")
    assert seen.raw.replace("\r\n", "\n") == "first\nsecond\ndone\n"


def test_work_has_no_colours_where_none_are_wanted() -> None:
    seen = in_terminal(sys.executable, "-c", WORKS, NO_COLOR="1")
    assert ESCAPE.search(seen.raw)
    assert not COLOUR.search(seen.raw)


def test_what_is_written_into_a_file_is_not_drawn_on_the_terminal(tmp_path: Path) -> None:
    file = tmp_path / "out.txt"
    seen = in_terminal(sys.executable, "-c", TO_A_FILE, str(file))
    assert seen.code == 0, seen.text
    assert file.read_text() == "first\nbetween\n" + "a long line " * 20 + "\n"
    assert "first" not in seen.raw
    assert "between" not in seen.raw
