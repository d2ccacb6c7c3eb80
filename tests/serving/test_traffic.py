"""GET /traffic: what was asked, as plain numbers; and requests that are only tried."""

from flask.testing import FlaskClient

from churn_drift.serving.app import create_app
from churn_drift.serving.metrics import Metrics
from churn_drift.serving.seat import Seat
from tests.serving.conftest import OPEN, SMALL
from tests.serving.test_app import CRAFTS


def test_traffic_counts_the_paths_that_score_by_class_of_status(client: FlaskClient) -> None:
    for record in (CRAFTS, [CRAFTS, {"Occupation": "Astronaut"}], {"Foo": 1}):
        client.post("/predict", json=record)
    client.get("/health")
    found = client.get("/traffic").get_json()
    assert list(found["routes"]) == ["/predict"]
    assert found["routes"]["/predict"]["requests"] == {"2xx": 2, "4xx": 1}
    assert found["routes"]["/predict"]["seconds"]["+Inf"] == 3
    assert sum(found["decisions"].values()) == 3
    assert found["unseen"] == {"Occupation": 1}


def test_a_server_that_nobody_asked_has_no_traffic(client: FlaskClient) -> None:
    found = client.get("/traffic").get_json()
    assert (found["routes"], found["decisions"]) == ({}, {})


def test_who_is_only_tried_is_answered_and_neither_logged_nor_counted_as_scored(seat: Seat) -> None:
    class Log:
        """Stands for the inference log: whatever is put into it is a fault."""

        shadow = type("Shadow", (), {"challenger": None})()
        rows = 0

        def records(self, *_: object, **__: object) -> None:
            self.rows += 1

    log = Log()
    app = create_app(seat, settings=SMALL, metrics=Metrics(), gate=OPEN, kept=log)  # type: ignore[arg-type]
    client = app.test_client()
    tried = client.post("/predict?trial=1", json=CRAFTS)
    assert tried.get_json()["predictions"] == client.post("/predict", json=CRAFTS).get_json()["predictions"]
    assert log.rows == 1
    assert sum(client.get("/traffic").get_json()["decisions"].values()) == 1
    assert client.post("/predict?trial=perhaps", json=CRAFTS).status_code == 400
