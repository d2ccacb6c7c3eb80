"""The challenger beside the champion: who it is, what it scores, and that it never answers."""

import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from churn_drift import paths
from churn_drift.errors import ModelError
from churn_drift.model.bundle import Bundle, save
from churn_drift.model.inference import columns_of_records
from churn_drift.serving.contract import typed
from churn_drift.serving.model import ServedModel
from churn_drift.serving.seat import Seat
from churn_drift.serving.shadow import Shadow, drawn
from churn_drift.serving.watcher import Watcher

CUSTOMERS = [
    typed({"MonthsInService": months, "Occupation": kind}, zero_is_missing=True)[0]
    for months in (3, 30)
    for kind in ("Crafts", "Student")
]


class Place:
    """A champion that serves and a candidate beside it, in an empty working directory."""

    def __init__(self, served: ServedModel) -> None:
        self.champion = Seat(served)
        self.counts: Counter[str] = Counter()
        self.shadow = Shadow(self.champion, share=1.0, counted=self.count)
        self.watcher = Watcher(
            self.shadow.seat,
            patience=0,
            told=lambda _: None,
            role="candidate",
            mark=self.shadow.mark,
            load=self.shadow.load,
        )

    def count(self, version: str, alike: int, otherwise: int) -> None:
        self.counts.update({version: alike + otherwise, "alike": alike})


@pytest.fixture
def place(served: ServedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    monkeypatch.chdir(tmp_path)
    return Place(served)


def test_a_candidate_that_differs_scores_beside_the_champion(place, other: Bundle):
    version = save(other, paths.CANDIDATE)
    place.watcher.look()
    found = place.shadow.score("id", CUSTOMERS, [True, False, True, False])
    itself = ServedModel.of_folder(paths.CANDIDATE)
    assert found == (version, [answer.probability for answer in itself.score(CUSTOMERS)])
    alike = sum(a.decision == d for a, d in zip(itself.score(CUSTOMERS), [True, False, True, False], strict=True))
    assert place.counts == {version: 4, "alike": alike}


def test_a_batch_of_columns_is_scored_as_its_records_are(place, other: Bundle):
    save(other, paths.CANDIDATE)
    place.watcher.look()
    as_records = place.shadow.score("id", CUSTOMERS, [True] * 4)
    as_columns = place.shadow.score("id", columns_of_records(CUSTOMERS), np.ones(4, dtype=bool))
    assert as_columns == as_records


def test_where_the_candidate_is_the_champion_nothing_is_scored_twice(place, bundle: Bundle):
    save(bundle, paths.CANDIDATE)
    place.watcher.look()
    assert place.shadow.challenger is None
    assert place.shadow.score("id", CUSTOMERS, [True] * 4) is None


def test_where_there_is_no_candidate_there_is_no_alarm(place):
    place.watcher.look()
    assert (place.shadow.challenger, place.shadow.seat.alarm) == (None, None)


def test_where_there_is_no_candidate_a_new_champion_is_not_scored_beside_by_the_one_before(place, other: Bundle):
    place.watcher.look()
    save(other, paths.CHAMPION)
    place.champion.model = ServedModel.of_folder(paths.CHAMPION)
    place.watcher.look()
    assert place.shadow.challenger is None


def test_a_candidate_that_is_promoted_ends_the_shadow(place, other: Bundle):
    save(other, paths.CANDIDATE)
    place.watcher.look()
    place.champion.model = place.shadow.challenger
    assert place.shadow.score("id", CUSTOMERS, [True] * 4) is None


def test_the_withdrawn_candidate_is_scored_again_after_a_rollback(place, served: ServedModel, other: Bundle):
    save(other, paths.CANDIDATE)
    place.champion.model = ServedModel.of_folder(paths.CANDIDATE)
    place.watcher.look()
    assert place.shadow.challenger is None
    place.champion.model = served
    place.watcher.look()
    assert place.shadow.challenger is not None


def test_an_altered_candidate_is_refused_and_the_champion_answers_alone(place, other: Bundle):
    save(other, paths.CANDIDATE)
    (paths.CANDIDATE / "facts.json").write_text("{}")
    place.watcher.look()
    assert place.shadow.challenger is None
    assert "facts.json was altered" in str(place.shadow.seat.alarm)


def test_a_candidate_that_reads_the_code_0_otherwise_is_refused_with_the_remedy(place, other: Bundle):
    save(replace(other, zero_is_missing=False), paths.CANDIDATE)
    with pytest.raises(ModelError, match="reads the code 0 otherwise than the champion"):
        place.shadow.load()


def test_a_candidate_that_is_removed_ends_the_shadow(place, other: Bundle):
    save(other, paths.CANDIDATE)
    place.watcher.look()
    shutil.rmtree(paths.CANDIDATE)
    place.watcher.look()
    assert place.shadow.challenger is None


@given(share=st.floats(0, 1), ids=st.lists(st.text(max_size=20), max_size=20))
def test_a_request_that_is_in_a_share_is_in_every_larger_one(share, ids):
    assert all(drawn(name, share=(1 + share) / 2) for name in ids if drawn(name, share=share))


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 1.0])
def test_the_share_is_what_it_says(share):
    names = [f"{number:016x}" for number in range(20_000)]
    found = sum(drawn(name, share=share) for name in names) / len(names)
    assert abs(found - share) <= 4 * (share * (1 - share) / len(names)) ** 0.5
