import gzip
import io

import numpy as np
import pandas as pd
import pyarrow
import pytest
from flask.testing import FlaskClient
from pyarrow import parquet
from werkzeug.test import TestResponse

from churn_drift.data.frames import columns_of
from churn_drift.serving import batch
from churn_drift.serving.model import ServedModel
from tests.conftest import Records
from tests.serving.test_problems import refused

CSV, PARQUET = "text/csv", "application/vnd.apache.parquet"


def post(client: FlaskClient, content: bytes | str, kind: str = CSV) -> TestResponse:
    return client.post("/predict/batch", data=content, content_type=kind)


def as_parquet(frame: pd.DataFrame) -> bytes:
    sink = io.BytesIO()
    frame.to_parquet(sink, index=False)
    return sink.getvalue()


def expected(served: ServedModel, clean: pd.DataFrame) -> list[str]:
    scores = served.score_columns(columns_of(clean))
    decided = ["true" if decision else "false" for decision in scores.decision]
    return [f"{c},{p:.6f},{d}" for c, p, d in zip(clean.CustomerID, scores.probability, decided, strict=True)]


def test_a_csv_is_scored_as_the_pipeline_scores_it(
    client: FlaskClient, served: ServedModel, raw_records: Records, clean_records: Records
) -> None:
    answer = post(client, raw_records(150).to_csv(index=False))
    assert answer.content_type == CSV
    assert answer.headers["X-Model-Version"] == served.version
    assert answer.text.splitlines() == ["CustomerID,probability,decision", *expected(served, clean_records(150))]


def test_a_parquet_file_of_text_cells_or_of_typed_ones_is_answered_like_the_csv(
    client: FlaskClient, raw_records: Records, clean_records: Records
) -> None:
    texts = post(client, raw_records(50).to_csv(index=False)).text
    for frame in (raw_records(50), clean_records(50)):
        answer = post(client, as_parquet(frame), PARQUET)
        assert answer.content_type == PARQUET
        table = parquet.read_table(io.BytesIO(answer.data))
        found = [f"{r['CustomerID']},{r['probability']:.6f},{str(r['decision']).lower()}" for r in table.to_pylist()]
        assert found == texts.splitlines()[1:]


def test_the_answer_does_not_depend_on_where_the_parts_are_cut(
    client: FlaskClient, raw_records: Records, monkeypatch: pytest.MonkeyPatch
) -> None:
    content, packed = raw_records(60).to_csv(index=False), as_parquet(raw_records(60))
    whole, whole_packed = post(client, content).data, post(client, packed, PARQUET).data
    monkeypatch.setattr(batch, "_BLOCK", 2_000)
    monkeypatch.setattr(batch, "_PART", 7)
    assert post(client, content).data == whole
    assert post(client, packed, PARQUET).data == whole_packed


def test_label_and_columns_after_the_risk_are_passed_over_whatever_they_hold(client: FlaskClient) -> None:
    plain = post(client, "MonthsInService\n3\n").text
    assert post(client, "Churn,RetentionCalls,MonthsInService\nperhaps,many,3\n").text == plain


def test_rows_keep_their_order_and_their_doubles(client: FlaskClient) -> None:
    answer = post(client, "CustomerID,MonthsInService\n9,3\n2,3\n9,3\n")
    assert [line.split(",")[0] for line in answer.text.splitlines()[1:]] == ["9", "2", "9"]


def test_without_customer_numbers_the_answer_has_none(client: FlaskClient) -> None:
    answer = post(client, "MonthsInService,Occupation\n3,Crafts\n,\n")
    assert [line.count(",") for line in answer.text.splitlines()] == [1, 1, 1]


def test_columns_that_are_not_there_are_missing(client: FlaskClient, served: ServedModel) -> None:
    answer = post(client, "MonthsInService\n3\n")
    assert answer.text.splitlines()[1].startswith(f"{served.score([{'MonthsInService': 3.0}])[0].probability:.6f},")


def test_the_first_wrong_row_of_every_wrong_column_is_named(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch, "_BLOCK", 64)
    good = "3,40,Crafts\n" * 20
    answer = post(client, f"MonthsInService,AgeHH1,Occupation\n{good}-1,x,Crafts\n3,40,Crafts\n")
    assert refused(answer, 422, "invalid-record")["errors"] == [
        {
            "pointer": "/20/MonthsInService",
            "detail": "row 22: '-1' is outside 0 to inf; mend the cell or leave it empty",
        },
        {"pointer": "/20/AgeHH1", "detail": "row 22: 'x' is not a number; mend the cell or leave it empty"},
    ]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "none of a customer's columns"),
        ("MonthsInService\n", "no customers"),
        ("CustomerID\n7\n", "none of a customer's columns"),
        ("MonthsInService,AgeHH1\n3,40\n3\n", "row 3: 1 cells, but the header has 2"),
        ('MonthsInService,Occupation\n3,"Cra', "a quoted cell never ends"),
        ("MonthsInService,Occupation\n3,Cra\0fts\n", "NUL"),
        (b"MonthsInService,Occupation\n3,\xff\xfe\n", "invalid UTF8"),
        (b"\xff\xfe\n3\n", "the header is no UTF-8 text"),
    ],
)
def test_a_csv_that_cannot_be_read_is_malformed(client: FlaskClient, content: str | bytes, said: str) -> None:
    assert said in str(refused(post(client, content), 400, "malformed")["detail"])


@pytest.mark.parametrize(
    ("header", "said"), [("MonthsInService,Foo", "'Foo' is no column"), ("AgeHH1,AgeHH1", "'AgeHH1' stands twice")]
)
def test_a_header_that_is_not_the_schema_is_invalid(client: FlaskClient, header: str, said: str) -> None:
    errors = refused(post(client, f"{header}\n3,3\n"), 422, "invalid-record")["errors"]
    assert said in errors[0]["detail"]  # type: ignore[index]


def test_byte_order_mark_crlf_and_empty_last_lines_are_legal(client: FlaskClient) -> None:
    plain = post(client, "MonthsInService,Occupation\n3,Crafts\n").text
    assert post(client, b"\xef\xbb\xbfMonthsInService,Occupation\r\n3,Crafts\r\n\r\n\n").text == plain
    assert post(client, "MonthsInService,Occupation\r3,Crafts\r").text == plain


def test_a_packed_csv_is_unpacked_and_a_cut_one_is_malformed(client: FlaskClient) -> None:
    packed = gzip.compress(b"MonthsInService\n3\n" * 1)
    assert post(client, packed).text == post(client, "MonthsInService\n3\n").text
    refused(post(client, packed[:-4]), 400, "malformed")


def test_a_batch_of_exactly_the_limit_is_taken_and_one_row_more_is_not(client: FlaskClient) -> None:
    rows = "3\n" * 300
    assert len(post(client, f"MonthsInService\n{rows}").text.splitlines()) == 301
    refused(post(client, f"MonthsInService\n{rows}3\n"), 413, "too-large")
    more = pd.DataFrame({"MonthsInService": [3.0] * 301})
    assert post(client, as_parquet(more.head(300)), PARQUET).status_code == 200
    refused(post(client, as_parquet(more), PARQUET), 413, "too-large")


def test_a_body_over_the_limit_is_refused(client: FlaskClient) -> None:
    refused(post(client, "MonthsInService\n" + "3\n" * 200_000), 413, "too-large")


@pytest.mark.parametrize("spoil", [lambda whole: whole[:-9], lambda whole: whole[:200], lambda whole: b"no parquet"])
def test_a_parquet_file_that_is_cut_is_malformed(client: FlaskClient, spoil) -> None:  # type: ignore[no-untyped-def]
    whole = as_parquet(pd.DataFrame({"MonthsInService": [3.0], "Occupation": ["Crafts"]}))
    refused(post(client, spoil(whole), PARQUET), 400, "malformed")


@pytest.mark.parametrize("where", [b"Crafts", b"Occupation"])
@pytest.mark.parametrize("packed", [True, False])
def test_a_parquet_file_whose_texts_or_names_are_no_utf_8_is_malformed(
    client: FlaskClient, where: bytes, packed: bool
) -> None:
    sink = io.BytesIO()
    table = pyarrow.table({"Occupation": ["Crafts", "Other"]})
    parquet.write_table(table, sink, compression="none", use_dictionary=packed, store_schema=False)
    refused(post(client, sink.getvalue().replace(where, b"\xff" + where[1:]), PARQUET), 400, "malformed")


def test_a_parquet_file_of_other_types_is_invalid(client: FlaskClient) -> None:
    table = pyarrow.table({"MonthsInService": [[3]], "Occupation": [1], "TruckOwner": [True], "AgeHH1": ["40"]})
    sink = io.BytesIO()
    parquet.write_table(table, sink)
    found = refused(post(client, sink.getvalue(), PARQUET), 422, "invalid-record")["errors"]
    assert [error["pointer"] for error in found] == ["/MonthsInService", "/Occupation", "/TruckOwner"]  # type: ignore[attr-defined]


def test_a_text_that_json_refuses_as_too_long_is_refused_in_a_file_by_its_row(client: FlaskClient) -> None:
    good, bad = (
        pd.DataFrame({"Occupation": ["é" * 200] * 9}),
        pd.DataFrame({"Occupation": ["é" * 200] * 9 + ["é" * 201]}),
    )
    told = {
        "pointer": "/9/Occupation",
        "detail": "row 11: a text is longer than 200 characters; shorten it or leave it empty",
    }
    for pack, kind in ((lambda frame: frame.to_csv(index=False), CSV), (as_parquet, PARQUET)):
        assert post(client, pack(good), kind).status_code == 200
        assert refused(post(client, pack(bad), kind), 422, "invalid-record")["errors"] == [told]


def test_null_and_nan_in_parquet_are_missing(client: FlaskClient) -> None:
    nothing = post(client, "MonthsInService\nNA\n").text.splitlines()[1]
    for values in (pyarrow.array([None], pyarrow.float64()), pyarrow.array(np.array([np.nan]))):
        sink = io.BytesIO()
        parquet.write_table(pyarrow.table({"MonthsInService": values}), sink)
        row = parquet.read_table(io.BytesIO(post(client, sink.getvalue(), PARQUET).data)).to_pylist()[0]
        assert f"{row['probability']:.6f}" == nothing.split(",")[0]


def test_a_small_parquet_file_whose_texts_would_swell_is_refused(client: FlaskClient) -> None:
    sink = io.BytesIO()
    table = pyarrow.table({"Occupation": ["x" * 100_000] * 300})
    parquet.write_table(table, sink, compression="zstd")
    assert len(sink.getvalue()) < 20_000
    assert "100,000 bytes" in str(refused(post(client, sink.getvalue(), PARQUET), 400, "malformed")["detail"])


def test_unseen_categories_are_counted_by_row(client: FlaskClient) -> None:
    post(client, "Occupation\nAstronaut\nCrafts\nDiver\n")
    assert 'churn_drift_unseen_categories_total{column="Occupation"} 2.0' in client.get("/metrics").text


def test_another_type_of_file_is_refused(client: FlaskClient) -> None:
    refused(post(client, b"{}", "application/json"), 415, "wrong-type")
