"""A run as a process of its own, that outlives its scheduler: what it says goes to its log, not through a pipe."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path


class Child:
    """A started command, in a session of its own: the terminal's Ctrl-C is for the scheduler."""

    def __init__(self, command: Sequence[str], *, log: Path, environment: Mapping[str, str]) -> None:
        self.log = log
        with log.open("ab") as stream:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                env={**environment, "PYTHONUNBUFFERED": "1"},
                start_new_session=True,
            )
        self._said = log.open("rb")

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid

    def poll(self) -> int | None:
        """Its exit code, None while it runs; what it has said since then goes on to the terminal."""
        code = self._process.poll()
        with contextlib.suppress(OSError):  # a terminal or pipe that nobody reads any more; the log has it
            sys.stdout.write(self._said.read().decode(errors="replace"))
            sys.stdout.flush()
        if code is not None:
            self._said.close()
        return code

    def end(self) -> None:
        """SIGTERM, to what it has started as well."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGTERM)
