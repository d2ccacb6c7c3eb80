"""What a run says at its end: what happened, and what to type next."""

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from churn_drift import paths
from churn_drift.commands import summary
from churn_drift.commands.summary import Outcome, happened, next_steps
from churn_drift.commands.table import show
from churn_drift.production.inbox import Taken
from tests.contracts.documents import faults

ROW = {
    "batch": "batch_09",
    "rows": "1200000",
    "churn_rate": "0.191",
    "verdict": "drifted",
    "drifted_share": "0.62",
    "worst_feature": "PercChangeMinutesOfTheLastMonths",
    "auc_never": "0.665",
    "auc_policy": "0.704",
    "auc_policy_low": "0.684",
    "auc_policy_high": "0.722",
    "version": "a48e17ac0ffe",
    "decision": "hold",
    "reason": "z 0.81 <= 1 under a drift alarm; about 2,600 more labels would settle it",
}
UNKNOWN = ("churn_rate", "auc_never", "auc_policy", "auc_policy_low", "auc_policy_high")
UNLABELLED = {**ROW, **dict.fromkeys(UNKNOWN, "NA")}
SUMMARY = {
    "policy": "evidence",
    "auc_policy": 0.6488,
    "promotions": 7,
    "auc_never": 0.6195,
    "gain": 0.0293,
    "gain_low": 0.0249,
    "gain_high": 0.0336,
    "verdict": "better",
}
ENTRY = {"version": "0911c00f5e5b", "replaces": None}
IDLE = Outcome(
    taken=[],
    ran=False,
    newest=ROW,
    landed=False,
    verdict="better",
    policy="evidence",
    entry=None,
    champion="0911c00f5e5b",
    candidate="0911c00f5e5b",
    aws=False,
    failed=[],
    unkept=[],
    unpushed=False,
    published=True,
    from_make=False,
)
WRITTEN = ["dvc.lock", "models/ledger.jsonl", "reports/evaluate/metrics.json", "data/landed/batches.dvc"]
PROMOTED = replace(IDLE, ran=True, entry=ENTRY, unkept=WRITTEN, unpushed=True)
REFUSED = Taken("bad.csv", "refused", "no CSV", "data/quarantine/bad.csv")
OUTCOMES = {
    "nothing changed": IDLE,
    "promoted": PROMOTED,
    "held": replace(IDLE, ran=True, landed=True, newest=UNLABELLED, candidate="a48e17ac0ffe", unkept=WRITTEN[:1]),
    "worse than never": replace(PROMOTED, verdict="worse", entry=None),
    "worse, by another policy": replace(PROMOTED, verdict="worse", entry=None, policy="price"),
    "refused": replace(PROMOTED, taken=[Taken("a.csv", "landed", "600 customers"), REFUSED]),
    "no store": replace(PROMOTED, failed=["publishing"], published=False),
    "nothing worked": replace(PROMOTED, failed=["publishing", "pushing", "committing", "rolling out"]),
    "on AWS": replace(PROMOTED, aws=True),
    "by make": replace(PROMOTED, from_make=True),
    "no champion, no batch": replace(IDLE, newest=None, champion=None),
}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository without a model card, in a terminal of 80 columns."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return tmp_path


def _commands(outcome: Outcome) -> list[str]:
    return [step.command for step in next_steps(outcome)]


@pytest.mark.parametrize("outcome", OUTCOMES.values(), ids=OUTCOMES)
def test_every_command_it_proposes_can_be_typed(outcome: Outcome, here: Path) -> None:
    (here / paths.MODEL_CARD).parent.mkdir()
    (here / paths.MODEL_CARD).touch()
    block = "\n".join(_commands(outcome))
    assert faults(f"```sh\n{block}\n```\n") == []


@pytest.mark.parametrize("outcome", OUTCOMES.values(), ids=OUTCOMES)
def test_it_proposes_four_commands_at_most_that_fit_in_80_columns(
    outcome: Outcome, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    summary.show(outcome)
    said = capsys.readouterr().out.splitlines()
    proposed = said[said.index("Next:") + 1 :]
    assert [line for line in proposed if len(line) > 80] == []
    assert 1 <= len(proposed) <= 4


def test_where_nothing_changed_it_says_so_and_proposes_to_serve(here: Path) -> None:
    assert next(happened(IDLE)) == "Every result is the same, byte for byte, as dvc.lock had it."
    assert list(happened(IDLE))[-1] == "Champion 0911c00f5e5b: the candidate is what serves already."
    assert _commands(IDLE) == ["make serve", "make ui", "churn-drift land FILE"]


def test_a_promotion_is_to_be_committed_with_all_that_the_run_wrote(here: Path) -> None:
    assert "Promoted 0911c00f5e5b to models/champion (it replaces nothing)." in happened(PROMOTED)
    assert _commands(PROMOTED)[:3] == [
        "git add data dvc.lock models reports && git commit -m 'Promote 0911c00f5e5b'",
        "dvc push",
        "make serve",
    ]


def test_a_hold_names_its_reason(here: Path) -> None:
    assert f"Decision after it: hold, {ROW['reason']}." in happened(OUTCOMES["held"])


def test_labels_are_asked_for_of_a_batch_that_landed_without(here: Path) -> None:
    held = OUTCOMES["held"]
    assert _commands(held)[1] == "churn-drift land FILE"
    assert _commands(replace(held, newest=ROW))[1] == "make serve"
    assert _commands(replace(held, landed=False))[1] == "make serve"


def test_what_is_unknown_without_labels_is_one_word(capsys: pytest.CaptureFixture[str]) -> None:
    show([UNLABELLED], SUMMARY)
    assert " n/a  n/a   n/a a48e17a hold\n" in capsys.readouterr().out


def test_a_policy_worse_than_never_is_not_to_be_committed_but_another_to_be_tried(here: Path) -> None:
    worse = OUTCOMES["worse than never"]
    assert list(happened(worse))[-1] == "Champion 0911c00f5e5b stays."
    assert _commands(worse)[:2] == ["dvc exp run -S retrain.policy=price", "dvc metrics diff"]
    assert not any(command.startswith("git add") for command in _commands(worse))
    assert _commands(OUTCOMES["worse, by another policy"])[0] == "dvc exp run -S retrain.policy=evidence"


def test_a_refused_file_comes_first_with_the_place_of_its_reason(here: Path) -> None:
    refused = OUTCOMES["refused"]
    assert next(happened(refused)) == "Files in the inbox: 1 taken in, 1 refused."
    assert _commands(refused)[0] == "cat data/quarantine/bad.csv.error.txt"


def test_a_store_that_does_not_answer_is_to_be_asked_later(here: Path) -> None:
    assert _commands(OUTCOMES["no store"])[0] == "churn-drift publish"
    assert "make ui" not in _commands(OUTCOMES["no store"])


def test_the_model_card_is_proposed_where_there_is_one(here: Path) -> None:
    assert "less reports/model_card.md" not in _commands(IDLE)
    (here / paths.MODEL_CARD).parent.mkdir()
    (here / paths.MODEL_CARD).touch()
    assert "less reports/model_card.md" in _commands(IDLE)


def test_another_store_of_mlflow_is_shown_by_its_own_command(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://me:secret@host:5000")
    assert "python -m webbrowser http://me@host:5000" in _commands(IDLE)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:////var/runs.db")
    assert "mlflow ui --backend-store-uri sqlite:////var/runs.db" in _commands(IDLE)


def test_who_ran_make_is_told_how_the_shell_finds_the_commands(here: Path) -> None:
    assert _commands(OUTCOMES["by make"])[0] == ". .venv/bin/activate"


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Makes stdout one of so many columns, without colours."""

    def make(columns: int) -> None:
        monkeypatch.setenv("NO_COLOR", "1")
        monkeypatch.setenv("COLUMNS", str(columns))
        monkeypatch.setattr(sys.stdout, "isatty", lambda: True)

    return make


@pytest.mark.parametrize("columns", [60, 80, 100, 140])
def test_the_table_cuts_a_long_name_and_never_a_number(
    columns: int, terminal: Callable[[int], None], capsys: pytest.CaptureFixture[str]
) -> None:
    terminal(columns)
    show([ROW, {**ROW, "batch": "batch_100"}], SUMMARY)
    lines = capsys.readouterr().out.splitlines()
    for number in ("1200000 0.191   62% ", " 0.704 0.684-0.722 0.665 a48e17a hold"):
        assert sum(number in line for line in lines) == 2
    assert max(map(len, lines)) <= max(80, columns)
    assert [line for line in lines if line.endswith(" ")] == []


def test_the_reason_follows_a_break_below_the_decision(
    terminal: Callable[[int], None], capsys: pytest.CaptureFixture[str]
) -> None:
    terminal(80)
    show([ROW], SUMMARY)
    lines = capsys.readouterr().out.splitlines()
    start = lines.index("09 hold: z 0.81 <= 1 under a drift alarm; about 2,600 more labels would settle")
    assert lines[start + 1] == "   it"
