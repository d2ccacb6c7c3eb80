"""Checks of this machine and this clone: versions, git, disk, DVC's remote, MLflow's store."""

import importlib.metadata
import os
import platform
import shutil
import sqlite3
import subprocess
import tempfile
import tomllib
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from churn_drift.aws import settings
from churn_drift.errors import ConfigError
from churn_drift.findings import Check, Finding, ok, skip, wrong
from churn_drift.publishing import address

SECONDS = 4
TOOLS = ("dvc", "mlflow", "xgboost-cpu")
LEAST_FREE = 1 << 30
"""Bytes: the default history fills a tenth of it."""
SECRETS = frozenset({"secret_access_key", "session_token", "password"})


def checks(config: Mapping[str, Any], committed: Mapping[str, Any]) -> Iterator[Check]:
    """The checks in order.

    config     DVC's configuration as it holds here
    committed  that of .dvc/config alone
    """
    cache = Path(config.get("cache", {}).get("dir") or ".dvc/cache")
    yield Check("python", _python)
    yield Check("packages", _packages)
    yield Check("git", _git)
    yield Check("disk", lambda: _disk(cache))
    yield Check("mlflow", _mlflow)
    yield Check("secrets", lambda: _secrets(committed))
    yield Check("remote", lambda: _remote(config))
    yield Check("folder", lambda: _folder(default_url(config)), needs=("remote",))


def default_url(config: Mapping[str, Any]) -> str:
    """Where `dvc push` goes; empty where that is nowhere."""
    name = config.get("core", {}).get("remote", "")
    return str(config.get("remote", {}).get(name, {}).get("url", ""))


def _python() -> Finding:
    here, asked = platform.python_version(), _project()["requires-python"]
    if here not in SpecifierSet(asked):
        return wrong(f"{here}, but pyproject.toml asks for {asked}", "`make clean run` with PYTHON=python3.11")
    return ok(here)


def _packages() -> Finding:
    asked = [Requirement(text) for text in _project()["dependencies"]]
    faulty = [f"{need.name} {_version(need.name) or 'missing'}, not {need}" for need in asked if not _suits(need)]
    if faulty:
        return wrong("; ".join(faulty), "`pip install -r requirements.txt`")
    if _version("xgboost"):
        return wrong(
            "xgboost beside xgboost-cpu, each overwrites the other", "make the environment anew: `make clean run`"
        )
    return ok(", ".join(f"{name} {_version(name)}" for name in TOOLS))


def _suits(need: Requirement) -> bool:
    version = _version(need.name)
    return version is not None and version in need.specifier


def _git() -> Finding:
    try:
        done = subprocess.run(["git", "rev-parse", "--git-dir"], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return wrong("not installed", "install git")
    if done.returncode:
        return wrong(" ".join(done.stderr.split()), "work in a clone of the repository")
    version = subprocess.run(["git", "--version"], capture_output=True, text=True, check=True).stdout
    return ok(version.removeprefix("git version ").strip())


def _disk(cache: Path) -> Finding:
    free = shutil.disk_usage(_there(cache)).free
    if free < LEAST_FREE:
        return wrong(
            f"{_gigabytes(free)} free for DVC's cache", "`dvc gc --workspace`, or `dvc cache dir --local` elsewhere"
        )
    return ok(f"{_gigabytes(free)} free for DVC's cache")


def _mlflow() -> Finding:
    uri, file = address.uri(), address.file()
    if uri.startswith(("http://", "https://")):
        return _server(uri)
    if file is None:
        return skip(f"{address.shown()}: `churn-drift publish` tells whether it answers")
    if not file.exists():
        return ok(f"{file} is not there yet, `churn-drift run` makes it")
    try:
        with sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True, timeout=SECONDS) as store:
            store.execute("SELECT version_num FROM alembic_version").fetchone()
    except sqlite3.Error as error:
        return wrong(f"{file}: {error}", f"`mlflow db upgrade {address.shown()}`, or move the file away")
    return ok(str(file))


def _server(uri: str) -> Finding:
    remedy = "start it (`mlflow server`), or check MLFLOW_TRACKING_URI"
    parts = urlsplit(f"{uri.rstrip('/')}/health")
    question = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))  # urllib takes no user there
    try:
        with urllib.request.urlopen(question, timeout=SECONDS):  # noqa: S310 - http(s) only
            return ok(f"{address.shown()} answers")
    except urllib.error.HTTPError as error:
        if error.code in {401, 403}:
            return wrong(
                f"{address.shown()} refuses us ({error.reason})", "check MLFLOW_TRACKING_USERNAME and _PASSWORD"
            )
        return wrong(f"{address.shown()} answers {error.code} {error.reason}", remedy)
    except (OSError, ValueError) as error:
        return wrong(f"{address.shown()} does not answer ({getattr(error, 'reason', error)})", remedy)


def _secrets(committed: Mapping[str, Any]) -> Finding:
    found = [
        f"{name}.{key}" for name, options in committed.get("remote", {}).items() for key in SECRETS & options.keys()
    ]
    if found:
        return wrong(
            f"{', '.join(sorted(found))} in .dvc/config, which git keeps",
            "move it by `dvc remote modify --local`, or into .env, and have the key replaced",
        )
    return ok("none in .dvc/config")


def _remote(config: Mapping[str, Any]) -> Finding:
    name, url = config.get("core", {}).get("remote", ""), default_url(config)
    if not url:
        said = f"DVC's default remote {name} is not in its configuration" if name else "DVC has no default remote"
        return wrong(said, "`churn-drift remote local` or `churn-drift remote s3`")
    try:
        aws = settings.use_aws(os.environ)
        expected = settings.bucket(os.environ) if os.environ.get(settings.BUCKET) and _is_s3(url) else ""
    except ConfigError as error:
        said, _, remedy = str(error).partition("; ")
        return wrong(said, remedy)
    if aws and not _is_s3(url):
        return wrong(f"USE_AWS is set, but `dvc push` goes to {url}", "`churn-drift remote s3`, or USE_AWS=false")
    if expected and not f"{url}/".startswith(f"s3://{expected}/"):
        return wrong(f"S3_BUCKET is {expected}, but `dvc push` goes to {url}", "`churn-drift remote s3`")
    return ok(f"{name}: {address.without_password(url)}")


def _folder(url: str) -> Finding:
    if "://" in url:
        return skip("the remote is no folder")
    there, folder = _there(Path(url)), Path(url)
    try:
        with tempfile.TemporaryFile(dir=there):
            pass
    except OSError as error:
        return wrong(
            f"{there}: {error.strerror}", "`dvc remote modify --local local url` to a folder that you may write"
        )
    return ok("may be written" if there == folder else "is not there yet, `dvc push` makes it")


def _is_s3(url: str) -> bool:
    return url.startswith("s3://")


def _there(path: Path) -> Path:
    """The path, or the nearest folder above it that exists."""
    return next(folder for folder in (path, *path.absolute().parents) if folder.exists())


def _gigabytes(count: int) -> str:
    return f"{count / 1e9:.1f} GB"


def _project() -> dict[str, Any]:
    project: dict[str, Any] = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))["project"]
    return project


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
