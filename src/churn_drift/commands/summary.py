"""What a run did, in a few sentences, and what to type next."""

import shlex
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from churn_drift import paths
from churn_drift.commands.table import Row
from churn_drift.production.inbox import ERROR, Taken
from churn_drift.publishing import address
from churn_drift.publishing.note import is_known, number
from churn_drift.terminal import say

MOST = 4
"""Commands that are proposed."""


@dataclass(frozen=True)
class Outcome:
    """What a run did.

    taken     what became of the files in the inbox
    ran       whether a result is another than before
    newest    the last batch's row of the timeline
    landed    whether that batch came by `churn-drift land` or the inbox
    verdict   of the policy against never retraining
    policy    its name
    entry     the promotion's line of the ledger
    champion  the version that serves now
    failed    steps after the pipeline that failed, by their names
    unkept    files that the run wrote and that differ from git's commit
    unpushed  whether there is a remote that may lack what the run made
    published whether MLflow has the run
    from_make whether make ran it, in the environment that make has set up
    """

    taken: Sequence[Taken]
    ran: bool
    newest: Row | None
    landed: bool
    verdict: str
    policy: str
    entry: Mapping[str, Any] | None
    champion: str | None
    candidate: str
    aws: bool
    failed: Collection[str]
    unkept: Sequence[str]
    unpushed: bool
    published: bool
    from_make: bool


@dataclass(frozen=True)
class Step:
    """A command and what it is for; where the command is long enough, it says so itself."""

    command: str
    what: str = ""


def show(outcome: Outcome) -> None:
    """Print what happened and what to do next."""
    say("\n".join(["", *happened(outcome)]))
    steps = list(islice(next_steps(outcome), MOST))
    wide = max((len(step.command) for step in steps if step.what), default=0)
    print("\nNext:")
    for step in steps:
        if step.what:
            say(f"  {step.command:<{wide}}  {step.what}", hang=wide + 2)
        else:
            print(f"  {step.command}")  # never broken: it is to be copied


def happened(outcome: Outcome) -> Iterator[str]:
    """One sentence a line."""
    counts = {
        what: sum(one.outcome == what for one in outcome.taken) for what in ("landed", "again", "refused", "waits")
    }
    words = {"landed": "taken in", "again": "known already", "refused": "refused", "waits": "left to wait"}
    if outcome.taken:
        said = ", ".join(f"{count} {words[what]}" for what, count in counts.items() if count)
        yield f"Files in the inbox: {said}."
    if not outcome.ran:
        yield "Every result is the same, byte for byte, as dvc.lock had it."
    if outcome.newest:
        yield from _of_batch(outcome.newest)
    yield _of_champion(outcome)


def next_steps(outcome: Outcome) -> Iterator[Step]:
    """What is worth typing now, the most urgent first."""
    yield from _mending(outcome)
    if outcome.from_make:
        yield Step(". .venv/bin/activate", "this shell then knows dvc and churn-drift")
    if outcome.unkept and outcome.verdict != "worse":
        folders = " ".join(sorted({Path(file).parts[0] for file in outcome.unkept}))
        message = f"Promote {outcome.entry['version']}" if outcome.entry else "Run the pipeline"
        yield Step(f"git add {folders} && git commit -m {shlex.quote(message)}")
    if outcome.unpushed:
        yield Step("churn-drift run --push" if outcome.aws else "dvc push", "data and models to the remote")
    if outcome.newest and outcome.landed and not is_known(outcome.newest["churn_rate"]):
        yield Step("churn-drift land FILE", f"labels of {outcome.newest['batch']}: CustomerID,Churn")
    if outcome.champion:
        yield Step("make serve", "the champion over HTTP")
    if paths.MODEL_CARD.exists():
        yield Step(f"less {paths.MODEL_CARD}", "what the model is good for, and where not")
    if outcome.published:
        yield _look_at_runs()
    yield Step("churn-drift land FILE", "the next batch of customers, or labels; then run again")


def _mending(outcome: Outcome) -> Iterator[Step]:
    for one in outcome.taken:
        if one.outcome == "refused":
            file = shlex.quote(f"{one.place}{ERROR}")
            yield Step(f"aws s3 cp {file} -" if one.place.startswith("s3://") else f"cat {file}", "why it was refused")
            break
    if outcome.verdict == "worse":
        other = "price" if outcome.policy == "evidence" else "evidence"
        yield Step(f"dvc exp run -S retrain.policy={other}", "the same history, another rule")
        yield Step("dvc metrics diff", "what it changes")
    remedies = {
        "publishing": Step("churn-drift publish", "to MLflow, when it answers"),
        "pushing": Step("churn-drift run --push", "when the remote answers"),
        "committing": Step("git status --short", "what keeps git from the commit"),
        "rolling out": Step("churn-drift deploy", "the champion to its endpoint"),
    }
    yield from (remedies[what] for what in remedies if what in outcome.failed)


def _of_batch(row: Row) -> Iterator[str]:
    name = str(row["batch"])
    if row["verdict"] == "drifted":
        worst = f", {row['worst_feature']} most" if row["worst_feature"] else ""
        yield f"{name} has drifted: {number(row['drifted_share'], '.0%')} of the features{worst}."
    else:
        yield (
            f"{name} has too few rows to tell drift."
            if row["verdict"] == "insufficient"
            else f"{name} has not drifted."
        )
    yield f"Decision after it: {row['decision']}, {row['reason']}."


def _of_champion(outcome: Outcome) -> str:
    candidate, champion = outcome.candidate, outcome.champion
    if outcome.entry:
        replaced = outcome.entry["replaces"] or "nothing"
        return f"Promoted {outcome.entry['version']} to {paths.CHAMPION} (it replaces {replaced})."
    if outcome.verdict == "worse":
        return f"Champion {champion or 'none'} stays."
    if champion == candidate:
        return f"Champion {champion}: the candidate is what serves already."
    return f"Champion {champion or 'none'} stays; candidate {candidate} was not promoted or was champion before."


def _look_at_runs() -> Step:
    what = "runs, metrics and models in MLflow"
    if address.uri() == address.DEFAULT:
        return Step("make ui", what)
    if address.file():
        return Step(f"mlflow ui --backend-store-uri {shlex.quote(address.shown())}", what)
    return Step(f"python -m webbrowser {shlex.quote(address.shown())}", what)
