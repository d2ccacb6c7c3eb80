"""What people are told, word by word, and that the same reports tell the same."""

import pytest

from churn_drift.errors import CellError, DataError, PipelineError
from churn_drift.ports import Message
from churn_drift.production import messages, troubles
from churn_drift.production.inbox import Taken

DRIFTED = {
    "batch": "batch_10",
    "champion": "0911c00f5e5b",
    "drift": {
        "verdict": "drifted",
        "rows_batch": 5000,
        "share_drifted": 0.188679,
        "drifted_features": ["MonthsInService", "Handsets", "CreditRating", "AgeHH1"],
        "features": [
            {"name": name, "psi": psi}
            for name, psi in (("MonthsInService", 5.987), ("Handsets", 0.4), ("CreditRating", 1.8), ("AgeHH1", 0.1))
        ],
    },
    "alarms": ["batch"],
    "decision": "hold",
    "reason": "z 0.41 <= 1 under a drift alarm",
}
ROW = {"batch": "batch_10", "auc_policy": "0.64884"}


def of_batch(**changes) -> list[Message]:
    return list(messages.of_batch({**DRIFTED, **changes}, ROW, content="0f6969722ae0"))


def test_a_drifted_batch_whose_champion_stays_tells_of_both():
    drift, hold = of_batch()
    assert drift.text() == (
        "batch_10 has drifted: 19% of the features by weight, MonthsInService most\n"
        "\n"
        "batch: batch_10, 5,000 customers\n"
        "share of features: 19%\n"
        "features: MonthsInService (PSI 5.99), Handsets (PSI 0.40), CreditRating (PSI 1.80) and 1 more\n"
        "AUC: 0.6488\n"
        "champion: 0911c00f5e5b\n"
        "decision: hold: z 0.41 <= 1 under a drift alarm\n"
        "see: reports/evaluate/timeline.csv"
    )
    assert hold.title == "Champion 0911c00f5e5b stays after batch_10: z 0.41 <= 1 under a drift alarm"
    assert (drift.kind, hold.kind) == ("drift", "hold")


def test_a_batch_without_labels_yet_has_no_auc_to_tell():
    (drift, _) = messages.of_batch(DRIFTED, {**ROW, "auc_policy": "NA"}, content="0")
    assert "AUC" not in drift.facts


def test_a_promotion_is_no_hold_and_a_stable_batch_without_alarm_is_no_news():
    assert [message.kind for message in of_batch(decision="promote")] == ["drift"]
    assert of_batch(drift={**DRIFTED["drift"], "verdict": "stable"}, alarms=[]) == []


def test_a_batch_whose_churn_rate_alone_has_moved_is_a_hold_without_drift():
    (hold,) = of_batch(drift={**DRIFTED["drift"], "verdict": "stable"}, alarms=["churn rate"])
    assert hold.facts["alarm"] == "churn rate"


def test_keys_are_made_of_content():
    assert [message.key for message in of_batch()] == [message.key for message in of_batch()]
    first, second = of_batch()[1].key, of_batch(reason="z 0.40 <= 1 under a drift alarm")[1].key
    assert first != second
    assert of_batch()[0].key == "drift/batch_10/0f6969722ae0"


def test_a_promotion_tells_what_it_replaces_and_what_it_gains():
    entry = {
        "version": "0911c00f5e5b",
        "replaces": "32bd93a98762",
        "reason": "z 2.39 > 1",
        "metrics": {"auc_policy": 0.6488, "auc_never": 0.6195, "gain": 0.0293},
    }
    told = messages.of_promotion(entry)
    assert told.key == "promotion/0911c00f5e5b"
    assert list(told.facts.values()) == [
        "0911c00f5e5b",
        "32bd93a98762",
        "z 2.39 > 1",
        "0.6488, never retraining 0.6195",
        "+0.0293",
    ]


def test_a_policy_that_is_worse_than_never_is_a_hold():
    summary = {"candidate": "0911c00f5e5b", "gain": -0.02, "gain_high": -0.01}
    told = messages.of_worse(summary, champion=None)
    assert (told.kind, told.key) == ("hold", "hold/worse/0911c00f5e5b")
    assert told.title == "Champion none stays: the policy is worse than never retraining"


def test_a_refused_file_tells_where_it_lies_and_the_same_bytes_are_told_once():
    one = Taken("a\nb.csv", "refused", "row 7: a cell", "data/quarantine/a.csv", digest="0123456789abcdef")
    told = messages.of_refusal(one)
    assert told.title == r"a\x0ab.csv was refused: row 7: a cell"
    assert told.key == r"failure/a\x0ab.csv/0123456789ab"
    assert told.link == "data/quarantine/a.csv.error.txt"


@pytest.mark.parametrize("error", [DataError("a.csv: 'Mrs Miller'"), CellError("a", row=1, column="b", fault="Miller")])
def test_an_error_about_data_is_told_without_what_it_quotes(error):
    assert messages.told(error) == "its input was refused; the run's own output says why"


def test_other_errors_are_told_in_one_line():
    assert messages.told(PipelineError("no\n  room")) == "no room"
    assert messages.told(KeyError()) == "KeyError"


# Troubles


@pytest.fixture
def told(tmp_path, monkeypatch) -> list[Message]:
    """The messages that are sent, in order."""
    monkeypatch.chdir(tmp_path)
    return []


def test_a_failure_is_the_same_event_while_it_lasts_and_another_one_when_it_changes(told):
    for error in ("no disk", "no disk", "no net"):
        troubles.failed("pushing", error, told.append)
    first, again, other = told
    assert first.key == again.key != other.key
    assert other.facts == first.facts


def test_a_recovery_follows_a_failure_once_and_names_it(told):
    troubles.works("pushing", told.append)
    troubles.failed("pushing", "no disk", told.append)
    troubles.failed("publishing", "no store", told.append)
    troubles.works("pushing", told.append)
    troubles.works("pushing", told.append)
    assert [message.kind for message in told] == ["failure", "failure", "recovery"]
    assert told[2].title == "pushing works again"
    assert told[2].facts["with"] == "no disk"


def test_the_next_failure_after_a_recovery_is_a_new_event(told, monkeypatch):
    troubles.failed("pushing", "no disk", told.append)
    troubles.works("pushing", told.append)
    (troubles.FILE.parent / "troubles.json").write_text('{"pushing": {"since": "later", "error": "no disk"}}')
    troubles.failed("pushing", "no disk", told.append)
    assert told[0].key != told[2].key


def test_a_memory_that_was_cut_off_is_none(told):
    troubles.failed("pushing", "no disk", told.append)
    troubles.FILE.write_text('{"pushing": {"sin')
    troubles.works("pushing", told.append)
    assert [message.kind for message in told] == ["failure"]
