from dataclasses import replace

import numpy as np
import pytest

from churn_drift import schema
from churn_drift.cards.data_sheet import Origin, arrivals, data_sheet, origin
from churn_drift.config import Scenario, SplitBatches
from churn_drift.errors import PipelineError
from tests.cards import reading
from tests.contracts.documents import faults
from tests.policy.customers import folder, frames

NO_DRIFT = Scenario(kind="none", shape="sudden", onset=2, size=1, period=1)
SPLIT = SplitBatches(batches=6, reference_share=0.34, order="acquisition", seed=5, scenario=NO_DRIFT)
SIMULATED = Origin(
    simulated=True,
    seed=20,
    rows=3600,
    duplicates=0,
    reordered=False,
    unlabelled=0,
    missing_share={"AgeHH1": 0.29, "ServiceArea": 0.0004},
    sentinels={"AgeHH1": 1044},
)
FILE = replace(SIMULATED, simulated=False, seed=None, duplicates=3, reordered=True, unlabelled=12, sentinels={})


@pytest.fixture(scope="module")
def arrived(tmp_path_factory):
    parts = frames()
    parts[5] = parts[5].assign(Churn=np.nan)
    return arrivals(folder(tmp_path_factory.mktemp("sheet") / "batches", parts), confidence=0.95)


def sheet(arrived, source=SIMULATED, split=SPLIT, *, zero_is_missing=True) -> str:
    text = data_sheet(source, arrived, split, zero_is_missing=zero_is_missing, confidence=0.95)
    assert reading.faults(text) == []
    assert faults(text) == []
    return text


def flat(text: str) -> str:
    return " ".join(text.split())


def test_the_same_run_makes_the_same_bytes(arrived):
    assert sheet(arrived) == sheet(arrived)


def test_it_lists_every_column_with_type_unit_meaning_missing_share_and_role(arrived):
    rows = reading.table(sheet(arrived), "column")
    assert [row[0] for row in rows[1:]] == list(schema.NAMES)
    by_name = {row[0]: row[1:] for row in rows}
    assert by_name["AgeHH1"] == ["number, years", "age of the first adult", "29.0%", "feature"]
    assert by_name["MaritalStatus"][:2] == ["yes or no", "married"]
    assert by_name["PrizmCode"][:2] == ["category", "Prizm area type: Other, Rural, Suburban, Town"]
    assert by_name["ServiceArea"][-2:] == ["< 0.1%", "drift only"]
    assert by_name["RetentionCalls"][-1] == "too late"
    assert (by_name["Churn"][-1], by_name["CustomerID"][-1]) == ("label", "order of arrival")


def test_it_lists_every_batch_with_its_churn_rate_and_the_unlabelled_one_without(arrived):
    rows = reading.table(sheet(arrived), "batch")[1:]
    assert [(row[0], row[1]) for row in rows[:3]] == [("00", "reference"), ("01", "reference"), ("02", "history")]
    assert rows[0][3:5] == ["600", "600"]
    assert rows[5][3:] == ["600", "0", "n/a"]


def test_landed_batches_are_counted_apart(arrived):
    text = sheet([*arrived[:5], replace(arrived[5], role="landed")])
    assert ["of these landed later", "600 in 1 batch"] in reading.tables(text)[0]


def test_200_batches_are_shortened(arrived):
    text = sheet([replace(arrived[0], batch=f"batch_{number:02d}") for number in range(200)])
    assert len(reading.table(text, "batch")) == 1 + 4 + 1 + 16
    assert "The 180 batches between:" in text


def test_what_was_mended_in_a_file_is_counted(arrived):
    said = flat(sheet(arrived, FILE))
    for part in ("identical rows dropped: 3", "into the order of CustomerID: yes", "without a label: 12"):
        assert part in said
    assert "No cell says unknown" in said


def test_cells_that_said_unknown_are_counted_by_column(arrived):
    assert reading.tables(sheet(arrived))[-1][1] == ["AgeHH1", "1,044", "29.0%"]


def test_ages_of_zero_are_said_to_be_what_they_were_taken_for(arrived):
    assert "means unknown and is missing" in flat(sheet(arrived))
    assert "was left a number" in flat(sheet(arrived, zero_is_missing=False))


def test_injected_drift_and_a_shuffled_order_are_told(arrived):
    drift = NO_DRIFT.model_copy(update={"kind": "concept", "onset": 4, "size": 0.5})
    said = flat(sheet(arrived, split=SPLIT.model_copy(update={"scenario": drift, "order": "shuffled"})))
    assert "concept, sudden, of size 0.5 from batch 04 on" in said
    assert "the customers were shuffled (seed 5)" in said
    assert "stands for time" not in said


def test_simulated_customers_are_under_our_licence_and_a_file_under_its_own(arrived):
    assert "under the MIT licence" in flat(sheet(arrived))
    said = flat(sheet(arrived, FILE))
    assert "MIT" not in said
    assert "The terms under which they got it hold" in said


def test_cell2cell_is_not_called_open(arrived):
    for source in (SIMULATED, FILE):
        assert "take it as *not* openly licensed" in flat(sheet(arrived, source))


def test_reports_of_another_release_are_refused_with_the_command_that_mends_them():
    with pytest.raises(PipelineError, match=r"reports/ingest/summary.json: 'seed' is missing; `dvc repro`"):
        origin({"simulated": True, "rows": 3}, {})
