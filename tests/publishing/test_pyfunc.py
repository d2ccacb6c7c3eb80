import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from churn_drift import schema
from churn_drift.data.frames import columns_of, labels_of
from churn_drift.errors import DataError, ModelError
from churn_drift.model.bundle import Bundle, save
from churn_drift.model.inference import score
from churn_drift.model.train import fit, pack
from churn_drift.publishing.pyfunc import ScoringModel, _load_pyfunc
from tests.conftest import Records
from tests.model.test_train import SETTINGS


@pytest.fixture(scope="module")
def bundle(clean_records: Records) -> Bundle:
    """A model of simulated customers, strong enough to tell them apart."""
    frame = clean_records(1000, start=200)
    columns, settings = columns_of(frame), SETTINGS.model_copy(update={"trees": 20})
    facts = {"reason": "first model", "data": "d1", "params": "p1"}
    fitted = fit(columns, labels_of(frame), settings=settings)
    return pack(fitted, columns, profile={}, facts=facts, zero_is_missing=True)


@pytest.fixture(scope="module")
def model(bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> ScoringModel:
    folder = tmp_path_factory.mktemp("model") / "candidate"
    save(bundle, folder)
    return _load_pyfunc(str(folder))


def test_raw_rows_score_to_the_bit_as_the_stages_score_them(
    model: ScoringModel, bundle: Bundle, raw_records: Records, clean_records: Records
) -> None:
    scores = score(bundle, columns_of(clean_records(200)))
    found = model.predict(raw_records(200))
    assert found["probability"].tolist() == scores.probability.tolist()
    assert found["decision"].tolist() == scores.decision.tolist()
    assert len(set(found["probability"])) > 10


@pytest.mark.parametrize("options", [{}, {"dtype": str}, {"dtype": str, "keep_default_na": False}, {"dtype": object}])
def test_it_does_not_matter_how_pandas_has_read_the_file(
    model: ScoringModel, raw_records: Records, options: dict[str, object]
) -> None:
    raw = raw_records(200)
    read = pd.read_csv(io.StringIO(raw.to_csv(index=False)), **options)
    pd.testing.assert_frame_equal(model.predict(read), model.predict(raw))


def test_a_record_of_python_values_scores_as_its_row_of_text(model: ScoringModel, raw_records: Records) -> None:
    raw = raw_records(5)
    record = {name: _plain(schema.BY_NAME[name], cell) for name, cell in raw.iloc[3].items()}
    assert model.predict(pd.DataFrame([record])).iloc[0].tolist() == model.predict(raw).iloc[3].tolist()


def _plain(column: schema.Column, cell: str) -> object:
    if cell in column.missing:
        return None
    return float(cell) if column.kind == "number" else cell


def test_the_index_is_kept(model: ScoringModel, raw_records: Records) -> None:
    rows = raw_records(3).set_axis([7, 7, 2])
    assert model.predict(rows).index.tolist() == [7, 7, 2]


def test_the_frame_is_not_changed(model: ScoringModel, raw_records: Records) -> None:
    rows = raw_records(3)
    before = rows.copy(deep=True)
    model.predict(rows)
    pd.testing.assert_frame_equal(rows, before)


def test_id_label_and_what_comes_after_the_risk_change_nothing(model: ScoringModel, raw_records: Records) -> None:
    rows = raw_records(20)
    bare = rows[[column.name for column in schema.RECORD]]
    pd.testing.assert_frame_equal(model.predict(bare), model.predict(rows.assign(Churn="Yes", Weather="rain")))


def test_an_absent_column_is_an_empty_one_and_unknown_is_too(model: ScoringModel, raw_records: Records) -> None:
    rows = raw_records(20)
    absent = model.predict(rows.drop(columns=["CurrentEquipmentDays", "MaritalStatus"]))
    for nothing in ("", "NA", None, np.nan, pd.NA):
        filled = rows.assign(CurrentEquipmentDays=nothing, MaritalStatus="Unknown")
        pd.testing.assert_frame_equal(model.predict(filled), absent)
    assert absent["probability"].tolist() != model.predict(rows)["probability"].tolist()


def test_a_zero_that_means_missing_is_missing_where_the_model_was_trained_so(
    bundle: Bundle, model: ScoringModel, raw_records: Records
) -> None:
    frames = [model._typed(raw_records(1).assign(AgeHH1=age)) for age in ("0", 0, 0.0, "")]
    assert [np.isnan(frame["AgeHH1"][0]) for frame in frames] == [True] * 4
    assert not np.isnan(model._typed(raw_records(1).assign(MonthlyMinutes=0))["MonthlyMinutes"][0])


def test_a_level_that_the_model_has_not_seen_scores_as_missing(model: ScoringModel, raw_records: Records) -> None:
    rows = raw_records(20)
    pd.testing.assert_frame_equal(
        model.predict(rows.assign(Occupation="Astronaut")), model.predict(rows.assign(Occupation=17))
    )
    pd.testing.assert_frame_equal(
        model.predict(rows.assign(Occupation="Astronaut")), model.predict(rows.assign(Occupation=""))
    )


@pytest.mark.parametrize(
    ("column", "cell", "fault"),
    [
        ("MonthlyMinutes", "many", "row 3: MonthlyMinutes: 'many' is not a number"),
        ("MonthlyMinutes", True, "row 3: MonthlyMinutes: 'True' is not a number"),
        ("MonthlyMinutes", float("inf"), "row 3: MonthlyMinutes: inf is not a number"),
        ("AgeHH1", 130, "row 3: AgeHH1: 130 is outside 0 to 120"),
        ("IncomeGroup", -1, "row 3: IncomeGroup: -1 is outside 0 to 9"),
    ],
)
def test_an_illegal_cell_is_refused_with_row_column_and_value(
    model: ScoringModel, raw_records: Records, column: str, cell: object, fault: str
) -> None:
    rows = raw_records(3).astype(object)
    rows.loc[1, column] = cell
    with pytest.raises(DataError, match=fault):
        model.predict(rows)


def test_a_frame_that_has_no_column_of_a_record_is_refused(model: ScoringModel) -> None:
    with pytest.raises(DataError, match="none of the columns that the model reads"):
        model.predict(pd.DataFrame({"monthly_minutes": [1.0]}))


def test_no_rows_give_no_rows(model: ScoringModel, raw_records: Records) -> None:
    assert model.predict(raw_records(0)).shape == (0, 2)


def test_an_altered_bundle_is_not_loaded(bundle: Bundle, tmp_path: Path) -> None:
    save(bundle, tmp_path / "candidate")
    trees = tmp_path / "candidate" / "model.ubj"
    content = bytearray(trees.read_bytes())
    content[len(content) // 2] ^= 1
    trees.write_bytes(bytes(content))
    with pytest.raises(ModelError, match=r"model\.ubj was altered"):
        _load_pyfunc(str(tmp_path / "candidate"))


def test_a_bundle_that_scores_otherwise_here_is_not_loaded(bundle: Bundle, tmp_path: Path) -> None:
    off = replace(bundle, golden=(replace(bundle.golden[0], probability=0.123456), *bundle.golden[1:]))
    save(off, tmp_path / "candidate")
    with pytest.raises(ModelError, match="golden record 0 scores"):
        _load_pyfunc(str(tmp_path / "candidate"))
