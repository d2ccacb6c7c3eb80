from pathlib import Path

import numpy as np

from churn_drift.data.files import Table
from churn_drift.data.scores import Scored
from churn_drift.policy import pictures
from churn_drift.policy.comparison import compare
from tests.policy.test_comparison import BETTER, WORSE, unlabelled, with_labels
from tests.policy.test_tables import record

NAMES = {"roc", "precision_recall", "calibration", "gain"}


def curves(never: list[Scored], policy: list[Scored]) -> dict[str, Table]:
    return pictures.curves(never, policy, confidence=0.95)


def same(one: dict[str, Table], two: dict[str, Table]) -> bool:
    return one == two


def test_there_are_four_curves_of_each_model() -> None:
    assert set(curves(WORSE, BETTER)) == {f"{name}_{model}" for name in NAMES for model in ("never", "policy")}


def test_the_curves_are_those_of_the_newest_batch_alone() -> None:
    assert same(curves(WORSE, BETTER), curves(WORSE[3:], BETTER[3:]))
    assert not same(curves(WORSE, BETTER), curves(WORSE[:3], BETTER[:3]))


def test_a_batch_without_labels_leaves_the_curves_to_the_one_before() -> None:
    found = curves([*WORSE[:3], unlabelled(WORSE[3])], [*BETTER[:3], unlabelled(BETTER[3])])
    assert same(found, curves(WORSE[:3], BETTER[:3]))


def test_a_batch_of_one_class_leaves_the_curves_to_the_one_before() -> None:
    one_class = [1.0, 1.0, 1.0]
    found = curves(with_labels(WORSE, 3, one_class), with_labels(BETTER, 3, one_class))
    assert same(found, curves(WORSE[:3], BETTER[:3]))


def test_without_any_labels_the_curves_are_empty_and_have_their_columns() -> None:
    found = curves([unlabelled(s) for s in WORSE], [unlabelled(s) for s in BETTER])
    assert {len(frame.rows) for frame in found.values()} == {0}
    assert list(found["roc_policy"].columns) == ["fpr", "tpr"]
    assert list(found["calibration_never"].columns) == ["predicted", "observed", "low", "high", "rows"]


def test_three_pictures_are_drawn_the_same_bytes_twice(tmp_path: Path) -> None:
    records = [record(f"batch_{s.batch:0>2}", promoted="b2" if s.batch == "3" else None) for s in BETTER]
    for folder in ("one", "two"):
        comparison = compare(WORSE, BETTER, confidence=0.95)
        pictures.draw(comparison, records, curves(WORSE, BETTER), tmp_path / folder, policy="evidence", confidence=0.95)
    drawn = {path.name: path.read_bytes() for path in (tmp_path / "one").iterdir()}
    assert set(drawn) == {"timeline.png", "gains.png", "drift.png", "models.png"}
    assert drawn == {path.name: path.read_bytes() for path in (tmp_path / "two").iterdir()}


def test_a_history_without_labels_can_be_drawn(tmp_path: Path) -> None:
    never, policy = [unlabelled(s) for s in WORSE], [unlabelled(s) for s in BETTER]
    comparison = compare(never, policy, confidence=0.95)
    records = [record(f"batch_{s.batch:0>2}") for s in BETTER]
    pictures.draw(comparison, records, curves(never, policy), tmp_path, policy="evidence", confidence=0.95)
    assert np.unique([path.stat().st_size > 1000 for path in tmp_path.iterdir()]).tolist() == [True]
