"""DVC's own commands, run as a user would type them."""

import configparser
import hashlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import yaml

from churn_drift.errors import ChurnDriftError, PipelineError
from churn_drift.tracking import dvc_repro


def reproduce(*targets: str) -> None:
    """`dvc repro`, its output passed on. Raises ChurnDriftError where a stage refused its input, else PipelineError.

    targets  stages to reproduce, with what they need; none: all
    """
    status = _run([sys.executable, "-m", dvc_repro.__name__, *targets])
    if status == dvc_repro.REFUSED:
        raise ChurnDriftError(
            "a stage refused its input (see above); "
            "`git checkout dvc.lock reports && dvc checkout` brings the last results back"
        )
    if status:
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


def _run(command: Sequence[str]) -> int:
    """Exit code of a command that talks to the user itself. Ctrl-C reaches it, too: it is waited for."""
    sys.stdout.flush()
    with _held():
        process = subprocess.Popen(command, env=_environment())
    with process:
        try:
            return process.wait()
        except KeyboardInterrupt:
            process.wait()
            raise


@contextmanager
def _held() -> Iterator[None]:
    """Ctrl-C waits. A process that is started meanwhile inherits that, and hears of it once it is ready to."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _dvc() -> list[str]:
    return [sys.executable, "-m", "dvc"]


def _environment() -> dict[str, str]:
    """This Python first on the path: the stages' `python` is the one that has the package."""
    here = str(Path(sys.executable).parent)
    return {**os.environ, "PATH": os.pathsep.join([here, os.environ.get("PATH", "")])}
