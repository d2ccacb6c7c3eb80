"""`churn-drift land --from-log`: what was served becomes the next batch of the timeline, and its labels join it."""

import json
from datetime import UTC, datetime

import pytest

from churn_drift import cli, paths
from churn_drift.capture import store
from churn_drift.capture.form import customer_of
from churn_drift.capture.recorder import Recorder
from churn_drift.data import frames, io
from churn_drift.data.landing import batch_files, landed_frames
from churn_drift.model.bundle import save
from churn_drift.model.inference import score
from churn_drift.serving.contract import typed
from churn_drift.serving.model import ServedModel
from tests.capture.conftest import NIGHT, QUICK, exchange
from tests.serving.conftest import fitted
from tests.tracking.conftest import start

LOG = "data/inference"


@pytest.fixture
def root(scratch):
    """A repository whose landed folders DVC has pinned."""
    for folder in ("batches", "labels"):
        (paths.LANDED / folder).mkdir(parents=True)
        (paths.LANDED / f"{folder}.dvc").touch()
    return scratch


@pytest.fixture
def run(capsys):
    def command(*arguments, code=0):
        assert cli.main(["land", *arguments]) == code
        out, err = capsys.readouterr()
        return err.removeprefix("error: ") if code else out

    return command


def log(*exchanges, where=LOG):
    recorder = Recorder(where, limits=QUICK, clock=lambda: NIGHT)
    for each in exchanges:
        recorder.put(each)
    recorder.start()
    recorder.close()


def landed():
    return [clean.frame["CustomerID"].tolist() for clean in landed_frames(zero_is_missing=True)]


def test_the_pipeline_scores_the_landed_batch_as_the_server_scored_its_customers(root, run, raw_records):
    bundle = fitted(0)
    save(bundle, root / "served")
    raw = raw_records(300)
    records = [typed(each, zero_is_missing=True)[0] for each in sent(raw)]
    answers = ServedModel.of_folder(root / "served").score(records)
    log(
        *(
            exchange(n, customers=[customer_of(number)], records=[each], probability=[answer.probability])
            for n, (number, each, answer) in enumerate(zip(raw["CustomerID"], records, answers, strict=True))
        )
    )
    logged = store.read(LOG)["probability"].to_pylist()
    assert "landed 300 customers in data/landed/batches/0001_" in run("--from-log")
    (clean,) = landed_frames(zero_is_missing=True)
    assert len(set(logged)) > 5
    assert score(bundle, frames.columns_of(clean.frame)).probability.tolist() == logged


def sent(raw):
    """The records as JSON that a client makes of a CSV: numbers as numbers."""
    for row in raw.to_dict("records"):
        yield {name: as_json(cell) for name, cell in row.items()}


def as_json(cell):
    try:
        return json.loads(cell)
    except ValueError:
        return cell


def test_customers_land_once_and_only_new_ones_the_next_time(root, run):
    log(exchange(1, many=3), exchange(2, at=NIGHT + 9), exchange(9, customers=[None]))
    said = run("--from-log")
    assert said.startswith(f"{LOG}: 5 rows; left out: 1 scored without CustomerID, 1 scored again later\n")
    assert "landed 3 customers" in said
    again = run("--from-log")
    assert "3 of customers who have arrived before\nno new customers in it; nothing to do" in again
    log(exchange(3, many=2))
    assert "landed 1 customers" in run("--from-log", str(root / LOG))
    assert landed() == [[1, 2, 3], [4]]


def test_customers_of_the_history_are_left_out(root, run, clean_records):
    history = clean_records(5)
    io.write_frame(history, paths.PROCESSED)
    log(exchange(int(history["CustomerID"].iloc[2])), exchange(1))
    assert "1 of customers who have arrived before" in run("--from-log")
    assert landed() == [[1]]


def test_labels_that_land_later_join_the_logged_batch(root, run, tmp_path):
    log(exchange(1, many=3))
    run("--from-log")
    (root / "labels.csv").write_text("CustomerID,Churn\n3,Yes\n1,No\n")
    assert "landed 2 labels" in run("labels.csv")
    (clean,) = landed_frames(zero_is_missing=True)
    assert clean.frame["Churn"].fillna(-1).tolist() == [0, -1, 1]


def test_the_place_comes_from_the_servers_own_setting(root, run, monkeypatch):
    monkeypatch.setenv("SERVE_LOG", "elsewhere")
    log(exchange(1), where="elsewhere")
    assert run("--from-log").startswith("elsewhere: 1 rows")
    monkeypatch.setenv("SERVE_LOG", "off")
    assert "data/inference: no inference log here" in run("--from-log", code=2)


def test_a_day_means_its_start_for_since_and_its_end_for_until(root, run):
    days = [
        datetime(2026, 11, day, hour, tzinfo=UTC).timestamp() for day, hour in ((22, 23), (23, 0), (24, 23), (25, 0))
    ]
    log(*(exchange(place, at=at) for place, at in enumerate(days)))
    assert "2 rows" in run("--from-log", "--since", "2026-11-23", "--until", "2026-11-24")
    assert landed() == [[1, 2]]
    assert "1 rows" in run("--from-log", "--since", "2026-11-25T01:00+01:00")
    assert landed() == [[1, 2], [3]]


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        (["--from-log", "--since", "noon"], "noon: no date"),
        (["--from-log", "nowhere"], "nowhere: no inference log here; `python serve-model.py` writes one"),
        (["x.csv", "--since", "2026-11-23"], "--since and --until choose rows of the log"),
    ],
)
def test_what_makes_no_sense_is_refused_in_one_line(root, run, arguments, fault):
    log(exchange(1))
    said = run(*arguments, code=2)
    assert fault in said
    assert said.count("\n") == 1
    assert batch_files() == []


def test_a_damaged_file_of_the_log_lands_nothing_and_is_named(root, run):
    log(exchange(1))
    (path,) = (root / LOG).rglob("*.parquet")
    path.write_bytes(path.read_bytes()[:-50])
    said = run("--from-log", code=2)
    assert path.name in said
    assert "no whole file of the inference log" in said
    assert batch_files() == []


def test_the_landed_batch_is_data_that_dvc_keeps(tmp_path, monkeypatch, repository, run):
    folder = start(tmp_path, monkeypatch)
    for name in ("dvc.yaml", "params.yaml"):
        (folder / name).write_bytes((repository / name).read_bytes())
    log(exchange(1))
    assert "landed 1 customers" in run("--from-log")
    assert (folder / "data/landed/batches.dvc").exists()
