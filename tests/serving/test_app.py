import logging
import re
from html.parser import HTMLParser

import pytest
from flask.testing import FlaskClient

from churn_drift.serving.app import create_app
from churn_drift.serving.metrics import Metrics
from churn_drift.serving.model import ServedModel
from churn_drift.serving.seat import Seat
from tests.serving.conftest import OPEN, SMALL

CRAFTS = {"MonthsInService": 3, "MonthlyMinutes": 200, "Occupation": "Crafts"}
STUDENT = {"MonthsInService": 30, "MonthlyMinutes": 200, "Occupation": "Student"}


def test_one_customer_gets_probability_decision_version_and_request_id(
    client: FlaskClient, served: ServedModel
) -> None:
    answer = client.post("/predict", json=CRAFTS)
    expected = served.score([CRAFTS])[0]
    assert answer.status_code == 200
    assert answer.get_json() == {
        "model_version": served.version,
        "threshold": served.threshold,
        "request_id": answer.headers["X-Request-Id"],
        "predictions": [{"probability": expected.probability, "decision": expected.decision, "unseen": []}],
    }


def test_a_list_is_answered_in_its_order(client: FlaskClient) -> None:
    first, second, again = client.post("/predict", json=[CRAFTS, STUDENT, CRAFTS]).get_json()["predictions"]
    assert first == again
    assert first["probability"] > second["probability"]


def test_an_absent_field_and_null_and_a_missing_code_are_the_same(client: FlaskClient) -> None:
    records = [{"MonthsInService": 3}, {"MonthsInService": 3, "Occupation": None}]
    records.append({"MonthsInService": 3, "Occupation": "NA"})
    found = client.post("/predict", json=records).get_json()["predictions"]
    assert found[0] == found[1] == found[2]


def test_an_unseen_category_is_scored_and_counted(client: FlaskClient) -> None:
    found = client.post("/predict", json={**CRAFTS, "Occupation": "Astronaut"}).get_json()["predictions"][0]
    assert found["unseen"] == ["Occupation"]
    assert 'churn_drift_unseen_categories_total{column="Occupation"} 1.0' in client.get("/metrics").text


def test_an_explanation_comes_where_it_is_asked_for(client: FlaskClient, served: ServedModel) -> None:
    found = client.post("/predict?explain=1", json=[CRAFTS, STUDENT]).get_json()["predictions"]
    expected = served.explain(CRAFTS, top=SMALL.contributions)
    assert [c["feature"] for c in found[0]["contributions"]] == [c.feature for c in expected]
    assert found[0]["contributions"][0]["text"] == expected[0].text
    assert "contributions" not in client.post("/predict?explain=0", json=CRAFTS).get_json()["predictions"][0]


def test_a_request_keeps_the_id_that_it_came_with(client: FlaskClient) -> None:
    asked = client.post("/predict", json=CRAFTS, headers={"X-Request-Id": "order-66"})
    assert asked.get_json()["request_id"] == asked.headers["X-Request-Id"] == "order-66"


def test_an_id_that_no_log_should_hold_is_replaced(client: FlaskClient) -> None:
    for bad in ("a" * 65, "<script>", "a b"):
        assert re.fullmatch(
            "[0-9a-f]{16}", client.get("/health", headers={"X-Request-Id": bad}).headers["X-Request-Id"]
        )


def test_the_model_tells_where_it_came_from(client: FlaskClient, served: ServedModel) -> None:
    found = client.get("/model").get_json()
    assert (found["version"], found["threshold"]) == (served.version, served.threshold)
    assert found["facts"]["reason"] == "seed 0"


def test_health_and_ready_are_well_with_a_model(client: FlaskClient, served: ServedModel) -> None:
    assert client.get("/health").get_json() == {"status": "alive"}
    assert client.get("/ready").get_json() == {"status": "ready", "version": served.version}


def test_without_a_model_the_server_is_alive_but_not_ready() -> None:
    client = create_app(Seat(), settings=SMALL, metrics=Metrics(), gate=OPEN).test_client()
    assert client.get("/health").status_code == 200
    for answer in (client.get("/ready"), client.get("/ping"), client.post("/predict", json=CRAFTS)):
        assert answer.status_code == 503
        assert answer.get_json()["type"] == "/docs#no-model"


def test_an_alarm_is_told_while_the_model_goes_on_serving(client: FlaskClient, seat: Seat) -> None:
    seat.alarm = "models/champion: model.ubj was altered"
    assert client.get("/ready").status_code == 200
    assert client.get("/ready").get_json()["alarm"] == "models/champion: model.ubj was altered"
    assert client.post("/predict", json=CRAFTS).status_code == 200


def test_ping_and_invocations_are_ready_and_predict(client: FlaskClient) -> None:
    assert client.get("/ping").get_json() == client.get("/ready").get_json()
    found = client.post("/invocations", json=CRAFTS).get_json()["predictions"]
    assert found == client.post("/predict", json=CRAFTS).get_json()["predictions"]
    table = client.post("/invocations", data="MonthsInService\n3\n", content_type="text/csv")
    assert table.text.startswith("probability,decision\n0.")


def test_every_answer_bears_the_security_headers(client: FlaskClient) -> None:
    for answer in (client.get("/health"), client.get("/nowhere"), client.post("/predict", json={"Foo": 1})):
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Cache-Control"] == "no-store"
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
        assert "X-Frame-Options" not in answer.headers
    page = client.get("/docs").headers
    assert (page["X-Frame-Options"], page["Referrer-Policy"]) == ("DENY", "no-referrer")
    assert page["X-Content-Type-Options"] == "nosniff"


def test_requests_are_counted_by_rule_and_not_by_path(client: FlaskClient) -> None:
    client.get("/nowhere/1")
    client.get("/nowhere/2")
    client.post("/predict", json=[CRAFTS, CRAFTS])
    page = client.get("/metrics").text
    assert 'churn_drift_requests_total{method="GET",route="none",status="404"} 2.0' in page
    assert 'churn_drift_requests_total{method="POST",route="/predict",status="200"} 1.0' in page
    assert re.search(r'churn_drift_predictions_total\{decision="\w+",version="\w+"\} 2.0', page)


def test_counts_that_wait_for_their_thread_stand_on_the_page_all_the_same(seat: Seat) -> None:
    metrics = Metrics()
    client = create_app(seat, settings=SMALL, metrics=metrics, gate=OPEN).test_client()
    metrics.begin()
    client.post("/predict", json=CRAFTS)
    assert 'churn_drift_requests_total{method="POST",route="/predict",status="200"} 1.0' in client.get("/metrics").text
    metrics.close()
    client.post("/predict", json=CRAFTS)
    assert 'churn_drift_requests_total{method="POST",route="/predict",status="200"} 2.0' in client.get("/metrics").text


def test_the_documentation_page_asks_no_other_server(client: FlaskClient) -> None:
    page = client.get("/docs").text
    loads = Loads()
    loads.feed(page)
    assert loads.found
    assert all(place.startswith("/static/") for place in loads.found)
    for told in (
        "POST</span> /predict",
        "/predict/batch",
        "MonthsInService",
        "number, 0 to 120",
        "invalid-record",
        "MiB",
    ):
        assert told in page


def test_every_path_that_is_served_stands_in_the_openapi_document(client: FlaskClient) -> None:
    told = set(client.get("/openapi.json").get_json()["paths"])
    assert told == {rule.rule for rule in client.application.url_map.iter_rules()} - {"/static/<path:filename>"}


def test_a_fault_of_ours_tells_the_caller_its_id_and_the_log_the_trace(
    client: FlaskClient, seat: Seat, caplog: pytest.LogCaptureFixture
) -> None:
    seat.model = "no model at all"  # type: ignore[assignment]
    with caplog.at_level(logging.ERROR):
        answer = client.post("/predict", json=CRAFTS)
    assert answer.status_code == 500
    assert "AttributeError" not in answer.text
    assert "zero_is_missing" not in answer.text
    assert answer.get_json()["instance"] in caplog.text
    assert "AttributeError" in caplog.text


class Loads(HTMLParser):
    """What a page makes the browser fetch."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in ("script", "link", "img", "iframe"):
            self.found += [value or "" for name, value in attrs if name in ("src", "href")]
