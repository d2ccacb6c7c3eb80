"""The log, read: sealed files and what journals hold so far, each row once."""

import io
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pyarrow
from pyarrow import compute, parquet

from churn_drift.capture import place
from churn_drift.capture.form import FORM
from churn_drift.capture.journal import read_frames
from churn_drift.capture.remote import Bucket
from churn_drift.errors import DataError

_ORDER = [("time", "ascending"), ("request_id", "ascending"), ("place", "ascending")]


def read(
    where: str | Path = place.FOLDER,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    staging: Path = place.FOLDER,
) -> pyarrow.Table:
    """The rows from `since` to `until`, both included, by time, request and place; as they are, locking nothing.

    where    a folder, or s3://bucket/prefix
    staging  of a log at S3: what lies on this machine still is read, too

    A column stands in the table where any file has it, null in the rows of files that may not store it.
    Raises DataError naming a file that is damaged, or what S3 says.
    """
    return united(parts(where, since=since, until=until, staging=staging))


def parts(
    where: str | Path = place.FOLDER,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    staging: Path = place.FOLDER,
) -> list[pyarrow.Table]:
    """The same rows, a table a file with the columns that it has; in no order."""
    remote = place.is_remote(str(where))
    folder = staging if remote else Path(where)
    # In the order in which files move, so that one that moves meanwhile is met again, under the same key.
    found = dict(_of_journals(folder, since, until))
    found.update(_of_folder(folder, since, until))
    if remote:
        bucket = Bucket(str(where))
        for key in _listed(bucket):
            if key not in found and _may_hold(key, since, until):
                found[key] = _of_bucket(bucket, key)
    return [_between(table, since, until) for table in found.values()]


def united(tables: list[pyarrow.Table]) -> pyarrow.Table:
    """All their rows, in order, with the columns that any of them has."""
    names = {name for table in tables for name in table.column_names}
    form = pyarrow.schema([field for field in FORM if field.name in names] if names else FORM)
    whole = pyarrow.concat_tables([form.empty_table(), *tables], promote_options="default")
    return whole.sort_by(_ORDER)


def _of_journals(folder: Path, since: datetime | None, until: datetime | None) -> Iterator[tuple[str, pyarrow.Table]]:
    for key, path in place.journals(folder).items():
        if _may_hold(key, since, until):
            try:
                with path.open("rb") as stream:
                    batches = [*read_frames(stream)]
            except FileNotFoundError:  # sealed since it was listed
                continue
            if batches:
                yield key, pyarrow.Table.from_batches(batches)


def _of_folder(folder: Path, since: datetime | None, until: datetime | None) -> Iterator[tuple[str, pyarrow.Table]]:
    for key, path in place.sealed(folder).items():
        if _may_hold(key, since, until):
            try:
                content = path.read_bytes()
            except FileNotFoundError:  # sent since it was listed
                continue
            yield key, _table(content, str(path))


def _of_bucket(bucket: Bucket, key: str) -> pyarrow.Table:
    try:
        content = bucket.fetch(key)
    except OSError as error:
        raise _unreachable(error) from None
    return _table(content, f"{bucket.url}/{key}")


def _listed(bucket: Bucket) -> list[str]:
    try:
        return bucket.keys()
    except OSError as error:
        raise _unreachable(error) from None


def _unreachable(error: OSError) -> DataError:
    return DataError(
        f"the inference log cannot be read: {error}; check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, "
        "AWS_DEFAULT_REGION and AWS_ENDPOINT_URL"
    )


def _table(content: bytes, name: str) -> pyarrow.Table:
    """Raises DataError where the content is not the sealed file that the log wrote."""
    try:
        with parquet.ParquetFile(io.BytesIO(content)) as file:
            table = file.read(use_threads=False)
    except (pyarrow.ArrowException, OSError, EOFError) as error:
        raise DataError(
            f"{name}: no whole file of the inference log ({' '.join(str(error).split())}); "
            "move it away to read the others, or bring it back from a copy"
        ) from None
    strange = [field for field in table.schema if field.name not in FORM.names or FORM.field(field.name) != field]
    if strange:
        raise DataError(f"{name}: column {strange[0].name} is none of the inference log's; move the file away")
    return table


def _may_hold(key: str, since: datetime | None, until: datetime | None) -> bool:
    hour = place.hour_of_key(key)
    return (
        hour is not None
        and (since is None or hour >= place.hour_of(since.timestamp()))
        and (until is None or hour <= place.hour_of(until.timestamp()))
    )


def _between(table: pyarrow.Table, since: datetime | None, until: datetime | None) -> pyarrow.Table:
    if since is not None:
        table = table.filter(compute.greater_equal(table["time"], _moment(since)))
    if until is not None:
        table = table.filter(compute.less_equal(table["time"], _moment(until)))
    return table


def _moment(when: datetime) -> pyarrow.Scalar:
    return pyarrow.scalar(when.astimezone(UTC), FORM.field("time").type)
