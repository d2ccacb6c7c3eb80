"""`churn-drift run` as a user sees it, in a terminal of 80 columns."""

import re

import pytest

from tests.end_to_end.repository import Repository, with_params
from tests.terminal.typed import COLOUR, ESCAPE, Seen, in_terminal

pytestmark = pytest.mark.slow


def _run(repository: Repository, *options: str, **more: str) -> Seen:
    given = repository.environment(INBOX_QUIET_SECONDS="0", PYTHONPATH=str(repository.root / "src"), **more)
    given.pop("COLUMNS")
    command = ("python", "run_pipeline.py", "--no-publish", *options)
    return in_terminal(*command, folder=repository.root, **{**given, "TERM": "xterm-256color"})


def test_a_run_without_news_fits_its_terminal_and_has_no_colours_where_none_are_wanted(workspace: Repository) -> None:
    seen, plain = _run(workspace), _run(workspace, NO_COLOR="1")
    assert (seen.code, plain.code) == (0, 0)
    assert [line for line in seen.lines if len(line) > 80] == []
    own = seen.raw[seen.raw.index("Each batch") :]
    assert COLOUR.search(own)
    assert not COLOUR.search(plain.raw)
    assert plain.text[plain.text.index("Each batch") :] == seen.text[seen.text.index("Each batch") :]
    assert "Every result is the same, byte for byte, as dvc.lock had it." in seen.lines
    assert re.search(r"^  make serve +the champion over HTTP$", "\n".join(seen.lines), re.MULTILINE)


def test_a_run_with_news_draws_the_bars_of_its_stages_and_says_what_became_of_the_files(workspace: Repository) -> None:
    inbox = workspace.root / "data/inbox"
    inbox.mkdir(parents=True, exist_ok=True)
    (inbox / "bad.csv").write_text("a,b\n1,2\n")
    params = workspace.root / "params.yaml"
    params.write_text(with_params(params.read_text(), {"retrain.policy": "always"}))
    seen = _run(workspace)
    assert seen.code == 0, seen.text
    assert re.search(r"retrain +[━╸]", ESCAPE.sub("", seen.raw))
    assert [
        line for line in seen.lines if len(line) > 80 and not line.startswith(("failure:", "drift:", "promotion:"))
    ] == []
    assert "dvc config core.autostage" not in seen.text
    assert "Files in the inbox: 1 refused." in seen.lines
    assert "  cat data/quarantine/bad.csv.error.txt  why it was refused" in seen.lines
