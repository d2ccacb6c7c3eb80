"""What each channel has been told, and what waits for it, in ports.STATE: nothing is lost and nothing told twice.

told.jsonl, a line an event, append-only:

    {"at": ..., "channel": ..., "key": ..., "message": {...}}    to be told; written before the first try
    {"at": ..., "channel": ..., "key": ..., "told": true}        told; false: refused for good

Whoever is killed between the two sends again: a receiver that minds compares the key.
"""

import fcntl
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol, TypeAlias

from churn_drift.data import files
from churn_drift.errors import PipelineError
from churn_drift.ports import STATE, Message

MOST = 5_000
"""Keys that are remembered of one channel, the newest."""
WAITING = 500
"""Messages that wait for one channel; the oldest give way."""
LINES = 50_000
"""A longer file is written anew with what is remembered."""


_Line: TypeAlias = dict[str, Any]


class RefusedError(PipelineError):
    """The channel will not have this message, however often it is sent."""


class Channel(Protocol):
    """A way to tell people. A channel's name stays when its address changes, so that the new one gets what waits."""

    name: str

    def send(self, message: Message) -> None:
        """Deliver it. Raises RefusedError, or PipelineError where it may be sent again."""


@dataclass
class _Known:
    """Of one channel: the lines of keys that are done with, and of messages that wait, by key, oldest first."""

    done: dict[str, _Line] = field(default_factory=dict)
    waiting: dict[str, _Line] = field(default_factory=dict)

    def note(self, line: _Line) -> None:
        """Take in the next line of the file."""
        if "message" in line:
            self.waiting[line["key"]] = line
        else:
            self.waiting.pop(line["key"], None)
            self.done[line["key"]] = line

    def kept(self) -> list[_Line]:
        """What a file needs to hold."""
        return [*list(self.done.values())[-MOST:], *self.waiting.values()]


class Outbox:
    """Sends by every channel what that channel has not been told; what fails waits for the next call or run.

    A channel that fails is not asked again by this object: only what is kept for it grows.
    """

    def __init__(self, channels: Sequence[Channel], *, folder: Path = STATE) -> None:
        self._channels, self._folder = channels, folder
        self._down: dict[str, str] = {}

    def send(self, message: Message) -> None:
        """Tell what waits, then this. Raises PipelineError, once every channel has had its turn, naming those that
        failed."""
        self._deliver(message)

    def resend(self) -> None:
        """Tell what waits from earlier runs. Raises PipelineError as `send` does."""
        if self._file.exists():
            self._deliver(None)

    @property
    def _file(self) -> Path:
        return self._folder / "told.jsonl"

    def _deliver(self, message: Message | None) -> None:
        with self._alone():
            known = self._read()
            failures = [self._tell(channel, known.get(channel.name, _Known()), message) for channel in self._channels]
        said = [text for failure in failures for text in failure]
        if said:
            raise PipelineError("; ".join(said))

    def _tell(self, channel: Channel, known: _Known, message: Message | None) -> list[str]:
        """What went wrong with one channel, in words."""
        failures = []
        if message is not None and message.key not in known.done | known.waiting:
            known.note(self._append(channel, message.key, message=asdict(message)))
        if len(known.waiting) > WAITING:
            oldest = next(iter(known.waiting))
            known.note(self._append(channel, oldest, told=False))
            failures.append(f"{channel.name}: more than {WAITING} messages wait; {oldest} is given up")
        for key, line in list(known.waiting.items()) if channel.name not in self._down else ():
            try:
                channel.send(Message(**line["message"]))
            except RefusedError as error:
                known.note(self._append(channel, key, told=False))
                failures.append(f"{channel.name}: {error}; it is not sent again")
            except PipelineError as error:
                self._down[channel.name] = str(error)
                break
            else:
                known.note(self._append(channel, key, told=True))
        if channel.name in self._down and known.waiting:
            failures.append(f"{channel.name}: {self._down[channel.name]}; kept in {self._file}, the next run sends it")
        return failures

    def _append(self, channel: Channel, key: str, **more: Any) -> _Line:
        """One line, on the disk before anything else happens; a torn last line is ended first."""
        line = {"at": datetime.now(UTC).isoformat(timespec="seconds"), "channel": channel.name, "key": key, **more}
        with self._file.open("ab") as stream:
            stream.write((b"\n" if _is_torn(self._file) else b"") + _written(line))
            stream.flush()
            os.fsync(stream.fileno())
        return line

    def _read(self) -> dict[str, _Known]:
        """What is known of each channel. A line that cannot be read was torn by a power loss, and counts for none."""
        known: dict[str, _Known] = {}
        lines = self._file.read_bytes().splitlines() if self._file.exists() else []
        for line in filter(None, map(_parsed, lines)):
            known.setdefault(line["channel"], _Known()).note(line)
        if len(lines) > LINES:
            kept = [
                line for one in known.values() for line in [*list(one.done.values())[-MOST:], *one.waiting.values()]
            ]
            files.write_bytes(b"".join(map(_written, kept)), self._file)
        return known

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """One teller at a time on this machine; the lock goes with the process."""
        self._folder.mkdir(parents=True, exist_ok=True)
        with (self._folder / "told.lock").open("w") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX)
            yield


def _written(line: _Line) -> bytes:
    return json.dumps(line, ensure_ascii=False).encode() + b"\n"


def _parsed(line: bytes) -> _Line | None:
    """None for what is no line of ours."""
    try:
        read = json.loads(line)
        if (
            isinstance(read, dict)
            and read["channel"]
            and read["key"]
            and ("told" in read or Message(**read["message"]))
        ):
            return read
    except (ValueError, KeyError, TypeError):
        pass
    return None


def _is_torn(path: Path) -> bool:
    if not path.stat().st_size:
        return False
    with path.open("rb") as stream:
        stream.seek(-1, os.SEEK_END)
        return stream.read() != b"\n"
