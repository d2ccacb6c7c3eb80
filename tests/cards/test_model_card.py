from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from churn_drift.cards.limits import corrected
from churn_drift.cards.model_card import PERSONAL, model_card
from churn_drift.config import Retrain
from churn_drift.errors import PipelineError
from churn_drift.model.features import FEATURES
from churn_drift.stages import evaluate
from tests.cards import reading
from tests.cards.examples import HISTORY, batch, customers, record, subject
from tests.contracts.documents import faults
from tests.policy.customers import RETRAIN

MARKUP = "<script>alert('x')</script>|`a`\n# *b*"
POLICIES = Retrain.model_fields["policy"].annotation.__args__


def flat(text: str) -> str:
    """The card without its line breaks."""
    return " ".join(text.split())


def card(*arguments, **changes) -> str:
    text = model_card(subject(*arguments, **changes))
    assert reading.faults(text) == []
    return text


def test_it_has_the_sections_of_a_model_card():
    heads = [line[3:] for line in card().splitlines() if line.startswith("## ")]
    assert heads == [
        *("In short", "The model", "What it is for, and what not", "How well it ranks", "Probabilities and threshold"),
        *("By slice", "Drift and decisions", "Limits", "Get it", "References"),
    ]


def test_the_same_run_makes_the_same_bytes():
    assert card() == card()


def test_what_it_tells_to_type_exists():
    assert faults(card()) == []


def test_what_describes_persons_are_features():
    assert set(PERSONAL) <= set(FEATURES)


# --- whether it was tested ---------------------------------------------------------------------------------------


def test_a_candidate_that_has_scored_nothing_is_not_called_tested():
    said = flat(card(version="b2b2b2b2b2b2"))
    assert "This very version not yet" in said


def test_without_a_promotion_the_first_model_is_told_and_was_tested_on_every_batch():
    text = card(version=HISTORY[0].version)
    assert "This very version on batches 02 to 05: 2,400 labelled customers" in flat(text)
    assert ["succeeds", "nothing: it is the first model"] in reading.table(text, "version")
    assert "0 led to a promotion" in flat(text)
    assert "all of it by the first model" in flat(text)


def test_the_paired_gain_of_one_model_over_itself_is_no_number():
    rows = reading.table(card(), "batch")[1:]
    assert {row[5] for row in rows} == {"same model"}


def test_simulated_customers_are_no_evidence_and_a_files_customers_are_the_files():
    assert "no evidence about real customers" in flat(card())
    assert "no evidence" not in flat(card(simulated=False))
    assert "a plain sample needs no correction" in flat(card(simulated=False))


def test_injected_drift_and_a_shuffled_order_are_told():
    assert "A concept drift was injected on purpose" in flat(card(drift="concept"))
    assert "the customers were shuffled" in flat(card(shuffled=True))


# --- histories of every length -----------------------------------------------------------------------------------


def test_one_later_batch_makes_a_card():
    text = card(HISTORY[:1])
    assert "Batch 02: 600 labelled customers" in flat(text)
    assert "How well is not known" in flat(text)


def test_a_newest_batch_without_labels_is_listed_and_the_one_before_is_shown():
    text = card(HISTORY[:3], unlabelled=HISTORY[3:])
    last = reading.table(text, "batch")[-1]
    assert last[0] == "05"
    assert last[2:] == ["600 (0 labelled)", "n/a", "n/a", "n/a", "n/a"]
    assert "The newest labelled batch, batch_04" in text


def test_a_history_without_any_label_makes_a_card_that_says_so():
    text = card((), unlabelled=HISTORY)
    assert flat(text).count("no batch after the reference has labels") == 3
    assert "None has enough labelled customers" in flat(text)


def test_a_newest_batch_of_one_class_makes_a_card():
    stayed = replace(HISTORY[3], labels=np.zeros(600))
    assert "The newest labelled batch, batch_05" in card([*HISTORY[:3], stayed])


def test_of_200_batches_the_ends_are_shown_and_where_the_rest_is():
    served = [batch(number, rows=40) for number in range(2, 202)]
    text = card(served)
    tables = [found for found in reading.tables(text) if found[0][0] == "batch"]
    assert [len(found) for found in tables] == [1 + 4 + 1 + 16] * 3
    assert flat(text).count("The 180 batches between:") == 3
    assert "Of 200 batches 200 raised a drift alarm" in flat(text)
    assert len(text) < 30_000


# --- slices ------------------------------------------------------------------------------------------------------


def test_a_level_with_markup_in_it_is_shown_and_does_nothing():
    columns = customers(600, credit=[MARKUP, "2-High"], areas=[MARKUP])
    text = card([batch(number, columns=columns) for number in range(2, 6)], reference=columns)
    assert "<script" not in text
    shown = {row[0] for row in reading.table(text, "credit class")}
    assert {"<script>alert('x')</script>|`a` # *b*", "2-High"} <= shown
    assert "<sc" in {row[0] for row in reading.table(text, "market")}


def test_a_markup_level_that_stands_out_is_shown_and_does_nothing():
    columns = customers(600, credit=[MARKUP, "2-High"])
    marked = columns["CreditRating"].codes == columns["CreditRating"].levels.index(MARKUP)
    served = [batch(number, columns=columns) for number in range(2, 6)]
    worse = [replace(part, labels=np.where(marked & (np.arange(600) % 3 == 0), 1.0, part.labels)) for part in served]
    rows = reading.table(card(worse, reference=columns), "slice")[1:]
    assert ("credit class: <script>alert('x')</script>|`a` # *b*", "left more than predicted") in [
        (row[0], row[1]) for row in rows
    ]


def test_where_nothing_stands_out_no_slice_is_named():
    text = card()
    assert "none stands out" in text
    assert "0 of " in text
    assert [found for found in reading.tables(text) if found[0][0] == "slice"] == []


def test_the_number_of_looks_is_told():
    s = subject()
    assert f"{s.sliced.looks} looks" in flat(model_card(s))


def test_few_customers_are_not_compared():
    text = card([batch(number, rows=60) for number in range(2, 6)])
    assert "No slice is compared with the rest" in flat(text)


# --- decisions ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("policy", POLICIES)
def test_the_rule_of_every_policy_is_told_with_its_limits(policy):
    text = card(policy=RETRAIN.model_copy(update={"policy": policy}))
    rule = text[text.index(f"Policy `{policy}`: promotes" if policy != "never" else "Policy `never`: never retrains") :]
    assert "{" not in rule


def test_a_decision_is_shown_with_its_reason_and_its_alarms():
    calm = record(HISTORY[0]) | {"alarms": []}
    few = record(HISTORY[1])
    few["drift"] |= {"verdict": "insufficient", "score": None, "worst": None}
    promoted = record(HISTORY[2], promoted="b2b2b2b2b2b2", reason="z 2.40 > 2.33 without an alarm")
    rows = reading.tables(card(records=[calm, few, promoted | {"alarms": ["batch", "churn rate"]}]))[-1]
    assert rows[1][1:] == ["none", "hold: z 0.10 ≤ 2.33 without an alarm", "Handsets", "0.20", "50%", "0.050"]
    assert rows[2][3:] == ["none", "n/a", "too few rows", "n/a"]
    assert rows[3][1:3] == ["features or score; churn rate", "promote: z 2.40 > 2.33 without an alarm"]


# --- the base rate -----------------------------------------------------------------------------------------------


def test_a_probability_under_another_base_rate_is_that_of_bayes():
    # 300 of 1,000 left, of whom a third scored so; of 700 who stayed, a tenth: 100 to 70.
    # With 20 of 1,000 it is 6.67 to 98.
    p = corrected(100 / 170, rate=0.3, true_rate=0.02)
    assert p == pytest.approx((20 / 3) / (20 / 3 + 98))


def test_the_correction_keeps_the_order():
    probabilities = np.linspace(0.01, 0.99, 50)
    assert (np.diff([corrected(p, rate=0.29, true_rate=0.02) for p in probabilities]) > 0).all()


# --- what is missing ---------------------------------------------------------------------------------------------


def test_a_version_that_is_not_there_is_told_with_the_command_that_brings_it(tmp_path, monkeypatch):
    monkeypatch.setattr(evaluate.paths, "RETRAINED", Path(tmp_path / "retrained"))
    monkeypatch.setattr(evaluate, "version_of", lambda folder: HISTORY[0].version)
    with pytest.raises(PipelineError, match="version b2b2 is not there; `dvc checkout"):
        evaluate._models([record(HISTORY[0], promoted="b2b2")])
