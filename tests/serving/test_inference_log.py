"""What a running server keeps of what it answers, and what comes of it: the log, the shadow in it, the live window."""

import contextlib
import http.client
import json
import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

from churn_drift import paths
from churn_drift.capture import store
from churn_drift.model.bundle import Bundle, save
from tests.serving.conftest import Server, command, until

Serve = Callable[..., Server]
LOG = Path("data/inference")
CUSTOMERS = [{"CustomerID": 7 + place, "MonthsInService": place, "Occupation": "Crafts"} for place in range(300)]


def ask(server: Server, path: str, content: str | None = None, kind: str = "application/json") -> tuple[int, str]:
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)) as connection:
        connection.request("GET" if content is None else "POST", path, content, {"Content-Type": kind})
        answer = connection.getresponse()
        return answer.status, answer.read().decode()


def post(server: Server, content: object) -> dict:
    status, said = ask(server, "/predict", json.dumps(content))
    assert status == 200, said
    return json.loads(said)


def get(server: Server, path: str) -> dict:
    status, said = ask(server, path)
    assert status == 200, said
    return json.loads(said)


def test_every_prediction_is_in_the_log_with_its_inputs_when_the_server_has_stopped(place: Path, serve: Serve) -> None:
    server = serve()
    answers = [post(server, customer) for customer in CUSTOMERS[:5]] + [post(server, CUSTOMERS[5:50])]
    server.stop()
    rows = store.read(LOG).to_pylist()
    assert {row["request_id"] for row in rows} == {answer["request_id"] for answer in answers}
    told = {(a["request_id"], n): p for a in answers for n, p in enumerate(a["predictions"])}
    for row in rows:
        prediction = told.pop((row["request_id"], row["place"]))
        assert (row["probability"], row["decision"]) == (prediction["probability"], prediction["decision"])
        assert row["MonthsInService"] == float(row["CustomerID"] - 7)
    assert not told


def test_a_file_of_customers_is_logged_row_by_row(place: Path, serve: Serve) -> None:
    server = serve()
    status, said = ask(server, "/predict/batch", "CustomerID,MonthsInService\n7,3\n8,\n", kind="text/csv")
    server.stop()
    assert status == 200, said
    rows = store.read(LOG).select(["CustomerID", "MonthsInService", "Occupation"]).to_pylist()
    assert rows == [
        {"CustomerID": 7, "MonthsInService": 3.0, "Occupation": None},
        {"CustomerID": 8, "MonthsInService": None, "Occupation": None},
    ]


def test_what_may_not_be_stored_is_not_on_disk_and_counts_for_drift_all_the_same(place: Path, serve: Serve) -> None:
    server = serve(SERVE_LOG_FIELDS="none")
    post(server, CUSTOMERS)
    assert until(lambda: get(server, "/drift")["rows_batch"] == len(CUSTOMERS), seconds=30)
    assert "Occupation" in {feature["name"] for feature in get(server, "/drift")["features"]}
    server.stop()
    assert not {"CustomerID", "MonthsInService"} & set(store.read(LOG).column_names)
    assert not any(b"Crafts" in path.read_bytes() for path in LOG.rglob("*.parquet"))


def test_the_live_window_adds_up_what_all_workers_have_scored(place: Path, serve: Serve) -> None:
    server = serve(WEB_CONCURRENCY="2")
    for start in range(0, 300, 30):
        post(server, CUSTOMERS[start : start + 30])
    assert until(lambda: get(server, "/drift?hours=2")["rows_batch"] == 300, seconds=30)
    found = get(server, "/drift")
    psi = {feature["name"]: feature["psi"] for feature in found["features"]}
    assert psi["Occupation"] > 0.5  # all of them are Crafts
    assert found["model_version"] == get(server, "/model")["version"]
    for hours in ("0", "745", "x", "1.5", "-3"):
        status, said = ask(server, f"/drift?hours={hours}")
        assert (status, "whole number from 1 to 744" in said) == (400, True)


def test_a_candidate_that_differs_is_scored_beside_and_never_answered(place: Path, serve: Serve, other: Bundle) -> None:
    version = save(other, paths.CANDIDATE)
    server = serve(SERVE_SHADOW_PERCENT="100")
    assert until(lambda: get(server, "/model")["challenger"] == version, seconds=30)
    champion = get(server, "/model")["version"]
    answers = [post(server, CUSTOMERS[:30]) for _ in range(20)]
    server.stop()
    assert {answer["model_version"] for answer in answers} == {champion}
    rows = store.read(LOG).to_pylist()
    beside = [row for row in rows if row["shadow_version"] == version]
    assert len(beside) > 0
    assert any(row["shadow_probability"] != row["probability"] for row in beside)
    assert "churn_drift_shadow_predictions" not in "".join(server.said)


def test_without_a_log_nothing_is_kept_and_drift_says_why(place: Path, serve: Serve) -> None:
    server = serve(SERVE_LOG="off")
    post(server, CUSTOMERS[0])
    status, said = ask(server, "/drift")
    assert (status, json.loads(said)["detail"]) == (404, "SERVE_LOG is off, so nothing is counted")
    server.stop()
    assert not LOG.exists()


def test_a_folder_that_cannot_be_written_is_refused_at_the_start(place: Path) -> None:
    Path("file").write_text("")
    process = command(SERVE_LOG="file/log")
    _, said = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "error: SERVE_LOG: file/log cannot be written (Not a directory); name a folder that can" in said


def test_a_worker_killed_under_load_leaves_a_log_whose_every_file_opens(place: Path, serve: Serve) -> None:
    """And requests resume; what is lost was answered within the last second before a worker died (0.1 s on average)."""
    server = serve(WEB_CONCURRENCY="2")
    answered: dict[str, float] = {}
    killed: list[float] = []
    ended = threading.Event()

    def client() -> None:
        while not ended.is_set():
            try:
                status, said = ask(server, "/predict", json.dumps(CUSTOMERS[0]))
            except (OSError, http.client.HTTPException):
                continue
            if status == 200:
                answered[json.loads(said)["request_id"]] = time.monotonic()

    threads = [threading.Thread(target=client) for _ in range(3)]
    for thread in threads:
        thread.start()
    children = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children")
    for _ in range(2):
        before = len(answered)
        assert until(lambda before=before: len(answered) > before + 300, seconds=30)
        killed.append(time.monotonic())
        os.kill(int(children.read_text().split()[0]), signal.SIGKILL)
    before = len(answered)
    assert until(lambda: len(answered) > before + 50, seconds=30)
    ended.set()
    for thread in threads:
        thread.join()
    server.stop()
    logged = store.read(LOG)["request_id"].to_pylist()
    assert len(logged) == len(set(logged))
    assert not list(LOG.glob("open/*/*.rows"))
    lost = [at for name, at in answered.items() if name not in set(logged)]
    assert all(any(-1 < at - moment < 0.1 for moment in killed) for at in lost)
    assert len(lost) < len(answered)
