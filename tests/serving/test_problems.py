import gzip
import io
import json

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.serving.conftest import SMALL

CRAFTS = {"MonthsInService": 3, "Occupation": "Crafts"}


def refused(answer: TestResponse, status: int, name: str) -> dict[str, object]:
    """The problem document, after its form is checked."""
    assert (answer.status_code, answer.content_type) == (status, "application/problem+json")
    found: dict[str, object] = answer.get_json()
    assert (found["status"], found["type"]) == (status, f"/docs#{name}")
    assert found["instance"] == answer.headers["X-Request-Id"]
    assert found["title"]
    assert found["detail"]
    return found


def test_every_wrong_field_is_named_at_once(client: FlaskClient) -> None:
    answer = client.post("/predict", json={"AgeHH1": "old", "Foo": 1, "MonthsInService": -1, "Occupation": 7})
    found = refused(answer, 422, "invalid-record")
    assert [e["pointer"] for e in found["errors"]] == ["/AgeHH1", "/Foo", "/MonthsInService", "/Occupation"]  # type: ignore[attr-defined]
    assert found["detail"] == "4 fields are wrong"


def test_a_fault_in_a_list_is_named_with_its_place(client: FlaskClient) -> None:
    answer = client.post("/predict", json=[CRAFTS, {"MonthsInService": -1}, 3])
    assert [e["pointer"] for e in refused(answer, 422, "invalid-record")["errors"]] == ["/1/MonthsInService", "/2"]  # type: ignore[attr-defined]


def test_of_very_many_faults_the_first_hundred_are_listed(client: FlaskClient) -> None:
    answer = client.post("/predict", json={f"field{place}": 1 for place in range(150)})
    found = refused(answer, 422, "invalid-record")
    assert len(found["errors"]) == 100  # type: ignore[arg-type]
    assert found["detail"] == "150 fields are wrong; the first 100 are listed"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b'{"MonthsInService": NaN}',
        b'{"MonthsInService": Infinity}',
        b'{"MonthsInService": 1e999}',
        b'{"Occupation": "\xff"}',
        b'{"Occupation": "\\ud800"}',
        b"[" * 5_000,
        b'{"a":' * 2_000,
    ],
)
def test_what_is_no_json_is_malformed(client: FlaskClient, content: bytes) -> None:
    refused(client.post("/predict", data=content, content_type="application/json"), 400, "malformed")


@pytest.mark.parametrize(
    "document", [3, "x", None, True, [], [[]], {"MonthsInService": [[[[1]]]]}, {"Occupation": {"a": {}}}]
)
def test_json_that_is_no_customer_is_invalid(client: FlaskClient, document: object) -> None:
    answer = client.post("/predict", data=json.dumps(document), content_type="application/json")
    refused(answer, 422, "invalid-record")


@pytest.mark.parametrize("text", ["Grüße", "客户", "\u202e", "\u0000", "😀" * 50])
def test_unicode_in_a_category_is_legal_and_unseen(client: FlaskClient, text: str) -> None:
    answer = client.post("/predict", json={"Occupation": text})
    assert answer.status_code == 200
    assert answer.get_json()["predictions"][0]["unseen"] == ["Occupation"]


@pytest.mark.parametrize("kind", [None, "text/plain", "application/x-www-form-urlencoded", "text/csv"])
def test_another_content_type_is_refused(client: FlaskClient, kind: str | None) -> None:
    refused(client.post("/predict", data=json.dumps(CRAFTS), content_type=kind), 415, "wrong-type")


def test_a_charset_beside_the_content_type_is_legal(client: FlaskClient) -> None:
    answer = client.post("/predict", data=json.dumps(CRAFTS), content_type="application/json; charset=utf-8")
    assert answer.status_code == 200


def test_a_body_of_exactly_the_limit_is_taken_and_one_byte_more_is_not(client: FlaskClient) -> None:
    full = json.dumps(CRAFTS).encode().ljust(SMALL.max_body)
    assert client.post("/predict", data=full, content_type="application/json").status_code == 200
    answer = client.post("/predict", data=full + b" ", content_type="application/json")
    assert "20,000 bytes" in str(refused(answer, 413, "too-large")["detail"])


@pytest.mark.parametrize(("path", "kind"), [("/predict", "application/json"), ("/predict/batch", "text/csv")])
def test_a_body_of_unknown_length_is_taken_whole_or_not_at_all(client: FlaskClient, path: str, kind: str) -> None:
    limit = SMALL.max_body if path == "/predict" else SMALL.max_batch
    content = (b"[{}]" if path == "/predict" else b"MonthsInService\n3").ljust(
        limit, b" " if path == "/predict" else b"\n"
    )
    assert stream(client, path, kind, content).status_code == 200
    refused(stream(client, path, kind, content + b"\n"), 413, "too-large")


def stream(client: FlaskClient, path: str, kind: str, content: bytes) -> TestResponse:
    """As gunicorn passes on what comes in chunks."""
    environ = {"wsgi.input_terminated": True, "CONTENT_LENGTH": ""}
    return client.post(path, input_stream=io.BytesIO(content), content_type=kind, environ_overrides=environ)


def test_a_body_that_breaks_off_is_malformed(client: FlaskClient) -> None:
    environ = {"wsgi.input_terminated": True, "CONTENT_LENGTH": "30"}
    cut = io.BytesIO(b"MonthsInService\n3\n")
    answer = client.post("/predict/batch", input_stream=cut, content_type="text/csv", environ_overrides=environ)
    assert refused(answer, 400, "malformed")["detail"] == "the body broke off after 18 of 30 bytes"


def test_a_list_of_exactly_the_limit_is_taken_and_one_more_is_not(client: FlaskClient) -> None:
    assert client.post("/predict", json=[{}] * 20).status_code == 200
    refused(client.post("/predict", json=[{}] * 21), 413, "too-large")
    assert client.post("/predict?explain=1", json=[{}] * 3).status_code == 200
    refused(client.post("/predict?explain=1", json=[{}] * 4), 413, "too-large")


def test_a_gzip_body_is_unpacked(client: FlaskClient) -> None:
    packed = gzip.compress(json.dumps(CRAFTS).encode())
    headers = {"Content-Encoding": "gzip"}
    assert client.post("/predict", data=packed, content_type="application/json", headers=headers).status_code == 200


@pytest.mark.parametrize("spoil", [lambda packed: packed[:-9], lambda packed: b"no gzip", lambda packed: packed[:20]])
def test_a_gzip_body_that_is_cut_is_malformed(client: FlaskClient, spoil) -> None:  # type: ignore[no-untyped-def]
    packed = spoil(gzip.compress(json.dumps(CRAFTS).encode()))
    headers = {"Content-Encoding": "gzip"}
    refused(client.post("/predict", data=packed, content_type="application/json", headers=headers), 400, "malformed")


def test_a_small_gzip_body_that_unpacks_to_a_large_one_is_refused(client: FlaskClient) -> None:
    packed = gzip.compress(b" " * 10_000_000)
    assert len(packed) < SMALL.max_body
    for path, kind in (("/predict", "application/json"), ("/predict/batch", "text/csv")):
        answer = client.post(path, data=packed, content_type=kind, headers={"Content-Encoding": "gzip"})
        refused(answer, 413, "too-large")


def test_an_unknown_encoding_is_refused(client: FlaskClient) -> None:
    answer = client.post("/predict", data=b"x", content_type="application/json", headers={"Content-Encoding": "br"})
    refused(answer, 415, "wrong-type")


def test_an_unknown_path_and_a_wrong_method_are_problems_too(client: FlaskClient) -> None:
    refused(client.get("/nowhere"), 404, "not-found")
    answer = client.get("/predict")
    refused(answer, 405, "wrong-method")
    assert set(answer.headers["Allow"].split(", ")) == {"POST", "OPTIONS"}


def test_a_parameter_that_is_neither_yes_nor_no_is_refused(client: FlaskClient) -> None:
    found = refused(client.post("/predict?explain=perhaps", json=CRAFTS), 400, "bad-parameter")
    assert found["detail"] == "explain is 'perhaps'; give one of 0, 1, false, true"
