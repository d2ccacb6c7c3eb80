"""Files become frames whole or not at all; frames become files whole or not at all."""

import gzip

import numpy as np
import pandas as pd
import pytest

from churn_drift.data import files, io
from churn_drift.errors import DataError, PipelineError

TABLE = b"a,b,c\n1,2,3\n4,,NA\n"


def written(folder, content, name="table.csv"):
    path = folder / name
    path.write_bytes(content)
    return path


def refusal(path):
    with pytest.raises(DataError) as refused:
        io.read_raw(path)
    message = str(refused.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    return message.removeprefix(f"{path}: ")


# --- reading raw files -------------------------------------------------------------------------------------------


def test_every_cell_is_read_as_it_stands(tmp_path):
    frame = io.read_raw(written(tmp_path, b"a,b,c\n007, x ,3.10\n,NA,nan\n"))
    assert frame.to_dict("list") == {"a": ["007", ""], "b": [" x ", "NA"], "c": ["3.10", "nan"]}


LEGAL = {
    "plain": TABLE,
    "no newline at the end": TABLE.removesuffix(b"\n"),
    "blank lines at the end": TABLE + b"\n\n",
    "CRLF": TABLE.replace(b"\n", b"\r\n"),
    "CR": TABLE.replace(b"\n", b"\r"),
    "BOM": b"\xef\xbb\xbf" + TABLE,
    "BOM and CRLF": b"\xef\xbb\xbf" + TABLE.replace(b"\n", b"\r\n"),
    "quoted": b'"a","b","c"\n"1","2","3"\n"4","","NA"\n',
    "gz": gzip.compress(TABLE),
    "gz and BOM": gzip.compress(b"\xef\xbb\xbf" + TABLE),
}


@pytest.mark.parametrize("content", LEGAL.values(), ids=LEGAL)
def test_the_same_table_is_read_from_every_legal_form(tmp_path, content):
    frame = io.read_raw(written(tmp_path, content))
    assert frame.to_dict("list") == {"a": ["1", "4"], "b": ["2", ""], "c": ["3", "NA"]}


def test_a_header_without_rows_is_a_table_without_rows(tmp_path):
    frame = io.read_raw(written(tmp_path, b"a,b\n"))
    assert list(frame.columns) == ["a", "b"]
    assert len(frame) == 0


def test_a_repeated_column_keeps_its_name(tmp_path):
    assert list(io.read_raw(written(tmp_path, b"a,a\n1,2\n")).columns) == ["a", "a"]


@pytest.mark.parametrize("content", [b"", b"\n\n", b"\xef\xbb\xbf", gzip.compress(b"", mtime=0)])
def test_an_empty_file_is_refused(tmp_path, content):
    assert refusal(written(tmp_path, content)).startswith("the file is empty; give a CSV")


def test_a_file_cut_inside_its_last_row_is_refused_with_the_row(tmp_path):
    assert refusal(written(tmp_path, b"a,b,c\n1,2,3\n4,5")).startswith("row 3: 2 cells, but the header has 3; is the")


def test_a_row_with_too_few_cells_is_refused_wherever_it_stands(tmp_path):
    assert refusal(written(tmp_path, b"a,b,c\n1,2\n4,5,6\n")).startswith("row 2: 2 cells, but the header has 3")


def test_a_row_with_too_many_cells_is_refused(tmp_path):
    assert refusal(written(tmp_path, b"a,b,c\n1,2,3\n4,5,6,7\n")).startswith("row 3: 4 cells, but the header has 3")


def test_rows_that_all_have_a_cell_too_many_do_not_shift_the_columns(tmp_path):
    assert refusal(written(tmp_path, b"a,b,c\n1,2,3,\n4,5,6,\n")).startswith("row 2: 4 cells, but the header has 3")


def test_a_file_cut_inside_a_quoted_cell_is_refused(tmp_path):
    assert refusal(written(tmp_path, b'a,b\n1,2\n3,"4')).startswith("a quoted cell never ends; is the file cut?")


@pytest.mark.parametrize("kept", [5, 12, -9, -1])
def test_a_cut_gz_file_is_refused(tmp_path, kept):
    assert "is it cut? fetch it again" in refusal(written(tmp_path, gzip.compress(TABLE * 9)[:kept], "table.csv.gz"))


@pytest.mark.parametrize("place", [3, 10, 20], ids=["header", "block", "data"])
def test_a_damaged_gz_file_is_refused(tmp_path, place):
    content = bytearray(gzip.compress(TABLE * 99))
    content[place] ^= 0xFF
    assert "is it cut? fetch it again" in refusal(written(tmp_path, bytes(content), "table.csv.gz"))


def test_a_cell_that_is_not_utf8_is_refused_with_its_row(tmp_path):
    message = refusal(written(tmp_path, b"a,b\n1,2\n3,M\xfcnchen\n"))
    assert message == "row 3: byte 0xfc is not UTF-8; save it as UTF-8"


def test_a_file_with_nul_bytes_is_refused_with_its_row(tmp_path):
    assert refusal(written(tmp_path, b"a,b\n1,2\n\0\0\0\0")).startswith("row 3: holds a NUL byte")


def test_a_missing_file_is_refused_with_what_to_name(tmp_path):
    assert refusal(tmp_path / "absent.csv").startswith("no such file; check the path")


def test_a_folder_is_no_table(tmp_path):
    assert refusal(tmp_path) == "cannot be read (Is a directory); give a readable file"


def test_a_blank_line_keeps_its_number_so_that_later_rows_are_named_rightly(tmp_path):
    assert io.read_raw(written(tmp_path, b"a,b\n1,2\n\n3,4\n"))["a"].tolist() == ["1", "", "3"]


# --- what stages wrote -------------------------------------------------------------------------------------------


def test_a_table_that_was_written_is_read_as_text(tmp_path):
    rows = [{"cell": 'a,"b"', "share": 0.5}, {"cell": "NA", "share": None}]
    files.write_table(files.Table(("cell", "share"), rows), tmp_path / "table.csv")
    assert files.read_table(tmp_path / "table.csv") == [
        {"cell": 'a,"b"', "share": "0.5"},
        {"cell": "NA", "share": "NA"},
    ]


@pytest.mark.parametrize("read", [io.read_frame, files.read_json, files.read_table])
def test_a_missing_result_names_the_command_that_makes_it(tmp_path, read):
    with pytest.raises(PipelineError, match=r"absent: not there; `dvc repro` makes it"):
        read(tmp_path / "absent")


def test_a_damaged_json_names_the_command_that_makes_it_anew(tmp_path):
    with pytest.raises(PipelineError, match=r"summary.json: not JSON .*`dvc repro` makes it anew"):
        files.read_json(written(tmp_path, b'{"rows": ', "summary.json"))


def test_a_csv_of_ours_is_read_back_as_raw_text(tmp_path):
    io.write_csv(pd.DataFrame({"a": [1.5, np.nan], "b": ["x, y", 'say "z"']}), tmp_path / "t.csv")
    assert io.read_raw(tmp_path / "t.csv").to_dict("list") == {"a": ["1.5", "NA"], "b": ["x, y", 'say "z"']}


def test_a_frame_is_read_back_as_it_was(tmp_path):
    frame = pd.DataFrame({"n": [1.5, np.nan], "s": pd.Series(["x", None], dtype="str"), "i": [1, 2]})
    io.write_frame(frame, tmp_path / "t.parquet")
    pd.testing.assert_frame_equal(io.read_frame(tmp_path / "t.parquet"), frame)


@pytest.mark.parametrize(
    "write",
    [
        io.write_frame,
        io.write_csv,
        lambda frame, path: files.write_json(frame.to_dict("list"), path),
    ],
    ids=["parquet", "csv", "json"],
)
def test_the_same_content_gives_the_same_bytes(tmp_path, write):
    frame = pd.DataFrame({"a": [0.1, 0.2], "b": ["ä", "b"]})
    write(frame, tmp_path / "first")
    write(frame.copy(), tmp_path / "deep" / "second")
    assert (tmp_path / "first").read_bytes() == (tmp_path / "deep" / "second").read_bytes()
    assert files.sha256(tmp_path / "first") == files.sha256(tmp_path / "deep" / "second")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_a_number_that_json_cannot_hold_is_refused_and_the_old_file_stays(tmp_path, value):
    path = written(tmp_path, b"old", "report.json")
    with pytest.raises(ValueError, match="not JSON compliant"):
        files.write_json({"auc": value}, path)
    assert path.read_bytes() == b"old"


def test_a_write_that_fails_leaves_the_old_file_and_nothing_beside_it(tmp_path, monkeypatch):
    path = written(tmp_path, b"old")

    def half(self, stream, **_):
        stream.write(b"half of it")
        raise RuntimeError("disk full")

    monkeypatch.setattr(pd.DataFrame, "to_parquet", half)
    with pytest.raises(RuntimeError, match="disk full"):
        io.write_frame(pd.DataFrame({"a": [1]}), path)
    assert path.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["table.csv"]


def test_a_reader_never_sees_half_a_file(tmp_path, monkeypatch):
    path = written(tmp_path, b"old")
    seen = []

    def slow(self, stream, **_):
        stream.write(b"half of it")
        stream.flush()
        seen.append(path.read_bytes())
        stream.write(b", whole")

    monkeypatch.setattr(pd.DataFrame, "to_parquet", slow)
    io.write_frame(pd.DataFrame({"a": [1]}), path)
    assert seen == [b"old"]
    assert path.read_bytes() == b"half of it, whole"
