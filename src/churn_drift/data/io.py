"""The one place where a path becomes a frame and a frame becomes a file."""

import gzip
import hashlib
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any

import pandas as pd

from churn_drift.errors import DataError, PipelineError


def read_raw(path: str | Path) -> pd.DataFrame:
    """Every cell of a CSV as text; plain or gz, local or s3:// URL. Raises DataError on an empty, cut or unreadable file."""
    name = str(path)
    try:
        return pd.read_csv(name, dtype=str, keep_default_na=False, na_filter=False, encoding="utf-8-sig")
    except FileNotFoundError:
        raise DataError(
            f"{name}: no such file; name a Cell2Cell CSV (params.yaml, ingest.source, or --data PATH)"
        ) from None
    except pd.errors.EmptyDataError:
        raise DataError(
            f"{name}: the file is empty; give a CSV with the columns of src/churn_drift/schema.py"
        ) from None
    except (pd.errors.ParserError, UnicodeDecodeError, gzip.BadGzipFile, EOFError) as error:
        reason = " ".join(str(error).split())
        raise DataError(f"{name}: cannot be read to its end ({reason}); is it cut? fetch it again") from None


def read_frame(path: Path) -> pd.DataFrame:
    """A Parquet file that a stage wrote. Raises PipelineError naming the command that makes it."""
    if not path.exists():
        raise PipelineError(f"{path}: not there; `dvc repro` makes it")
    return pd.read_parquet(path)


def read_csv(path: Path) -> pd.DataFrame:
    """A table that a stage wrote with `write_csv`. Raises PipelineError naming the command that makes it."""
    if not path.exists():
        raise PipelineError(f"{path}: not there; `dvc repro` makes it")
    return pd.read_csv(path)


def write_frame(frame: pd.DataFrame, path: Path) -> None:
    """Parquet, the same bytes for the same frame."""
    _replace(path, lambda stream: frame.to_parquet(stream, index=False, compression="zstd"))


def write_csv(frame: pd.DataFrame, path: Path) -> None:
    """CSV with `NA` for missing cells, the same bytes for the same frame."""
    text = frame.to_csv(index=False, na_rep="NA", lineterminator="\n").encode()
    write_bytes(text, path)


def read_json(path: Path) -> Any:
    """A JSON document. Raises PipelineError when it is not there."""
    if not path.exists():
        raise PipelineError(f"{path}: not there; `dvc repro` makes it")
    return json.loads(path.read_bytes())


def write_json(document: Mapping[str, Any] | list[Any], path: Path) -> None:
    """JSON for people and diffs: indented, keys as given, no NaN."""
    write_bytes((json.dumps(document, indent=1, allow_nan=False, ensure_ascii=False) + "\n").encode(), path)


def write_bytes(content: bytes, path: Path) -> None:
    """Write beside, then rename: a reader sees the old file or the new one, never half of it."""
    _replace(path, lambda stream: stream.write(content))


def sha256(path: Path) -> str:
    """Hex digest of a file's bytes."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _replace(path: Path, write: Callable[[IO[bytes]], Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with beside.open("wb") as stream:
            write(stream)
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
