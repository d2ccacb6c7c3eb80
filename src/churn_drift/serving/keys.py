"""API keys: made, told once, kept as hashes, revoked, and found again.

A key is `cd_NAME_SECRET`, its secret 256 random bits. Nobody guesses those from a hash, so plain SHA-256 keeps them
safe at rest: NIST SP 800-63B (5.1.2.2) asks for salt and a slow function only below 112 bits. A slow hash here would
be paid by every request.
"""

import fcntl
import hashlib
import hmac
import os
import re
import secrets
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson

from churn_drift.errors import ConfigError

PREDICT = "predict"
ADMIN = "admin"
SCOPES = (PREDICT, ADMIN)
MOST_KEYS = 4096
"""Keys in one file, revoked ones included."""

_FORMAT = 1
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")
_KEY = re.compile(rf"cd_({_NAME.pattern})_[A-Za-z0-9_-]{{43}}")
_HASH = re.compile(r"[0-9a-f]{64}")
_NOBODY = "0" * 64


@dataclass(frozen=True)
class Key:
    """What is kept of a key.

    name           who it was made for; stands in the key and in the log, and is never given twice
    sha256         of the whole key, hexadecimal
    scopes         some of SCOPES
    made, revoked  UTC, ISO 8601; revoked is None while the key lives
    """

    name: str
    sha256: str
    scopes: tuple[str, ...]
    made: str
    revoked: str | None = None


class Keys:
    """The keys of a file, in its order."""

    def __init__(self, kept: Sequence[Key] = ()) -> None:
        self._places = {key.name: (place, key) for place, key in enumerate(kept)}

    def living(self) -> list[Key]:
        """Those that have not been revoked."""
        return [key for _, key in self._places.values() if key.revoked is None]

    def find(self, told: str) -> tuple[int, Key] | None:
        """The living key that was told, with its place in the file; None where there is none.

        Compares in constant time, also where nobody has that name.
        """
        named = _KEY.fullmatch(told)
        place, key = self._places.get(named[1] if named else "", (0, None))
        known = key.sha256 if key and key.revoked is None else _NOBODY
        same = hmac.compare_digest(hashlib.sha256(told.encode()).hexdigest(), known)
        return (place, key) if same and key else None


def read(path: Path) -> list[Key]:
    """The keys that a file keeps; none where it is not there. Raises ConfigError where it is damaged."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return []
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}); it belongs to the user that serves") from None
    return _parsed(content, path)


def add(name: str, *, scopes: Sequence[str], path: Path) -> str:
    """Make a key and keep its hash; the key itself, which is nowhere else. Raises ConfigError naming what is wrong."""
    if not _NAME.fullmatch(name):
        raise ConfigError(f"{name!r}: a key's name is 1 to 32 of a-z, 0-9 and `-`, and begins with no `-`")
    told = f"cd_{name}_{secrets.token_urlsafe(32)}"
    with _alone(path):
        kept = read(path)
        if any(key.name == name for key in kept):
            raise ConfigError(f"{name}: there is or was a key of this name; give another (`{name}-2`)")
        if len(kept) == MOST_KEYS:
            raise ConfigError(f"{path}: holds {MOST_KEYS:,} keys; take long revoked ones out of it by hand")
        made = Key(name, hashlib.sha256(told.encode()).hexdigest(), tuple(dict.fromkeys(scopes)), _now())
        _write([*kept, made], path)
    return told


def revoke(name: str, *, path: Path) -> bool:
    """End a key; whether it had not ended before. Raises ConfigError where nobody has that name."""
    with _alone(path):
        kept = read(path)
        found = next((key for key in kept if key.name == name), None)
        if found is None:
            raise ConfigError(f"{name}: no such key in {path}; `churn-drift keys list` names them")
        if found.revoked is None:
            _write([replace(key, revoked=_now()) if key is found else key for key in kept], path)
        return found.revoked is None


def _parsed(content: bytes, path: Path) -> list[Key]:
    try:
        document = orjson.loads(content)
        if document["format"] != _FORMAT:
            raise ConfigError(f"{path}: is of format {document['format']!r}, this version reads {_FORMAT}")
        kept = [_key(entry) for entry in document["keys"]]
    except (ValueError, KeyError, TypeError):
        raise ConfigError(
            f"{path}: is damaged, nobody is let in; bring an older one back, or move it away and make new keys by "
            "`churn-drift keys add NAME`"
        ) from None
    if len({key.name for key in kept}) < len(kept) or len(kept) > MOST_KEYS:
        raise ConfigError(f"{path}: names a key twice or holds more than {MOST_KEYS:,}; mend it by hand")
    return kept


def _key(entry: Mapping[str, Any]) -> Key:
    """Raises ValueError, KeyError or TypeError where it is none."""
    key = Key(entry["name"], entry["sha256"], tuple(entry["scopes"]), entry["made"], entry["revoked"])
    legal = _NAME.fullmatch(key.name) and _HASH.fullmatch(key.sha256) and key.scopes and set(key.scopes) <= set(SCOPES)
    if not (legal and isinstance(key.made, str) and isinstance(key.revoked, str | None)):
        raise ValueError
    return key


def _write(kept: Sequence[Key], path: Path) -> None:
    """Beside, then renamed: a reader sees the old file or the new one. Only its owner may read it.

    What root makes for a server that runs as somebody else belongs to whom the file, or else its folder, belongs.
    """
    owner = (path if path.exists() else path.parent).stat()
    document = {"format": _FORMAT, "keys": kept}
    descriptor, beside = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # mode 0600
    try:
        with os.fdopen(descriptor, "wb") as stream:
            if os.geteuid() == 0:
                os.fchown(descriptor, owner.st_uid, owner.st_gid)
            stream.write(orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
            stream.flush()
            os.fsync(stream.fileno())
        Path(beside).replace(path)
    except BaseException:
        Path(beside).unlink(missing_ok=True)
        raise


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """One change at a time. The folder is what is locked: the file itself is replaced."""
    try:
        folder = os.open(path.parent, os.O_RDONLY)
    except OSError as error:
        raise ConfigError(f"{path.parent}: {error.strerror}; SERVE_KEYS names a file in a folder that exists") from None
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
