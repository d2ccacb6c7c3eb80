"""The inbox on this machine: files in data/inbox, what was refused in data/quarantine. Git ignores both.

Whoever delivers should write under a name that begins with a dot, or ends with .part or .tmp, and rename when the
file is whole. Where that cannot be, a file is left alone until nobody has written to it for some seconds.
"""

import errno
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from churn_drift.data import files
from churn_drift.errors import ConfigError

INBOX, QUARANTINE = Path("data/inbox"), Path("data/quarantine")
ERROR = ".error.txt"
SUFFIXES = (".csv.gz", ".csv")
_UNDER_WAY = (".part", ".tmp")

QUIET = "INBOX_QUIET_SECONDS"
QUIET_SECONDS = 5.0

Outcome = Literal["landed", "again", "waits", "refused"]

_TAKEN = ".taken"

_Stamp = tuple[int, int, int]
"""Inode, size and time of change: what tells that a name has got another file, or the file more content."""


@dataclass(frozen=True)
class Taken:
    """What became of one file. No cell of it stands here: this is printed, logged and sent.

    said    what it holds, or why it was refused
    place   where a refused file lies now
    digest  of a refused file's bytes
    """

    name: str
    outcome: Outcome
    said: str
    place: str = ""
    digest: str = ""

    def line(self) -> str:
        """
        >>> Taken("a.csv", "refused", "row 7: its cell is not legal", "data/quarantine/a.csv").line()
        'a.csv: refused, row 7: its cell is not legal; data/quarantine/a.csv.error.txt says why'
        """
        why = f"; {self.place}{ERROR} says why" if self.outcome == "refused" else ""
        return f"{shown(self.name)}: {self.outcome}, {self.said}{why}"


class LocalInbox:
    """The port ports.Inbox on a folder.

    quiet  seconds for which nobody may have written to a file before it counts as whole
    clock  seconds since the epoch

    A settled file is removed: its customers and labels lie in data/landed.
    """

    def __init__(
        self,
        folder: Path = INBOX,
        quarantine: Path = QUARANTINE,
        *,
        quiet: float = QUIET_SECONDS,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._folder, self._quarantine = folder, quarantine
        self._quiet, self._clock = quiet, clock
        self._fetched: dict[str, _Stamp] = {}

    def waiting(self) -> Sequence[str]:
        """Names of CSV files, plain or gz, that are whole, in order of name."""
        self._give_back()
        return [name for name in self._names() if not self._is_young(name)]

    def arriving(self) -> Sequence[str]:
        """Names of those that somebody may still be writing."""
        return [name for name in self._names() if self._is_young(name)]

    def left_alone(self) -> Sequence[str]:
        """Names of files that are no CSV by their name, and do not say that they are still being written."""
        names = [path.name for path in self._visible() if not path.name.endswith((*SUFFIXES, *_UNDER_WAY))]
        return sorted(names)

    def fetch(self, name: str, folder: Path) -> Path:
        """A copy of it in a folder. Raises OSError where it cannot be read."""
        self._fetched[name] = _stamp(self._folder / name)
        return Path(shutil.copyfile(self._folder / name, folder / name))

    def settle(self, name: str) -> None:
        """Remove it. Where other content has come under this name since it was fetched, that stays and waits."""
        path = self._folder / name
        aside = path.with_name(f".{name}{_TAKEN}")
        if not path.exists() or self._is_other(path, name):
            return
        path.rename(aside)
        if self._is_other(aside, name):
            self._give_back()
        else:
            aside.unlink()

    def refuse(self, name: str, reason: str) -> str:
        """Move it to the quarantine, with its reason beside it; where it lies now.

        Where another file of this name lies there, part of its content's hash makes the name its own. Where other
        content has come under the name since it was fetched, that stays and waits.
        """
        path = self._folder / name
        if not path.exists() or self._is_other(path, name):
            return str(self._quarantine / name)
        target = _free(self._quarantine / name, files.sha256(path))
        told = f"{reason}\n\n{shown(name)} was refused at {datetime.now(UTC).isoformat(timespec='seconds')}.\n"
        files.write_bytes(told.encode(), target.with_name(target.name + ERROR))
        _move(path, target)
        return shown(str(target))

    def _names(self) -> list[str]:
        return sorted(path.name for path in self._visible() if path.name.endswith(SUFFIXES))

    def _visible(self) -> Iterator[Path]:
        """The folder's files but those whose names begin with a dot; none where there is no folder."""
        found = self._folder.iterdir() if self._folder.is_dir() else ()
        yield from (path for path in found if path.is_file() and not path.name.startswith("."))

    def _is_young(self, name: str) -> bool:
        """A time of change in the future, where the clock was set back, is as good as one in the past."""
        try:
            return abs(self._clock() - (self._folder / name).stat().st_mtime) < self._quiet
        except FileNotFoundError:
            return True  # gone meanwhile: not to be fetched

    def _is_other(self, path: Path, name: str) -> bool:
        return self._fetched.get(name, _stamp(path)) != _stamp(path)

    def _give_back(self) -> None:
        """What was put aside by a run that was killed, or turned out to be another file, waits under its name again."""
        for aside in self._folder.glob(f".*{_TAKEN}"):
            path = aside.with_name(aside.name[1:].removesuffix(_TAKEN))
            if path.exists():
                path = _free(path, files.sha256(aside))
            aside.rename(path)


def quiet_seconds(environment: Mapping[str, str]) -> float:
    """What INBOX_QUIET_SECONDS says. Raises ConfigError where that is no number of seconds.

    >>> quiet_seconds({}), quiet_seconds({"INBOX_QUIET_SECONDS": "0.5"})
    (5.0, 0.5)
    """
    said = environment.get(QUIET, "").strip() or str(QUIET_SECONDS)
    try:
        seconds = float(said)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < float("inf"):
        raise ConfigError(f"{QUIET}: {said!r} is no number of seconds; set {QUIET}={QUIET_SECONDS:g}")
    return seconds


def shown(name: str) -> str:
    r"""A file's name, fit to be printed, whatever bytes it has.

    >>> shown("a\nb\udcff.csv")
    'a\\x0ab\\xff.csv'
    """
    return os.fsencode("".join(map(_plain, name))).decode(errors="backslashreplace")


def _plain(char: str) -> str:
    is_byte = "\udc80" <= char <= "\udcff"  # of a name that is not UTF-8
    return char if char.isprintable() or is_byte else f"\\x{ord(char):02x}"


def _stamp(path: Path) -> _Stamp:
    status = path.stat()
    return status.st_ino, status.st_size, status.st_mtime_ns


def _free(path: Path, digest: str) -> Path:
    """The path, or where it has other content one that the content's hash makes its own.

    >>> _free(Path("no/such/day.csv.gz"), "0123456789abcdef")
    PosixPath('no/such/day.csv.gz')
    """
    if not path.exists() or files.sha256(path) == digest:
        return path
    suffix = next((suffix for suffix in SUFFIXES if path.name.endswith(suffix)), "")
    return path.with_name(f"{path.name.removesuffix(suffix)}.{digest[:8]}{suffix}")


def _move(path: Path, target: Path) -> None:
    """Rename; between file systems, copy beside the target, then rename, then remove."""
    try:
        path.replace(target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        with path.open("rb") as stream:
            files.replace(target, lambda copy: shutil.copyfileobj(stream, copy))
        path.unlink()
