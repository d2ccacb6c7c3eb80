import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from churn_drift.model import fit_cache
from churn_drift.model.fit_cache import FitCache
from churn_drift.model.train import Fitted, fit
from tests.model.test_train import SETTINGS, customers

Array = npt.NDArray[np.float64]
VALUES = np.array([0.25, 0.5])


def counted(made: list[int], values: Array = VALUES) -> Callable[[], Array]:
    def make() -> Array:
        made.append(1)
        return values

    return make


def never() -> Array:
    raise AssertionError("made although it is remembered")


def the_file(folder: Path) -> Path:
    (path,) = folder.iterdir()
    return path


def test_what_is_remembered_is_made_once(tmp_path: Path) -> None:
    made: list[int] = []
    for _ in range(3):
        found = FitCache(tmp_path).array({"rows": "a"}, counted(made))
        assert found.tolist() == [0.25, 0.5]
    assert len(made) == 1


def test_another_key_is_another_fit(tmp_path: Path) -> None:
    cache, made = FitCache(tmp_path), list[int]()
    for key in ({"rows": "a"}, {"rows": "b"}, {"rows": "a", "folds": 2}):
        cache.array(key, counted(made))
    assert len(made) == 3


def test_the_order_of_the_keys_does_not_matter(tmp_path: Path) -> None:
    cache = FitCache(tmp_path)
    cache.array({"rows": "a", "folds": 2}, lambda: VALUES)
    assert cache.array({"folds": 2, "rows": "a"}, never).tolist() == [0.25, 0.5]


def test_without_a_folder_nothing_is_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    made: list[int] = []
    for _ in range(2):
        FitCache(None).array({"rows": "a"}, counted(made))
    assert len(made) == 2
    assert list(tmp_path.iterdir()) == []


def test_other_code_finds_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[int] = []
    FitCache(tmp_path).array({"rows": "a"}, counted(made))
    monkeypatch.setattr(fit_cache, "_code", lambda: "another digest")
    FitCache(tmp_path).array({"rows": "a"}, counted(made))
    assert len(made) == 2


def test_a_fit_comes_back_as_it_was_made(tmp_path: Path) -> None:
    columns, labels = customers(120)

    def refuse() -> Fitted:
        raise AssertionError("fitted although it is remembered")

    made = FitCache(tmp_path).fitted({"rows": "a"}, lambda: fit(columns, labels, settings=SETTINGS))
    found = FitCache(tmp_path).fitted({"rows": "a"}, refuse)
    assert found.booster.to_bytes() == made.booster.to_bytes()
    assert found.booster.levels == made.booster.levels
    assert (found.calibration, found.threshold) == (made.calibration, made.threshold)
    assert np.array_equal(found.out_of_fold_margin, made.out_of_fold_margin)
    assert np.array_equal(found.out_of_fold, made.out_of_fold)
    assert np.array_equal(found.booster.margins(columns), made.booster.margins(columns))


def test_a_fit_and_an_array_of_one_key_are_two_things(tmp_path: Path) -> None:
    columns, labels = customers(120)
    FitCache(tmp_path).fitted({"rows": "a"}, lambda: fit(columns, labels, settings=SETTINGS))
    assert FitCache(tmp_path).array({"rows": "a"}, lambda: VALUES).tolist() == [0.25, 0.5]


@pytest.mark.parametrize("left", [0, 1, 20, 200])
def test_a_cut_file_is_made_anew_and_mended(tmp_path: Path, left: int, caplog: pytest.LogCaptureFixture) -> None:
    FitCache(tmp_path).array({"rows": "a"}, lambda: VALUES)
    path = the_file(tmp_path)
    whole = path.read_bytes()
    path.write_bytes(whole[:left])
    with caplog.at_level(logging.WARNING):
        assert FitCache(tmp_path).array({"rows": "a"}, lambda: VALUES).tolist() == [0.25, 0.5]
    assert f"{path} is damaged" in caplog.text
    assert path.read_bytes() == whole


def test_no_damaged_byte_changes_what_is_found(tmp_path: Path) -> None:
    FitCache(tmp_path).array({"rows": "a"}, lambda: VALUES)
    path = the_file(tmp_path)
    whole = path.read_bytes()
    for place in range(len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x81]) + whole[place + 1 :])
        assert FitCache(tmp_path).array({"rows": "a"}, lambda: VALUES).tolist() == [0.25, 0.5]


def test_nothing_is_remembered_of_a_fit_that_failed(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="made although"):
        FitCache(tmp_path).array({"rows": "a"}, never)
    assert list(tmp_path.iterdir()) == []
