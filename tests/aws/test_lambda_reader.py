"""The Lambda's reader of CSV types and refuses what pandas and pyarrow do."""

import gzip
import io
import random

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from churn_drift import schema
from churn_drift.aws.look.batch_reader import BatchReader
from churn_drift.columns import Codes, concatenate
from churn_drift.data.frames import columns_of
from churn_drift.data.io import read_raw
from churn_drift.data.preprocess import preprocess
from churn_drift.errors import DataError

LIMIT = 10**8


def read(content: bytes, *, block: int = 4096, rows: int = 1000, zero_is_missing: bool = True, limit: int = LIMIT):
    blocks = (content[start : start + block] for start in range(0, len(content), block))
    reader = BatchReader(blocks, source="day.csv", zero_is_missing=zero_is_missing, limit=limit)
    return reader, concatenate(list(reader.parts(rows=rows)))


def by_pandas(content: bytes, folder, *, zero_is_missing: bool = True):
    path = folder / "day.csv"
    path.write_bytes(content)
    raw = read_raw(path)
    raw = raw if schema.LABEL in raw else raw.assign(**{schema.LABEL: ""})
    return columns_of(preprocess(raw, source="day.csv", zero_is_missing=zero_is_missing).frame)


def same(ours, theirs) -> bool:
    for name, column in theirs.items():
        if isinstance(column, Codes):
            equal = np.array_equal(ours[name].recode(column.levels, unseen=-9), column.codes)
        else:
            equal = np.array_equal(ours[name], column, equal_nan=True)
        if not equal:
            return False
    return list(ours) == list(theirs)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("reader")


@pytest.fixture(scope="module")
def csv_of(raw_records):
    def make(rows: int, start: int = 0, **cells: str) -> bytes:
        frame = raw_records(rows, start=start)
        for name, value in cells.items():
            frame.loc[0, name] = value
        return frame.to_csv(index=False).encode()

    return make


@pytest.mark.parametrize("zero_is_missing", [True, False])
def test_a_batch_is_typed_as_by_preprocess(csv_of, folder, zero_is_missing):
    content = csv_of(700)
    _, ours = read(content, block=777, rows=99, zero_is_missing=zero_is_missing)
    assert same(ours, by_pandas(content, folder, zero_is_missing=zero_is_missing))


WRITTEN = {
    "gz": gzip.compress,
    "two archives in one file": lambda text: gzip.compress(text[:5000]) + gzip.compress(text[5000:]) + b"\0\0",
    "byte order mark": lambda text: b"\xef\xbb\xbf" + text,
    "lines of Windows": lambda text: text.replace(b"\n", b"\r\n"),
    "lines of old Macs": lambda text: text.replace(b"\n", b"\r"),
    "blank lines at the end": lambda text: text + b"\n\n",
    "no last newline": lambda text: text.rstrip(b"\n"),
    "every cell quoted": lambda text: b"\n".join(
        b",".join(b'"' + cell + b'"' for cell in line.split(b",")) for line in text.rstrip(b"\n").split(b"\n")
    ),
    "rows twice": lambda text: text + text.partition(b"\n")[2],
    "a number written otherwise": lambda text: text + text.splitlines()[1].replace(b",No,", b",No,", 1) + b"\n",
}


@pytest.mark.parametrize("way", WRITTEN)
@pytest.mark.parametrize("block", [1, 4096])
def test_it_is_the_same_however_the_file_is_written(csv_of, folder, way, block):
    plain = csv_of(30)
    content = WRITTEN[way](plain)
    _, ours = read(content, block=block, rows=7)
    assert same(ours, by_pandas(content, folder))
    assert same(ours, by_pandas(plain, folder))


def test_columns_come_in_any_order_and_the_label_may_be_absent(raw_records, folder):
    shuffled = raw_records(40).drop(columns=schema.LABEL)
    names = list(shuffled.columns)
    random.Random(3).shuffle(names)
    content = shuffled[names].to_csv(index=False).encode()
    assert same(read(content)[1], by_pandas(content, folder))


def test_a_row_that_comes_again_in_another_part_is_counted_once(csv_of):
    content = csv_of(50)
    reader, ours = read(content + content.partition(b"\n")[2], rows=11)
    assert (reader.rows, reader.duplicates, len(ours["MonthlyRevenue"])) == (50, 50, 50)


CELLS = st.one_of(
    st.text(alphabet="0123456789.eE+-_ \t'x", max_size=8),
    st.floats(width=32).map(str),
    st.integers(-(10**20), 10**20).map(str),
    st.sampled_from(["", "NA", "Unknown", "nan", "inf", "-0", "1_0", "١٢", "0x1F", "1e400", " 12 ", "0", "121", "Yes"]),
)
COLUMNS = ["CustomerID", "Churn", "MonthlyRevenue", "AgeHH1", "HandsetPrice", "IncomeGroup", "MaritalStatus"]


@settings(max_examples=60)
@given(column=st.sampled_from(COLUMNS), cell=CELLS)
@example(column="CustomerID", cell="9007199254740992")
@example(column="CustomerID", cell="12.0")
@example(column="AgeHH1", cell="0.0")
def test_a_cell_is_taken_or_refused_as_by_preprocess(csv_of, folder, column, cell):
    raw = pd.read_csv(io.BytesIO(csv_of(3)), dtype=str, keep_default_na=False, na_filter=False)
    raw.loc[1, column] = cell
    content = raw.to_csv(index=False).encode()
    assert outcome(lambda: read(content)[1]) == outcome(lambda: by_pandas(content, folder)), cell


def outcome(attempt):
    """The rows, in whatever order; of what is refused, the row that the error names."""
    try:
        columns = attempt()
    except DataError as error:
        return str(error).split(":")[1]
    plain = [[*c.levels, None] if isinstance(c, Codes) else None for c in columns.values()]
    values = [c.codes if isinstance(c, Codes) else c for c in columns.values()]
    rows = zip(
        *[[repr(names[v] if names else v) for v in column] for names, column in zip(plain, values, strict=True)],
        strict=True,
    )
    return sorted(rows)


def damaged(text: bytes) -> dict[str, bytes]:
    lines = text.splitlines(keepends=True)
    return {
        "no bytes": b"",
        "header only": lines[0],
        "cut in a row": text[:-40],
        "cut in a quoted cell": text + b'3999999,"No',
        "a cell too many": text + lines[1].rstrip(b"\n") + b",7\n",
        "a blank line between": lines[0] + lines[1] + b"\n" + lines[2],
        "not UTF-8": text + b"\xff\xfe,",
        "a NUL byte": lines[0] + lines[1].replace(b",", b"\0,", 1),
        "no header": b"".join(lines[1:]),
        "a column less": b"\n".join(line.rpartition(b",")[0] for line in text.splitlines()) + b"\n",
        "a column twice": b"".join(line.rstrip(b"\n") + b"," + line.split(b",")[0] + b"\n" for line in lines),
        "last week's name": text.replace(b"MonthlyMinutes", b"Minutes", 1),
        "a cut archive": gzip.compress(text)[:-9],
        "no archive": b"\x1f\x8bnot an archive",
        "a picture": b"\x89PNG\r\n\x1a\n\0\0\0",
        "a customer twice, otherwise": text + lines[1].replace(b"\n", b"x\n"),
        "a line without end": text + b"7" * (1 << 21),
    }


@pytest.mark.parametrize("fault", damaged(b"a,b\n1,2\n3,4\n"))
def test_what_is_no_batch_is_refused_in_a_line_that_quotes_no_cell(csv_of, folder, fault):
    text = csv_of(3)
    content = damaged(text)[fault]
    with pytest.raises(DataError):
        by_pandas(content, folder)
    with pytest.raises(DataError) as refused:
        read(content)
    assert str(refused.value).startswith("day.csv: ")
    cells = {cell for line in text.decode().splitlines()[1:] for cell in line.split(",") if len(cell) > 3}
    assert [cell for cell in cells if cell in str(refused.value)] == []


def test_an_archive_that_unpacks_to_more_than_the_limit_is_refused_before_it_fills_the_memory(csv_of):
    bomb = gzip.compress(csv_of(2) + b"\n" * 10**8)
    with pytest.raises(DataError, match="larger than 1 MB"):
        read(bomb, limit=10**6)


def test_labels_that_arrive_later_are_known_as_such():
    reader = BatchReader([b"CustomerID,Churn\n3000002,Yes\n"], source="l.csv", zero_is_missing=True, limit=LIMIT)
    assert reader.is_labels
