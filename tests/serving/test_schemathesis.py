"""Requests made from the served OpenAPI document: legal ones are answered, others refused, all as the document says."""

import io

import pyarrow
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyarrow import parquet
from schemathesis import GenerationMode

from churn_drift.drift import Limits
from churn_drift.serving import batch, keys, openapi
from churn_drift.serving.app import create_app
from churn_drift.serving.gate import Gate
from churn_drift.serving.inference_log import InferenceLog
from churn_drift.serving.metrics import Metrics
from churn_drift.serving.model import ServedModel
from churn_drift.serving.seat import Seat
from churn_drift.serving.settings import Settings

DOCUMENT = openapi.document(Settings(), needs=lambda _: ())
OPERATIONS = [(path, method) for path, methods in DOCUMENT["paths"].items() for method in methods]
CASES = [(*found, GenerationMode.POSITIVE) for found in OPERATIONS]
CASES += [(path, method, GenerationMode.NEGATIVE) for path, method in OPERATIONS if method == "post"]
Contracts = dict[GenerationMode, tuple[schemathesis.BaseSchema, dict[str, str]]]
ROWS = st.lists(st.tuples(st.integers(0, 60), st.sampled_from(["Crafts", "Other", "Diver"])), min_size=1, max_size=9)


@pytest.fixture(scope="module")
def contracts(served: ServedModel, tmp_path_factory: pytest.TempPathFactory) -> Contracts:
    """Of a server that asks for keys, to be kept, and of one that asks for none, to be broken in all other ways."""
    schemathesis.openapi.media_type(batch.CSV, ROWS.map(as_csv))
    schemathesis.openapi.media_type(batch.PARQUET, ROWS.map(as_parquet), aliases=["application/x-parquet"])
    folder = tmp_path_factory.mktemp("contracts")
    chosen = Settings(keys=folder / "keys.json", rate=0, log=str(folder / "log"))
    key = keys.add("tester", scopes=keys.SCOPES, path=chosen.keys)

    def contract(*, keyed: bool) -> schemathesis.BaseSchema:
        seat, metrics = Seat(served), Metrics()
        kept = InferenceLog(seat, settings=chosen, metrics=metrics, limits=Limits()) if keyed else None
        app = create_app(seat, settings=chosen, metrics=metrics, gate=Gate(chosen, keyed=keyed), kept=kept)
        return schemathesis.openapi.from_wsgi("/openapi.json", app)

    return {
        GenerationMode.POSITIVE: (contract(keyed=True), {"Authorization": f"Bearer {key}"}),
        GenerationMode.NEGATIVE: (contract(keyed=False), {}),
    }


def as_csv(rows: list[tuple[int, str]]) -> bytes:
    return "\n".join(["MonthsInService,Occupation", *(f"{months},{kind}" for months, kind in rows)]).encode()


def as_parquet(rows: list[tuple[int, str]]) -> bytes:
    sink = io.BytesIO()
    months, kinds = zip(*rows, strict=True)
    parquet.write_table(pyarrow.table({"MonthsInService": months, "Occupation": kinds}), sink)
    return sink.getvalue()


@pytest.mark.parametrize(("path", "method", "mode"), CASES)
def test_every_path_keeps_to_its_contract(contracts: Contracts, path: str, method: str, mode: GenerationMode) -> None:
    contract, headers = contracts[mode]
    operation = contract[path][method.upper()]

    @given(case=operation.as_strategy(generation_mode=mode))
    @settings(max_examples=40, database=None, suppress_health_check=list(HealthCheck))
    def check(case: schemathesis.Case) -> None:
        case.call_and_validate(headers=headers)

    check()
