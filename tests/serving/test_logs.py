"""What the server writes about itself: a line a record, and nothing of a customer in it."""

import contextlib
import http.client
import json
import logging
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from churn_drift.serving import keys, logs
from churn_drift.serving.app import create_app
from churn_drift.serving.metrics import Metrics
from churn_drift.serving.model import ServedModel
from churn_drift.serving.seat import Seat
from tests.serving.conftest import OPEN, SMALL, Server, until


def record(message: str, *told: object, error: BaseException | None = None, **fields: object) -> logging.LogRecord:
    raised = (type(error), error, error.__traceback__) if error else None
    made = logging.LogRecord("churn_drift.x", logging.INFO, "x.py", 1, message, told, raised)
    setattr(made, logs.FIELDS, fields)
    return made


def failed() -> BaseException:
    try:
        try:
            raise KeyError("Occupation=SECRET")
        except KeyError as error:
            raise ValueError("age is SECRET") from error
    except ValueError as error:
        return error


def test_a_record_is_one_line_of_json_whatever_it_says() -> None:
    line = logs.Json().format(record("two\nlines of %s", "it\r\n\u2028", rows=3))
    assert len(line.splitlines()) <= len(line.split("\u2028"))
    assert "\n" not in line
    found = json.loads(line)
    assert (found["message"], found["level"], found["rows"]) == ("two\nlines of it\r\n\u2028", "info", 3)
    assert found["time"].endswith("+00:00")


@pytest.mark.parametrize("form", [logs.Json(), logs.Text()])
def test_an_exception_is_told_by_type_and_place_and_never_by_its_message(form: logging.Formatter) -> None:
    line = form.format(record("failed", error=failed()))
    assert "SECRET" not in line
    assert "ValueError" in line
    assert "KeyError" in line
    assert "serving/test_logs.py:" in line
    assert " failed" in line


def test_for_people_a_record_is_read_without_json() -> None:
    line = logs.Text().format(record("request", status=200, route="/predict"))
    assert line.endswith("info    request  status=200  route=/predict")


def test_the_style_is_the_one_asked_for_and_json_where_nobody_reads() -> None:
    code = "from churn_drift.serving import logs; import logging; logs.start(style={!r}); logging.warning('told')"
    said = [
        subprocess.run([sys.executable, "-c", code.format(style)], capture_output=True, text=True, check=True).stderr
        for style in ("json", "text", "")
    ]
    assert [line.startswith("{") for line in said] == [True, False, True]


def test_lines_of_requests_wait_for_each_other_and_keep_the_order_in_which_they_came(
    capfd: pytest.CaptureFixture[str],
) -> None:
    log = logs.Stderr()
    log.setFormatter(logs.Json())
    log.begin()
    for number in range(3):
        log.handle(record("request", number=number))
    log.handle(logging.LogRecord("churn_drift.x", logging.WARNING, "x.py", 1, "trouble", None, None))
    said = [json.loads(line) for line in capfd.readouterr().err.splitlines()]
    assert [(line["message"], line.get("number")) for line in said][-1] == ("trouble", None)
    log.handle(record("request", number=3))
    log.close()
    said += [json.loads(line) for line in capfd.readouterr().err.splitlines()]
    assert [line.get("number") for line in said] == [0, 1, 2, None, 3]


def test_lines_are_written_whole_and_as_many_at_once_as_a_pipe_keeps_together(monkeypatch: pytest.MonkeyPatch) -> None:
    written = list[bytes]()
    monkeypatch.setattr("os.write", lambda _, piece: written.append(piece))
    log = logs.Stderr()
    log.setFormatter(logs.Json())
    log.begin()
    for number in range(100):
        log.handle(record("request", number=number, text="x" * (5000 if number == 50 else 50)))
    log.close()
    assert [json.loads(line)["number"] for piece in written for line in piece.splitlines()] == list(range(100))
    assert all(piece.endswith(b"\n") and (len(piece) <= 4096 or piece.count(b"\n") == 1) for piece in written)
    assert len(written) < 10


def test_every_request_is_a_line_unless_that_is_switched_off(
    client: FlaskClient, seat: Seat, caplog: pytest.LogCaptureFixture
) -> None:
    quiet = create_app(seat, settings=replace(SMALL, access_log=False), metrics=Metrics(), gate=OPEN).test_client()
    with caplog.at_level(logging.INFO):
        quiet.post("/predict", json={})
        assert caplog.records == []
        client.post("/predict", json=[{}, {}])
        client.get("/no/such/path")
    first, second = (getattr(record, logs.FIELDS) for record in caplog.records)
    assert (first["method"], first["route"], first["status"], first["rows"]) == ("POST", "/predict", 200, 2)
    assert (second["route"], second["status"]) == ("none", 404)


def test_a_failure_is_logged_with_its_request_and_without_what_was_sent(
    client: FlaskClient, seat: Seat, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken:
        version, zero_is_missing = "v", True

        def score(self, records: object) -> None:
            raise RuntimeError(f"cannot score {records}")

    seat.model = Broken()  # type: ignore[assignment]
    answer = client.post("/predict", json={"Occupation": "SECRET"})
    assert answer.status_code == 500
    line = logs.Json().format(next(record for record in caplog.records if record.exc_info))
    assert json.loads(line)["raised"][0]["type"] == "RuntimeError"
    assert "score" in json.loads(line)["raised"][0]["frames"][-1]
    assert answer.get_json()["instance"] in line
    assert "SECRET" not in line + answer.text


def test_a_running_server_says_all_it_says_as_json_and_nothing_of_a_customer(
    place: Path, serve: Callable[..., Server], served: ServedModel
) -> None:
    told = keys.add("billing", scopes=["predict"], path=Path("serve-keys.json"))
    server = serve(WEB_CONCURRENCY="1")
    usual = {"Content-Type": "application/json", "Authorization": f"Bearer {told}"}
    requests: list[tuple[str, str, dict[str, str]]] = [
        ("/predict", '{"Occupation": "SECRET"}', usual | {"X-Request-Id": "order-66"}),
        ("/predict", '{"AgeHH1": "SECRET"}', usual | {"X-Request-Id": '"}{"SECRET'}),
        ("/predict?explain=SECRET", "{}", usual),
        ("/predict", '{"SECRET', usual),
        ("/SECRET", "{}", usual),
        ("/predict", "{}", {"Authorization": f"Bearer {'SECRET' * 8}"}),
        ("/predict/batch", "MonthsInService\nSECRET\n", usual | {"Content-Type": "text/csv"}),
    ]
    for path, content, headers in requests:
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)) as connection:
            connection.request("POST", path, body=content, headers=headers)
            connection.getresponse().read()
    assert until(lambda: "".join(server.said).count('"request"') == len(requests), seconds=20)
    assert server.stop() == 0
    lines = [json.loads(line) for line in server.said]
    assert all(line["time"] and line["level"] and line["logger"] and line["message"] for line in lines)
    assert "SECRET" not in "".join(server.said)
    assert told[-43:] not in "".join(server.said)
    asked = [line for line in lines if line["message"] == "request"]
    assert [line["status"] for line in asked] == [200, 422, 400, 400, 404, 401, 422]
    assert [line["route"] for line in asked] == ["/predict"] * 4 + ["none", "/predict", "/predict/batch"]
    first = {name: asked[0][name] for name in ("request_id", "key", "method", "rows", "version")}
    assert first == {"request_id": "order-66", "key": "billing", "method": "POST", "rows": 1, "version": served.version}
    assert any(line["message"].startswith("Listening at: http://127.0.0.1:") for line in lines)
