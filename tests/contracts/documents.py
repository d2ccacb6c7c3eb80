"""What a document tells its reader to type, and whether it exists."""

import argparse
import contextlib
import io
import re
import shlex
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import yaml

from churn_drift.cli import parser
from tests.contracts.reach import ROOT, STAGES

_FENCE = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```", re.MULTILINE | re.DOTALL)
_MENTION = re.compile(r"`((?:src|tests|scripts|benchmarks)/[\w./-]*)`")
_ASSIGNMENT = re.compile(r"[A-Z_]+=.*")
_SHELL = ("sh", "bash", "shell", "console")
_JOINTS = {"&&", "||", ";", "|", "&"}


def commands(text: str) -> list[str]:
    """Every command in the shell blocks of a Markdown text. Where a block shows a prompt, the lines without one are
    output; a line that ends in a backslash goes on."""
    found = []
    for language, block in _FENCE.findall(text):
        if language in _SHELL:
            lines = block.replace("\\\n", " ").splitlines()
            prompted = [line.strip()[2:] for line in lines if line.strip().startswith("$ ")]
            found += prompted or [line.strip() for line in lines if language != "console"]
    return [line for line in found if line and not line.startswith("#")]


def faults(text: str) -> list[str]:
    """What the text tells to type or to read that is not there."""
    found = [f"{line}: {fault}" for line in commands(text) for fault in _faults_of_line(line)]
    return found + [f"`{path}` does not exist" for path in _MENTION.findall(text) if not (ROOT / path).exists()]


def _faults_of_line(line: str) -> Iterator[str]:
    for words in _simple_commands(line):
        match words:
            case ["make", *rest]:
                yield from _make(rest)
            case ["churn-drift", *rest]:
                yield from _own(rest)
            case ["python" | "python3" | "python3.11", "run_pipeline.py", *rest]:
                yield from _own(["run", *rest])
            case ["python" | "python3" | "python3.11", script, *_] if script.endswith(".py"):
                if not (ROOT / script).exists():
                    yield f"no file {script}"
            case ["dvc", *rest]:
                yield from _dvc(rest)


def _simple_commands(line: str) -> Iterator[list[str]]:
    """The words of each command of a line, without environment assignments, comments and redirections."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    words: list[str] = []
    for word in [*lexer, ";"]:
        if word in _JOINTS or set(word) <= set("<>"):
            if words:
                yield words
            words = []
        elif words or not _ASSIGNMENT.fullmatch(word):
            words.append(word)


def _make(words: list[str]) -> Iterator[str]:
    known = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for word in words:
        if not word.startswith("-") and "=" not in word and word not in known:
            yield f"no make target {word}"


def _own(words: list[str]) -> Iterator[str]:
    said = io.StringIO()
    with contextlib.redirect_stderr(said), contextlib.redirect_stdout(said):
        try:
            parser().parse_args(words)
        except SystemExit as stop:
            if stop.code:
                yield said.getvalue().strip().splitlines()[-1]
        except argparse.ArgumentError as error:
            yield str(error)


def _dvc(words: list[str]) -> Iterator[str]:
    known: dict[str, Any] = yaml.safe_load((ROOT / "params.yaml").read_text())
    for flag, value in pairwise(words):
        if flag in ("-S", "--set-param") and not _key_exists(known, value.split("=")[0]):
            yield f"no parameter {value.split('=')[0]}"
    if words[:1] == ["repro"]:
        yield from (f"no stage {w}" for w in words[1:] if not w.startswith("-") and w not in STAGES)
    if words[:1] in (["checkout"], ["add"]):
        yield from (f"no path {w}" for w in words[1:] if not w.startswith("-") and not _pinned(w))


def _key_exists(document: Any, key: str) -> bool:
    for part in key.split("."):
        if not isinstance(document, dict) or part not in document:
            return False
        document = document[part]
    return True


def _pinned(path: str) -> bool:
    return (ROOT / f"{path}.dvc").exists() or (ROOT / path).exists() or Path(path).parent == Path("models")
