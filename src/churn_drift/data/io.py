"""The one place where a path becomes a frame and a frame becomes a file."""

import codecs
import csv
import gzip
import io
import zlib
from pathlib import Path

import pandas as pd
import pyarrow
from pyarrow import csv as csv_format

from churn_drift.data.files import replace, write_bytes
from churn_drift.errors import DataError, PipelineError

_GZIP = b"\x1f\x8b"


def read_raw(path: str | Path) -> pd.DataFrame:
    """Every cell of a CSV as text, one column a header cell; plain or gz, local path or s3:// URL.

    Raises DataError on a file that is absent, empty, cut (a row with too few cells included) or not UTF-8 text.
    """
    name = str(path)
    content = _text_bytes(name)
    header, _, rest = content.replace(b"\r\n", b"\n").replace(b"\r", b"\n").partition(b"\n")
    names = next(csv.reader([header.decode()]))
    frame = _cells(rest.rstrip(b"\n"), width=len(names), source=name)
    frame.columns = pd.Index(names, dtype="str")
    return frame


def read_frame(path: Path) -> pd.DataFrame:
    """A Parquet file that a stage wrote. Raises PipelineError naming the command that makes it."""
    if not path.exists():
        raise PipelineError(f"{path}: not there; `dvc repro` makes it")
    return pd.read_parquet(path)


def write_frame(frame: pd.DataFrame, path: Path) -> None:
    """Parquet, the same bytes for the same frame."""
    replace(path, lambda stream: frame.to_parquet(stream, index=False, compression="zstd"))


def write_csv(frame: pd.DataFrame, path: Path) -> None:
    """CSV with `NA` for missing cells and whole numbers without a point, the same bytes for the same frame."""
    text = frame.to_csv(index=False, na_rep="NA", lineterminator="\n", float_format="%.10g").encode()
    write_bytes(text, path)


def _text_bytes(name: str) -> bytes:
    """The unpacked bytes of a text file, without byte order mark."""
    try:
        content = _bytes(name)
    except FileNotFoundError:
        raise DataError(f"{name}: no such file; check the path, or ingest.source in params.yaml") from None
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(f"{name}: cannot be read to its end ({error}); is it cut? fetch it again") from None
    except OSError as error:
        raise DataError(f"{name}: cannot be read ({error.strerror or error}); give a readable file") from None
    content = content.removeprefix(codecs.BOM_UTF8)
    if not content.strip():
        raise DataError(f"{name}: the file is empty; give a CSV with the columns of src/churn_drift/schema.py")
    try:
        content.decode()
    except UnicodeDecodeError as error:
        row = content.count(b"\n", 0, error.start) + 1
        raise DataError(f"{name}: row {row}: byte {content[error.start]:#04x} is not UTF-8; save it as UTF-8") from None
    if (place := content.find(b"\0")) >= 0:
        row = content.count(b"\n", 0, place) + 1
        raise DataError(f"{name}: row {row}: holds a NUL byte, so it is damaged or no text; fetch it again")
    return content


def _bytes(name: str) -> bytes:
    content = _remote_bytes(name) if "://" in name else Path(name).read_bytes()
    return gzip.decompress(content) if content.startswith(_GZIP) else content


def _remote_bytes(url: str) -> bytes:
    """What lies at a URL; credentials, region and AWS_ENDPOINT_URL come from the environment, as DVC's do."""
    import fsspec  # type: ignore[import-untyped]
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        with fsspec.open(url, "rb") as stream:
            return bytes(stream.read())
    except (BotoCoreError, ClientError) as error:
        reason = str(error).rstrip(".")
        raise DataError(
            f"{url}: cannot be fetched ({reason}); check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, "
            "AWS_DEFAULT_REGION and AWS_ENDPOINT_URL"
        ) from None


def _cells(rows: bytes, *, width: int, source: str) -> pd.DataFrame:
    """The rows below the header as text: pandas' own reader fills a cut row with empty cells without a word."""
    names = [str(place) for place in range(width)]
    if not rows:
        return pd.DataFrame({name: pd.Series(dtype="str") for name in names})
    if rows.count(b'"') % 2:
        raise DataError(f"{source}: a quoted cell never ends; is the file cut? fetch it again")
    faulty: list[csv_format.InvalidRow] = []

    def refuse(row: csv_format.InvalidRow) -> str:
        faulty.append(row)
        return "error"

    try:
        table = csv_format.read_csv(
            io.BytesIO(rows),
            csv_format.ReadOptions(column_names=names, use_threads=False),
            csv_format.ParseOptions(newlines_in_values=True, ignore_empty_lines=False, invalid_row_handler=refuse),
            csv_format.ConvertOptions(column_types=dict.fromkeys(names, pyarrow.string()), strings_can_be_null=False),
        )
    except pyarrow.ArrowInvalid as error:
        if not faulty:
            raise DataError(f"{source}: not a CSV ({' '.join(str(error).split())}); fetch it again") from None
        row = faulty[0]
        raise DataError(
            f"{source}: row {row.number + 1}: {row.actual_columns} cells, but the header has {row.expected_columns}; "
            "is the file cut? fetch it again, or mend the row"
        ) from None
    frame: pd.DataFrame = table.to_pandas()
    return frame
