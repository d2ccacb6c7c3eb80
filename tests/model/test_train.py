import os
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest

from churn_drift.columns import Codes, Columns, Numbers, concatenate, take
from churn_drift.config import Train
from churn_drift.errors import TrainingError
from churn_drift.model import train
from churn_drift.model.features import levels_of
from churn_drift.model.inference import Booster, columns_of_records
from churn_drift.model.train import best_threshold, cross_fit, fit, fit_booster, golden_records, platt, stratified_folds

SETTINGS = Train.model_construct(
    seed=1, trees=8, learning_rate=0.3, max_depth=3, min_child_weight=1.0, subsample=0.8, colsample_bytree=0.7,
    reg_lambda=1.0, max_cat_threshold=8, max_bin=32, folds=3,
)  # fmt: skip


def customers(rows: int, *, seed: int = 0) -> tuple[Columns, Numbers]:
    """Customers of three occupations in two markets; Crafts and the short of tenure mostly leave."""
    draw = np.random.default_rng(seed)
    months, minutes = draw.integers(1, 40, rows), draw.integers(0, 900, rows)
    kind, area = draw.integers(0, 3, rows), draw.integers(0, 2, rows)
    columns = columns_of_records(
        [
            {
                "MonthsInService": float(months[row]),
                "MonthlyMinutes": float(minutes[row]),
                "Occupation": ("Crafts", "Other", "Student")[kind[row]],
                "ServiceArea": ("BOSBOS1", "NYCNYC2")[area[row]],
            }
            for row in range(rows)
        ]
    )
    return columns, ((kind == 0) | (months < 9) ^ (draw.random(rows) < 0.2)).astype(np.float64)


WINDOW, LABELS = customers(300)


def test_the_same_window_gives_the_same_bytes_twice() -> None:
    first, second = fit(WINDOW, LABELS, settings=SETTINGS), fit(WINDOW, LABELS, settings=SETTINGS)
    assert first.booster.to_bytes() == second.booster.to_bytes()
    assert first.out_of_fold.tolist() == second.out_of_fold.tolist()
    assert (first.calibration, first.threshold) == (second.calibration, second.threshold)


def test_one_thread_gives_the_bytes_of_two() -> None:
    code = (
        "from hashlib import sha256\n"
        "from tests.model.test_train import LABELS, SETTINGS, WINDOW, fit_booster\n"
        "print(sha256(fit_booster(WINDOW, LABELS, settings=SETTINGS).to_bytes()).hexdigest())"
    )
    environment = os.environ | {"OMP_THREAD_LIMIT": "1", "PYTHONPATH": os.pathsep.join([str(Path.cwd()), *sys.path])}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == sha256(fit_booster(WINDOW, LABELS, settings=SETTINGS).to_bytes()).hexdigest()


def test_rows_outside_the_window_change_nothing_in_the_model() -> None:
    inside = np.arange(200)
    later, _ = customers(100, seed=9)
    other = concatenate([take(WINDOW, inside), later])
    one = fit(take(WINDOW, inside), LABELS[inside], settings=SETTINGS)
    two = fit(take(other, inside), LABELS[inside], settings=SETTINGS)
    assert one.booster.to_bytes() == two.booster.to_bytes()
    assert (one.calibration, one.threshold, one.booster.levels) == (two.calibration, two.threshold, two.booster.levels)


def test_a_level_that_only_occurs_outside_the_window_is_no_level_of_the_model() -> None:
    strange, _ = customers(3)
    strange = dict(strange) | {"Occupation": Codes.of(["Astronaut"] * 3)}
    both = concatenate([WINDOW, strange])
    model = fit_booster(take(both, np.arange(300)), LABELS, settings=SETTINGS)
    assert model.levels["Occupation"] == ("Crafts", "Other", "Student")


def test_no_model_scores_a_row_that_it_was_fitted_on(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[set[float], set[float]]] = []
    columns, labels = numbered(60)

    def spy(columns: Columns, labels: Numbers, *, settings: Train) -> Booster:
        return Spy(fit_booster(columns, labels, settings=settings), names(columns), seen)

    monkeypatch.setattr(train, "fit_booster", spy)
    fit(columns, labels, settings=SETTINGS)
    cross_fit(
        take(columns, np.arange(30)),
        labels[:30],
        take(columns, np.arange(30, 60)),
        labels[30:],
        folds=3,
        settings=SETTINGS,
    )
    assert len(seen) == 6
    assert all(not fitted & scored for fitted, scored in seen)
    assert set.union(*(scored for _, scored in seen[:3])) == set(range(60))
    assert set.union(*(scored for _, scored in seen[3:])) == set(range(30, 60))
    assert all(fitted >= set(range(30)) for fitted, _ in seen[3:])


def test_the_label_of_a_row_does_not_move_its_own_out_of_fold_score() -> None:
    # The folds are dealt by label, so two rows swap their labels inside one fold.
    fold = stratified_folds(LABELS, folds=3, seed=1)[0]
    stayed, left = fold[LABELS[fold] == 0][0], fold[LABELS[fold] == 1][0]
    swapped = LABELS.copy()
    swapped[[stayed, left]] = swapped[[left, stayed]]
    rest = np.setdiff1d(np.arange(300), fold)
    expected = fit_booster(take(WINDOW, rest), LABELS[rest], settings=SETTINGS).margins(take(WINDOW, fold))
    assert fit(WINDOW, LABELS, settings=SETTINGS).out_of_fold_margin[fold].tolist() == expected.tolist()
    again = fit_booster(take(WINDOW, rest), swapped[rest], settings=SETTINGS).margins(take(WINDOW, fold))
    assert again.tolist() == expected.tolist()


def test_folds_cover_every_row_once_and_share_the_churners_out_evenly() -> None:
    labels = np.array([1.0] * 7 + [0.0] * 20)
    folds = stratified_folds(labels, folds=3, seed=5)
    assert sorted(np.concatenate(folds).tolist()) == list(range(27))
    assert [int(labels[fold].sum()) for fold in folds] == [3, 2, 2]


def test_another_seed_deals_other_folds() -> None:
    assert (
        stratified_folds(LABELS, folds=3, seed=1)[0].tolist() != stratified_folds(LABELS, folds=3, seed=2)[0].tolist()
    )


def test_cross_fitting_is_the_same_twice_and_scores_every_row_of_the_newest_batch() -> None:
    newest, labels = customers(40, seed=3)
    first = cross_fit(WINDOW, LABELS, newest, labels, folds=3, settings=SETTINGS)
    assert first.shape == (40,)
    assert first.tolist() == cross_fit(WINDOW, LABELS, newest, labels, folds=3, settings=SETTINGS).tolist()
    assert ((first > 0) & (first < 1)).all()


def test_margins_that_are_already_log_odds_calibrate_to_themselves() -> None:
    margin = np.repeat([-1.0986122886681098, 0.0, 1.0986122886681098], [400, 200, 400])  # odds 1:3, 1:1, 3:1
    labels = np.concatenate([np.arange(400) % 4 == 0, np.arange(200) % 2 == 0, np.arange(400) % 4 != 0]).astype(float)
    calibration = platt(margin, labels)
    assert (calibration.slope, calibration.intercept) == pytest.approx((1.0, 0.0), abs=2e-6)


def test_margins_twice_too_sure_get_slope_one_half() -> None:
    margin = np.repeat([-2.1972245773362196, 2.1972245773362196], [400, 400])
    labels = np.concatenate([np.arange(400) % 4 == 0, np.arange(400) % 4 != 0]).astype(float)
    assert platt(margin, labels).slope == pytest.approx(0.5, abs=2e-6)


def test_margins_that_are_sure_and_worth_nothing_get_slope_zero() -> None:
    # Here a full Newton step from slope 1 leaps past every useful point.
    calibration = platt(np.repeat([-20.0, 20.0], 400), np.arange(800) % 2.0)
    assert (calibration.slope, calibration.intercept) == pytest.approx((0.0, 0.0), abs=1e-6)


def test_separable_margins_still_give_finite_numbers() -> None:
    calibration = platt(np.array([-3.0, -2.0, 2.0, 3.0]), np.array([0.0, 0.0, 1.0, 1.0]))
    assert np.isfinite([calibration.slope, calibration.intercept]).all()


@pytest.mark.parametrize("constant", [0.0, 5.0])
def test_constant_margins_calibrate_to_the_churn_rate(constant: float) -> None:
    calibration = platt(np.full(4, constant), np.array([1.0, 0.0, 0.0, 0.0]))
    logit = calibration.slope * constant + calibration.intercept
    assert logit == pytest.approx(-1.098612, abs=1e-4)


def test_the_threshold_takes_the_probability_with_the_best_f1() -> None:
    assert best_threshold(np.array([0.9, 0.8, 0.3, 0.1]), np.array([1.0, 1.0, 0.0, 0.0])) == 0.8


def test_of_equal_f1_the_highest_threshold_wins() -> None:
    # At .9: one of two churners, no error, F1 2/3. At .2: both, two errors, F1 2/3.
    assert best_threshold(np.array([0.9, 0.4, 0.3, 0.2]), np.array([1.0, 0.0, 0.0, 1.0])) == 0.9


def test_equal_probabilities_are_decided_together() -> None:
    assert best_threshold(np.array([0.5, 0.5, 0.1]), np.array([1.0, 0.0, 0.0])) == 0.5


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([], "the window has no rows"),
        ([0.0, 0.0, 0.0, 0.0], "all 4 rows of the window stayed; a model needs both classes"),
        ([1.0, 1.0, 1.0, 1.0], "all 4 rows of the window churned"),
        ([1.0, 0.0, np.nan, 0.0], "1 of 4 labels of the window are missing"),
        ([1.0, 0.0, 1.0, 0.0], "2 of 4 rows of the window churned; 3 folds need 3 or more"),
    ],
)
def test_a_window_that_cannot_be_fitted_is_refused_with_the_reason(labels: list[float], message: str) -> None:
    with pytest.raises(TrainingError, match=message):
        fit(take(WINDOW, np.arange(len(labels))), np.array(labels), settings=SETTINGS)


def test_labels_of_another_length_are_refused() -> None:
    with pytest.raises(TrainingError, match="300 rows but 299 labels"):
        fit(WINDOW, LABELS[1:], settings=SETTINGS)


def test_a_newest_batch_of_one_class_is_refused() -> None:
    newest, _ = customers(10)
    with pytest.raises(TrainingError, match="all 10 rows of the window stayed"):
        cross_fit(WINDOW, LABELS, newest, np.zeros(10), folds=3, settings=SETTINGS)


def test_fitting_does_not_change_its_input() -> None:
    before = [v.codes.tobytes() if isinstance(v, Codes) else v.tobytes() for v in WINDOW.values()], LABELS.tobytes()
    fit(WINDOW, LABELS, settings=SETTINGS)
    assert (
        [v.codes.tobytes() if isinstance(v, Codes) else v.tobytes() for v in WINDOW.values()],
        LABELS.tobytes(),
    ) == before


def test_golden_records_are_quartiles_and_levels_then_nothing_then_the_unknown() -> None:
    columns, _ = numbered(5)
    records = golden_records(columns, levels_of(columns))
    assert [record["MonthsInService"] for record in records] == [1.0, 2.0, 3.0, None, 2.0]
    assert [record["Occupation"] for record in records] == ["Crafts", "Crafts", "Other", None, "never seen"]


def numbered(rows: int) -> tuple[Columns, Numbers]:
    """Rows that carry their own number as MonthsInService."""
    columns = columns_of_records(
        [{"MonthsInService": float(row), "Occupation": ("Crafts", "Other")[row % 2]} for row in range(rows)]
    )
    return columns, (np.arange(rows) % 3 == 0).astype(np.float64)


def names(columns: Columns) -> set[float]:
    values = columns["MonthsInService"]
    assert not isinstance(values, Codes)
    return set(values.tolist())


class Spy(Booster):
    """Notes who was fitted on and who was scored."""

    def __init__(self, booster: Booster, fitted: set[float], seen: list[tuple[set[float], set[float]]]) -> None:
        super().__init__(booster.model, booster.levels)
        self._fitted, self._seen = fitted, seen

    def margins(self, columns: Columns) -> Numbers:
        self._seen.append((self._fitted, names(columns)))
        return super().margins(columns)
