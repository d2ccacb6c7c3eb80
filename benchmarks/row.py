"""Microseconds of each step from a customer's JSON to the answer, beside what the steps replace: trust the ratios.

    python benchmarks/row.py [--model models/champion] [--rows 2000]

First one row, over simulated customers. Then few rows and many, by both evaluators:
`serving.model.FEW` stands about where they cross.
"""

import argparse
import csv
import io
import json
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pandas as pd

from churn_drift import schema
from churn_drift.data.frames import columns_of
from churn_drift.data.preprocess import typed_cells
from churn_drift.data.simulator import load_statistics, simulate
from churn_drift.model.features import Encoder
from churn_drift.model.inference import Booster, Scorer, calibrated, columns_of_records
from churn_drift.serving.contract import typed
from churn_drift.serving.forest import Forest
from churn_drift.serving.model import FEW, Record, ServedModel
from churn_drift.serving.row import RowEncoder

REPEATS, CHUNK = 7, 20


def main() -> None:
    """Print the steps of one row, their sum, what each replaces, and both evaluators by number of rows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=Path("models/champion"), help="a model directory")
    parser.add_argument("--rows", type=int, default=2000, help="customers to simulate")
    chosen = parser.parse_args()
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} before the start (above 0.5: others run beside us)")
    start = time.perf_counter()
    served = ServedModel.of_folder(chosen.model)
    print(f"{chosen.model} {served.version} loaded in {1e3 * (time.perf_counter() - start):.0f} ms: {served.reason}\n")
    sent = bodies(chosen.rows)
    steps(served, sent)
    by_rows(served, [typed(orjson.loads(body), zero_is_missing=True)[0] for body in sent])


def steps(served: ServedModel, sent: list[bytes]) -> None:
    """One row, step by step."""
    levels, calibration = served.bundle.levels, served.bundle.calibration
    booster = Booster.of_bytes(served.bundle.model, levels).model
    encoder, forest = RowEncoder(levels), Forest.of_booster(booster, levels)
    batch_encoder, scorer = Encoder(levels), Scorer(served.bundle)
    decoded = [orjson.loads(body) for body in sent]
    records = [typed(record, zero_is_missing=True)[0] for record in decoded]
    rows = [encoder(record)[0] for record in records]
    margins = [np.array([forest.margin(row)]) for row in rows]
    columns = [columns_of_records([record]) for record in records]
    matrices = [batch_encoder(one) for one in columns]

    print("one row, microseconds")
    say("decode (orjson)", orjson.loads, sent)
    say("validate and type (contract.typed)", lambda record: typed(record, zero_is_missing=True), decoded)
    say("encode (row.RowEncoder)", encoder, records)
    say("trees (forest.Forest)", forest.margin, rows)
    say("calibrate and round", lambda margin: calibrated(margin, calibration), margins)
    whole = say("all, from body to answer", lambda body: answer(served, body), sent)
    print("\ninstead of")
    say("decode (json)", json.loads, sent)
    say("columns of one record", lambda record: columns_of_records([record]), records)
    say("encode (features.Encoder)", batch_encoder, columns)
    say("trees (inplace_predict)", lambda matrix: booster.inplace_predict(matrix, predict_type="margin"), matrices)
    xgboost = say("all, by these (Scorer)", lambda body: by_scorer(scorer, body), sent)
    frame = say("all, by a DataFrame", lambda body: by_frame(scorer, body), sent[:50])
    print()
    say("explain, five reasons", lambda record: served.explain(record, top=5), records[:200])
    print(f"\nall by these : all {xgboost / whole:27.1f}\nall by a DataFrame : all {frame / whole:21.1f}\n")


def by_rows(served: ServedModel, records: list[Record]) -> None:
    """Microseconds a row of typed records, by how many come at once."""
    encoder, scorer = RowEncoder(served.bundle.levels), Scorer(served.bundle)
    forest = Forest.of_booster(Booster.of_bytes(served.bundle.model, served.bundle.levels).model, served.bundle.levels)
    print(f"microseconds a row; score() takes XGBoost from {FEW} rows on\n{'rows':>6}{'masks':>10}{'XGBoost':>10}")
    for rows in (1, 3, 10, 20, 30, 50, 100, 1000):
        batches = [records[start : start + rows] for start in range(0, len(records) - rows + 1, rows)][:200]
        masks = fastest(lambda batch: [forest.margin(encoder(record)[0]) for record in batch], batches)
        xgboost = fastest(lambda batch: scorer(columns_of_records(batch)), batches)
        print(f"{rows:6}{masks / rows:10.1f}{xgboost / rows:10.1f}")


def by_scorer(scorer: Scorer, body: bytes) -> Any:
    return scorer(columns_of_records([typed(json.loads(body), zero_is_missing=True)[0]]))


def answer(served: ServedModel, body: bytes) -> Any:
    return served.score([typed(orjson.loads(body), zero_is_missing=served.zero_is_missing)[0]])


def by_frame(scorer: Scorer, body: bytes) -> Any:
    """As a server does that builds a frame and has the training path read it."""
    record = json.loads(body)
    cells = pd.DataFrame([{name: "" if value is None else str(value) for name, value in record.items()}])
    columns = {
        column.name: typed_cells(cells[column.name], column, source="body", zero_is_missing=True)
        for column in schema.RECORD
    }
    return scorer(columns_of(pd.DataFrame(columns)))


def bodies(rows: int) -> list[bytes]:
    """Simulated customers as a client sends them."""
    text = simulate(load_statistics(), rows=rows, seed=1).to_csv(index=False, na_rep="NA")
    return [
        orjson.dumps({name: as_sent(cell, schema.BY_NAME[name]) for name, cell in cells.items()})
        for cells in csv.DictReader(io.StringIO(text))
    ]


def as_sent(cell: str, column: schema.Column) -> Any:
    return cell if column.kind not in ("number", "id") or cell in column.missing else json.loads(cell)


def say(name: str, call: Callable[[Any], object], inputs: Sequence[Any]) -> float:
    """One line: microseconds a call."""
    taken = fastest(call, inputs)
    print(f"  {name:42}{taken:9.1f}")
    return taken


def fastest(call: Callable[[Any], object], inputs: Sequence[Any]) -> float:
    """Microseconds a call: of each few inputs the fastest repeat, so that a busy machine counts as little as it can."""
    total = 0.0
    for start in range(0, len(inputs), CHUNK):
        total += min(seconds(call, inputs[start : start + CHUNK]) for _ in range(REPEATS))
    return 1e6 * total / len(inputs)


def seconds(call: Callable[[Any], object], inputs: Sequence[Any]) -> float:
    start = time.perf_counter()
    for one in inputs:
        call(one)
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
