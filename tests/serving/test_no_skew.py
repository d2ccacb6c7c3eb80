"""No skew: what the server answers is what the pipeline scored, row by row and to the last bit."""

import http.client
import io
import json
import subprocess
import sys

import orjson
import pandas as pd
import pytest

from churn_drift import schema
from churn_drift.serving.model import FEW
from tests.serving.conftest import Server, end

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def newest(finished) -> tuple[str, pd.DataFrame, list[float]]:
    """The last batch that the pipeline scored: by which model, the customers' raw cells, and their probabilities."""
    root = finished.repository.root
    scores = pd.read_parquet(root / "data/scores/retrain.parquet")
    scores = scores[scores["batch"] == scores["batch"].max()]
    raw = pd.read_csv(root / "data/raw/customers.csv", dtype=str, keep_default_na=False, na_filter=False)
    cells = raw.set_index(raw[schema.ID].astype(int)).loc[scores[schema.ID]].reset_index(drop=True)
    (version,) = scores["version"].unique()
    return version, cells, scores["probability"].tolist()


@pytest.fixture(scope="module")
def server(finished, newest):
    """serve-model.py with the model that scored this batch."""
    repository = finished.repository
    command = [sys.executable, "serve-model.py", "--port", "0", "--model", newest[0]]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    process = subprocess.Popen(
        command, cwd=repository.root, env=repository.environment(SERVE_LOG="off"), text=True, **pipes
    )
    yield Server(process)
    end(process)


def record(cells: pd.Series) -> dict[str, object]:
    """As a client makes JSON of the cells: numbers as numbers, codes as they are, what is missing left out."""
    return {
        column.name: value(cells[column.name], column)
        for column in schema.RECORD
        if cells[column.name] not in ("", "NA")
    }


def value(cell: str, column: schema.Column) -> object:
    return float(cell) if column.kind == "number" and cell not in column.missing else cell


def ask(server: Server, path: str, content: bytes, kind: str) -> bytes:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    connection.request("POST", path, body=content, headers={"Content-Type": kind})
    answer = connection.getresponse()
    said = answer.read()
    connection.close()
    assert answer.status == 200, said
    return said


def predicted(server: Server, customers: object) -> list[float]:
    answer = json.loads(ask(server, "/predict", orjson.dumps(customers), "application/json"))
    return [prediction["probability"] for prediction in answer["predictions"]]


def test_every_customer_of_a_batch_gets_the_pipelines_own_score_as_a_list(server, newest):
    _, cells, expected = newest
    records = [record(row) for _, row in cells.iterrows()]
    assert len(records) > FEW
    assert predicted(server, records) == expected


def test_and_one_by_one_where_a_faster_evaluator_answers(server, newest):
    _, cells, expected = newest
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    found = []
    for _, row in cells.iterrows():
        connection.request("POST", "/predict", orjson.dumps(record(row)), {"Content-Type": "application/json"})
        found.append(json.loads(connection.getresponse().read())["predictions"][0]["probability"])
    connection.close()
    assert found == expected


@pytest.mark.parametrize("kind", ["text/csv", "application/vnd.apache.parquet"])
def test_and_as_a_file_of_raw_cells(server, newest, kind):
    _, cells, expected = newest
    if kind == "text/csv":
        said = ask(server, "/predict/batch", cells.to_csv(index=False).encode(), kind)
        answers = pd.read_csv(io.BytesIO(said))
    else:
        said = ask(server, "/predict/batch", cells.to_parquet(index=False), kind)
        answers = pd.read_parquet(io.BytesIO(said))
    assert answers["probability"].tolist() == expected
    assert answers[schema.ID].tolist() == cells[schema.ID].astype(int).tolist()
