"""What a run that was killed, or a loss of power, can leave so that the next one could not go on by itself.

DVC writes its files in place: whoever is killed there leaves them empty or cut. Its own lock is flock's and goes with
the process, but what it notes in .dvc/tmp/rwlock stays, and a process number that is given to somebody else blocks it.
Call it with the run's lease.
"""

import fcntl
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from churn_drift import paths
from churn_drift.errors import PipelineError
from churn_drift.production import commits
from churn_drift.production.inbox import QUARANTINE
from churn_drift.publishing import lock
from churn_drift.tracking import dvc, git, ledger, pin

_TMP = Path(".dvc/tmp")
_OLD = 3600.0
"""Seconds after which nobody is writing a file any more."""
_CONFLICT = b"<<<<<<<"
"""What git writes into a file that two people changed: that is for a person to mend."""


def mend() -> Iterator[str]:
    """One line for each thing that was mended."""
    yield from _locks()
    yield from _lock_file()
    yield from _ledger()
    yield from _champion()
    yield from _landed()
    yield from commits.unlock()
    _leftovers()


def _locks() -> Iterator[str]:
    """DVC's notes of who reads and writes what, without those of processes that are no DVC."""
    path = _TMP / "rwlock"
    if not path.exists():
        return
    with path.with_name("rwlock.lock").open("a") as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)
        try:
            noted = json.loads(path.read_bytes())
        except ValueError:
            path.unlink()
            yield f"{path}: was cut off; DVC writes it anew"
            return
        living = {mode: _living(entries) for mode, entries in noted.items()}
        if living != noted:
            path.write_text(json.dumps(living), encoding="utf-8")
            yield f"{path}: named a process that has ended; taken out"


def _living(entries: dict[str, Any]) -> dict[str, Any]:
    """Of one mode: a path's writer, or its readers."""
    kept: dict[str, Any] = {}
    for path, holders in entries.items():
        if isinstance(holders, list):
            readers = [holder for holder in holders if _is_dvc(holder["pid"])]
            kept |= {path: readers} if readers else {}
        elif _is_dvc(holders["pid"]):
            kept[path] = holders
    return kept


def _is_dvc(pid: int) -> bool:
    try:
        return b"dvc" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return False


def _lock_file() -> Iterator[str]:
    """dvc.lock as it was committed; what has run since comes back from DVC's run cache."""
    if not lock.LOCK.exists() or _CONFLICT in (content := lock.LOCK.read_bytes()):
        return
    try:
        lock.parse(content)
    except PipelineError:
        committed = git.read("HEAD", lock.LOCK)
        if committed is None:
            lock.LOCK.unlink()
        else:
            lock.LOCK.write_bytes(committed)
        yield f"{lock.LOCK}: was cut off; taken back to the last commit, DVC brings back what has run since"


def _ledger() -> Iterator[str]:
    """The ledger without a last line that was torn; `models verify`, or the next promotion, writes it again."""
    if not paths.LEDGER.exists():
        return
    with pin.alone():
        content = paths.LEDGER.read_bytes()
        whole, _, last = content.rpartition(b"\n")
        if not last:
            return
        try:
            json.loads(last)
        except ValueError:
            if _CONFLICT not in content:
                paths.LEDGER.write_bytes(whole + b"\n" if whole else b"")
                yield f"{paths.LEDGER}: its last line was cut off; taken out"


def _champion() -> Iterator[str]:
    """The champion's pin, as the ledger's last line has it."""
    path = paths.CHAMPION_PIN
    if not path.exists() or _CONFLICT in (content := path.read_bytes()):
        return
    try:
        dvc.pinned_hash(content, source=path)
    except PipelineError:
        past = ledger.entries(paths.LEDGER)
        if past:
            path.write_bytes(_pin_of(past[-1]["pin"]))
        else:
            path.unlink()
        yield f"{path}: was cut off; now as the last line of {paths.LEDGER} has it"


def _pin_of(hashed: str) -> bytes:
    """The committed pin where it is this one, which DVC has written; else what DVC needs of one."""
    committed = git.read("HEAD", paths.CHAMPION_PIN)
    if committed and dvc.pinned_hash(committed, source=paths.CHAMPION_PIN) == hashed:
        return committed
    return yaml.safe_dump({"outs": [{"md5": hashed, "hash": "md5", "path": paths.CHAMPION.name}]}).encode()


def _landed() -> Iterator[str]:
    """Pins that were cut off, to be made again; files whose content never reached the disk, out of the way.

    Such a file's origin is still in the inbox, for that is emptied only when all is on the disk.
    """
    for path in paths.LANDED.glob("*.dvc"):
        if not path.stat().st_size:
            path.unlink()
            yield f"{path}: was cut off; made again"
    for path in paths.LANDED.glob("*/*.csv"):
        content = path.read_bytes()
        if not content or b"\0" in content:
            target = QUARANTINE / path.name
            target.parent.mkdir(parents=True, exist_ok=True)
            path.replace(target)
            yield f"{path}: never reached the disk whole; now {target}"


def _leftovers() -> None:
    """Files that were being written beside their place, long ago."""
    for folder in (paths.LANDED, paths.CHAMPION.parent, Path("reports")):
        for path in folder.rglob(".*.part"):
            if path.is_file() and time.time() - path.stat().st_mtime > _OLD:
                path.unlink()
