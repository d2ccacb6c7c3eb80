"""DVC's own commands, run as a user would type them."""

import codecs
import configparser
import errno
import hashlib
import json
import os
import re
import subprocess
import sys
import termios
import tty
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

import yaml

from churn_drift.errors import ChurnDriftError, PipelineError
from churn_drift.terminal import is_moving

_WITHOUT_HINTS = (
    "-c",
    "import logging, sys; from dvc.cli import main; "
    "logging.getLogger('dvc.repo.scm_context').setLevel('WARNING'); sys.exit(main(sys.argv[1:]))",
)
"""DVC, but for its eight lines on what to add to git: they name a part of what a run's own summary names whole."""

_STAGE_FAILED = re.compile(r"exited with (\d+)")


def reproduce(*targets: str) -> None:
    """`dvc repro`, its output passed on. Raises ChurnDriftError where a stage refused its input, else PipelineError.

    targets  stages to reproduce, with what they need; none: all
    """
    status, said = _run([*_dvc(_WITHOUT_HINTS), "repro", *targets])
    if status:
        refused = _STAGE_FAILED.search(said)
        if refused and refused[1] == "2":
            raise ChurnDriftError(
                "a stage refused its input (see above); "
                "`git checkout dvc.lock reports && dvc checkout` brings the last results back"
            )
        raise PipelineError("`dvc repro` failed (see above)")


def add(path: Path) -> None:
    """`dvc add`: pin what lies there."""
    _quietly(["add", str(path)])


def checkout(path: Path) -> None:
    """`dvc checkout`: bring back what is pinned, from the cache."""
    _quietly(["checkout", str(path)])


def pull(path: Path) -> None:
    """`dvc pull`: bring it from the default remote."""
    _quietly(["pull", str(path)])


def push(remote: str | None = None) -> None:
    """`dvc push`: what is pinned and locked, to a remote, else to the default one."""
    _quietly(["push", *(["--remote", remote] if remote else [])])


def point(remote: str, url: str) -> None:
    """`dvc remote modify --local`: where a remote is, for this clone."""
    _quietly(["remote", "modify", "--local", remote, "url", url])


def has_remote() -> bool:
    """Whether `dvc push` goes somewhere; from DVC's own files, without its second of start-up."""
    config = configparser.ConfigParser(strict=False, interpolation=None)
    config.read([".dvc/config", ".dvc/config.local"], encoding="utf-8")
    return bool(config.get("core", "remote", fallback=""))


def is_pinned(path: Path, *, pin: Path | None = None) -> bool:
    """Whether a directory holds what its .dvc file (or that of `pin`) pins.

    DVC's own hash, told here without its second of start-up.
    """
    source = (pin or path).with_suffix(".dvc")
    return pinned_hash(source.read_bytes(), source=source) == hash_of(path)


def hash_of(path: Path) -> str:
    """DVC's hash of a directory."""
    files = ((file.relative_to(path).as_posix(), file) for file in path.rglob("*") if file.is_file())
    listed = [{"md5": _md5(file.read_bytes()), "relpath": name} for name, file in sorted(files)]
    return _md5(json.dumps(listed, sort_keys=True).encode()) + ".dir"


def pinned_hash(content: bytes, *, source: Path) -> str:
    """The hash that the text of a .dvc file pins. Raises PipelineError where it holds none."""
    try:
        return str(yaml.safe_load(content)["outs"][0]["md5"])
    except (yaml.YAMLError, KeyError, IndexError, TypeError):
        raise PipelineError(f"{source}: holds no hash; `git checkout {source}`") from None


def _md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def _quietly(arguments: Sequence[str]) -> None:
    done = subprocess.run([*_dvc(), *arguments], env=_environment(), capture_output=True, text=True, check=False)
    if done.returncode:
        reason = " ".join(done.stderr.split()) or "no reason given"
        raise PipelineError(f"`dvc {' '.join(arguments)}` failed: {reason}")


def _run(command: Sequence[str]) -> tuple[int, str]:
    """Exit code and the errors said; both streams go on to the user's as they come.

    Where the user's stderr is a terminal, that of DVC and of the stages is one too: they draw their bars.
    """
    reading, writing = _terminal_like(sys.stderr) if is_moving(sys.stderr) else os.pipe()
    said, text = [], codecs.getincrementaldecoder("utf-8")(errors="replace")
    try:
        with subprocess.Popen(command, env=_environment(), stderr=writing) as process:
            os.close(writing)
            while chunk := _read(reading):
                said.append(text.decode(chunk))
                sys.stderr.write(said[-1])
                sys.stderr.flush()
    finally:
        os.close(reading)
    return process.returncode, "".join(said)


def _terminal_like(stream: TextIO) -> tuple[int, int]:
    """Both ends of a terminal as wide as the stream's, that passes on what is written to it as it is."""
    reading, writing = os.openpty()
    termios.tcsetwinsize(writing, termios.tcgetwinsize(stream))
    tty.setraw(writing)
    return reading, writing


def _read(reading: int) -> bytes:
    """What has come; nothing at the end, which Linux tells of a terminal by an error."""
    try:
        return os.read(reading, 65536)
    except OSError as error:
        if error.errno != errno.EIO:
            raise
        return b""


def _dvc(program: Sequence[str] = ("-m", "dvc")) -> list[str]:
    return [sys.executable, *program]


def _environment() -> dict[str, str]:
    """This Python first on the path: the stages' `python` is the one that has the package."""
    here = str(Path(sys.executable).parent)
    return {**os.environ, "PATH": os.pathsep.join([here, os.environ.get("PATH", "")])}
