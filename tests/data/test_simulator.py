"""The simulated customers: reproducible, legal, and moving along the order as the real ones do."""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import pytest

from churn_drift import schema
from churn_drift.data import simulator
from churn_drift.errors import DataError

ROWS = 15_000


@pytest.fixture(scope="module")
def statistics() -> dict[str, Any]:
    return simulator.load_statistics()


@pytest.fixture(scope="module")
def customers(statistics: Mapping[str, Any]) -> pd.DataFrame:
    return simulator.simulate(statistics, rows=ROWS, seed=1)


def churn_rate(frame: pd.DataFrame) -> float:
    return float((frame["Churn"] == "Yes").mean())


# --- reproducible ------------------------------------------------------------------------------------------------


def test_the_same_seed_gives_the_same_bytes(statistics):
    first, second = (simulator.simulate(statistics, rows=500, seed=7).to_csv(index=False) for _ in range(2))
    assert first == second


def test_another_seed_gives_other_customers(statistics):
    first, second = (simulator.simulate(statistics, rows=500, seed=seed) for seed in (7, 8))
    assert not first["MonthlyRevenue"].equals(second["MonthlyRevenue"])


def test_rows_beyond_one_chunk_follow_the_first_ones(statistics):
    frame = simulator.simulate(statistics, rows=simulator.CHUNK + 10, seed=1)
    assert len(frame) == simulator.CHUNK + 10
    assert frame["CustomerID"].is_monotonic_increasing
    assert frame["CustomerID"].is_unique


# --- legal -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rows", [1, 10])
def test_a_handful_of_rows_works(statistics, rows):
    assert len(simulator.simulate(statistics, rows=rows, seed=1)) == rows


def test_no_rows_are_refused(statistics):
    with pytest.raises(DataError, match="rows is 0"):
        simulator.simulate(statistics, rows=0, seed=1)


def test_the_columns_are_the_schemas_in_its_order(customers):
    assert tuple(customers.columns) == schema.NAMES


def test_customer_numbers_are_even_and_start_where_the_file_does(customers):
    assert customers["CustomerID"].iloc[0] == simulator.FIRST_ID
    assert (customers["CustomerID"] % 2 == 0).all()


@pytest.mark.parametrize("column", [c for c in schema.COLUMNS if c.kind == "number"], ids=lambda c: c.name)
def test_every_number_is_legal_and_carries_the_decimals_of_the_file(customers, column):
    values = pd.to_numeric(customers[column.name].replace("Unknown", np.nan)).dropna().astype(float)
    assert len(values) > ROWS / 3
    assert values.min() >= (-np.inf if column.minimum is None else column.minimum)
    assert values.max() <= (np.inf if column.maximum is None else column.maximum)
    assert (values == values.round(column.decimals)).all()


@pytest.mark.parametrize("column", [c for c in schema.COLUMNS if c.levels], ids=lambda c: c.name)
def test_every_known_level_occurs_and_no_other(customers, column):
    unknown = set(column.missing) - set(schema.MISSING)
    assert set(customers[column.name]) == {*column.levels, *unknown}


def test_service_areas_are_a_market_an_area_and_a_code(customers):
    assert customers["ServiceArea"].dropna().str.fullmatch(r"[A-Z]{6}\d{3}").all()


def test_handset_prices_are_unknown_for_most(customers):
    assert 0.5 < (customers["HandsetPrice"] == "Unknown").mean() < 0.65


def test_missing_numbers_are_missing_together_as_in_the_file(customers):
    bill = customers[["MonthlyRevenue", "MonthlyMinutes", "TotalRecurringCharge", "RoamingCalls"]].isna()
    change = customers[["PercChangeMinutes", "PercChangeRevenues"]].isna()
    assert 0 < bill.any(axis=1).mean() < 0.01
    assert (bill.any(axis=1) == bill.all(axis=1)).all()
    assert (change.any(axis=1) == change.all(axis=1)).all()
    assert (customers["AgeHH1"].isna() == customers["AgeHH2"].isna()).all()


def test_the_written_file_has_the_tokens_of_the_real_one(statistics):
    text = simulator.simulate(statistics, rows=3000, seed=1).to_csv(index=False, na_rep="NA")
    assert text.startswith("CustomerID,Churn,MonthlyRevenue,")
    assert ",NA,NA," in text
    assert ",Unknown," in text
    assert ",," not in text
    assert "-0.0," not in text


# --- like the file -----------------------------------------------------------------------------------------------


def test_dropped_and_blocked_calls_add_up(customers):
    rest = customers["DroppedBlockedCalls"] - customers["DroppedCalls"] - customers["BlockedCalls"]
    assert (rest.abs() < 0.11).mean() > 0.95


def test_derived_columns_keep_their_bounds(customers):
    assert (customers["HandsetModels"] <= customers["Handsets"]).all()
    assert (customers["ActiveSubs"] <= customers["UniqueSubs"]).all()
    assert ((customers["MonthlyMinutes"] + customers["PercChangeMinutes"]).dropna() >= 0).all()
    assert (customers["RetentionOffersAccepted"] <= customers["RetentionCalls"]).all()


def test_tenure_falls_along_the_order(customers):
    tenths = [customers["MonthsInService"].iloc[i * ROWS // 10 : (i + 1) * ROWS // 10].mean() for i in range(9)]
    assert tenths == sorted(tenths, reverse=True)
    assert tenths[0] > 36
    assert tenths[8] < 11


def test_missing_bills_are_the_last_customers(customers):
    missing = np.flatnonzero(customers["MonthlyRevenue"].isna())
    assert np.median(missing) > 0.9 * ROWS


def test_churn_jumps_where_contracts_end(customers):
    months = customers["MonthsInService"]
    assert churn_rate(customers[months == 11]) > 1.8 * churn_rate(customers[months.between(7, 10)])


def test_churn_is_the_files_and_falls_at_the_end_of_the_order(customers):
    assert churn_rate(customers) == pytest.approx(0.288, abs=0.015)
    assert churn_rate(customers.iloc[-ROWS // 10 :]) == pytest.approx(0.182, abs=0.03)


def test_use_revenue_and_calls_go_together(customers):
    ranks = customers[["MonthlyMinutes", "MonthlyRevenue", "OutboundCalls", "InboundCalls", "AgeHH1"]].rank().corr()
    assert ranks.loc["MonthlyMinutes", "MonthlyRevenue"] > 0.6
    assert ranks.loc["OutboundCalls", "InboundCalls"] > 0.6
    assert ranks.loc["AgeHH1", "MonthlyMinutes"] < 0


# --- statistics only ---------------------------------------------------------------------------------------------


def test_the_statistics_are_small():
    assert simulator.STATISTICS.stat().st_size <= 300_000


def test_no_statistic_describes_fewer_than_ten_customers(statistics):
    counts = [count for node in statistics["nodes"] for leaf in node["leaves"] for count in leaf["count"]]
    fewest = [tree["fewest"] for tree in statistics["churn"]["trees"]]
    assert statistics["smallest_cell"] == 10
    assert min(*counts, *fewest, *statistics["gaps"]["count"]) >= 10


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{}", "key 'format' is None, not 1"),
        ("[1]", "key 'format' is None, not 1"),
        ('{"format": 2}', "key 'format' is 2, not 1"),
        ('{"format": 1}', "key 'source' is missing"),
        ("CustomerID,Churn", "not a JSON file"),
    ],
)
def test_a_file_that_is_not_statistics_is_refused_with_the_remedy(tmp_path, text, message):
    path = tmp_path / "other.json"
    path.write_text(text)
    with pytest.raises(DataError, match=message) as caught:
        simulator.load_statistics(path)
    assert "other.json" in str(caught.value)
    assert "fit_simulator.py" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_absent_statistics_are_refused_with_the_remedy(tmp_path):
    with pytest.raises(DataError, match=r"cannot be read .*fit_simulator.py"):
        simulator.load_statistics(tmp_path / "absent.json")


def test_the_statistics_hold_no_customer_number(statistics):
    assert "CustomerID" not in json.dumps(statistics)
