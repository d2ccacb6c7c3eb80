import json

import pytest

from churn_drift.model.compare import Difference, PairedSums
from churn_drift.policy.evidence import BatchEvidence, Evidence

THIRD = BatchEvidence("3", PairedSums(100, 3.0, 1.0), Difference.of(0.02, 0.0001, confidence=0.95))
FOURTH = BatchEvidence("4", PairedSums(300, 1.0, 3.0), Difference.of(0.01, 0.0001, confidence=0.95))
NOTHING = BatchEvidence("5", PairedSums(), None)


def test_batches_add_up_in_rows_total_and_variance() -> None:
    assert Evidence().add(THIRD).add(FOURTH).sums == PairedSums(400, 4.0, 4.0)


def test_z_is_the_total_over_its_standard_error() -> None:
    assert Evidence((THIRD, FOURTH)).z == 2.0


def test_the_auc_gain_is_the_sum_over_batches() -> None:
    assert Evidence((THIRD, FOURTH, NOTHING)).auc_gain == pytest.approx(0.03)


def test_adding_makes_new_evidence_and_leaves_the_old_as_it_was() -> None:
    before = Evidence((THIRD,))
    assert before.add(FOURTH) == Evidence((THIRD, FOURTH))
    assert before == Evidence((THIRD,))


def test_no_evidence_speaks_for_nobody() -> None:
    nothing = Evidence()
    assert (nothing.z, nothing.auc_gain, nothing.rows_needed(z=2.33), nothing.newest) == (0.0, 0.0, None, Evidence())


def test_a_batch_without_evidence_changes_no_sum() -> None:
    assert Evidence((THIRD, NOTHING)).sums == Evidence((THIRD,)).sums
    assert Evidence((THIRD, NOTHING)).z == 3.0


def test_the_newest_is_the_last_batch_alone() -> None:
    assert Evidence((THIRD, FOURTH)).newest == Evidence((FOURTH,))


def test_the_record_is_rounded_and_names_every_batch() -> None:
    uneven = BatchEvidence("3", PairedSums(3, 1 / 3, 1 / 7), Difference(1 / 3))
    assert Evidence((uneven, NOTHING)).to_dict() == {
        "batches": ["3", "5"],
        "rows": 3,
        "z": 0.8819,
        "log_loss_gain": 0.111111,
        "auc_gain_sum": 0.333333,
        "auc_gain_by_batch": {
            "3": {"value": 0.333333, "low": None, "high": None, "standard_error": None, "z": None, "p": None}
        },
    }


def test_the_record_of_no_evidence_has_no_gain_a_row() -> None:
    record = Evidence().to_dict()
    assert (record["rows"], record["z"], record["log_loss_gain"]) == (0, 0.0, None)


def test_a_trifle_below_zero_is_written_as_zero() -> None:
    trifle = BatchEvidence("3", PairedSums(100, -1e-9, 1.0), Difference(-1e-9))
    assert "-0.0" not in json.dumps(Evidence((trifle,)).to_dict())
