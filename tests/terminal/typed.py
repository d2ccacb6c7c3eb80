"""What a user sees who types a command: in a terminal of some width, or into a pipe."""

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.contracts.reach import ROOT

ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
COLOUR = re.compile(r"\x1b\[[1-9][0-9;]*m")
_CLEARED = "\x1b[2K"

_SETTINGS = ("COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR", "TERM", "USE_AWS", "S3_BUCKET")


@dataclass(frozen=True)
class Seen:
    """What came, escapes included, and the exit code."""

    raw: str
    code: int

    @property
    def lines(self) -> list[str]:
        """What stays on the screen, without escapes: of a line that was drawn again, what was drawn last."""
        drawn = [line.rpartition(_CLEARED)[2] for line in self.raw.replace("\r\n", "\n").split("\n")]
        return [ESCAPE.sub("", line).rpartition("\r")[2].rstrip() for line in drawn]

    @property
    def text(self) -> str:
        return "\n".join(self.lines)


def environment(**more: str) -> Mapping[str, str]:
    """Of a user with no settings of his own."""
    kept = {name: value for name, value in os.environ.items() if name not in _SETTINGS}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return {**kept, "PATH": path, "TERM": "xterm-256color", **more}


def in_terminal(*command: str, columns: int = 80, folder: Path = ROOT, **more: str) -> Seen:
    """In a terminal of its own: stdin, stdout and stderr are one."""
    reading, writing = pty.openpty()
    fcntl.ioctl(writing, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    with subprocess.Popen(
        command, cwd=folder, env=environment(**more), stdin=writing, stdout=writing, stderr=writing
    ) as process:
        os.close(writing)
        came = b"".join(iter(lambda: _read(reading), b""))
    os.close(reading)
    return Seen(came.decode(), process.returncode)


def in_pipe(command: Sequence[str], folder: Path = ROOT, **more: str) -> Seen:
    """Both streams into one pipe."""
    done = subprocess.run(
        command,
        cwd=folder,
        env=environment(**more),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return Seen(done.stdout, done.returncode)


def _read(reading: int) -> bytes:
    try:
        return os.read(reading, 65536)
    except OSError:  # how Linux tells the end of a terminal
        return b""
