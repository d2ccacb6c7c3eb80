"""Where MLflow's store is: MLFLOW_TRACKING_URI, else mlflow.db here, which a bare `mlflow ui` shows.

MLflow itself is not imported.
"""

import hashlib
import os
from pathlib import Path
from urllib.parse import unquote, urlsplit, urlunsplit

DEFAULT = "sqlite:///mlflow.db"
_SQLITE = "sqlite:///"


def uri() -> str:
    """As MLflow takes it. It may hold a password: show `shown` instead."""
    return os.environ.get("MLFLOW_TRACKING_URI") or DEFAULT


def resolved() -> str:
    """The same, naming a SQLite file by its full path: MLflow keeps stores by their name, whatever the folder."""
    path = file()
    return f"{_SQLITE}{path.resolve()}" if path else uri()


def shown() -> str:
    """For people, without a password."""
    return without_password(uri())


def without_password(address: str) -> str:
    """
    >>> without_password("postgresql://me:secret@host/mlflow")
    'postgresql://me@host/mlflow'
    """
    parts = urlsplit(address)
    if parts.password is None:
        return address
    return urlunsplit(parts._replace(netloc=f"{parts.username}@{parts.netloc.rpartition('@')[2]}"))


def without_secret(said: str) -> str:
    """A text without the password that the store's address holds, however it is written there."""
    secret = urlsplit(uri()).password
    for written in {secret, unquote(secret)} if secret else ():
        said = said.replace(written, "***")
    return said


def file() -> Path | None:
    """The SQLite file, where the store is one."""
    return Path(uri().removeprefix(_SQLITE).partition("?")[0]) if uri().startswith(_SQLITE) else None


def exists() -> bool:
    """Whether there is a store to look at: one that the environment names, or mlflow.db here."""
    return bool(os.environ.get("MLFLOW_TRACKING_URI")) or Path(DEFAULT.removeprefix(_SQLITE)).exists()


def identity() -> str | None:
    """Names this very store; a SQLite file that was deleted and made again, moved or copied, is another.

    None where the SQLite file is not there. A digest: what it is made of may hold a password.
    """
    path = file()
    if path is not None and not path.exists():
        return None
    inode = path.stat().st_ino if path else 0
    return hashlib.sha256(f"{Path.cwd()}\n{uri()}\n{inode}".encode()).hexdigest()[:12]


def how_to_see() -> str:
    """What to type, or where to look."""
    if uri() == DEFAULT:
        return "`mlflow ui --port 5000`, then http://127.0.0.1:5000"
    return shown() if "://" in uri() and uri().startswith("http") else f"`mlflow ui --backend-store-uri {shown()}`"
