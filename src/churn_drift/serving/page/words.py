"""The page's first sentences: how the champion does, for somebody who has ten seconds."""

from collections.abc import Iterator

from churn_drift.serving.page.reports import Batch, Timeline


def sentences(timeline: Timeline) -> Iterator[str]:
    """What the run found, a sentence each; what cannot be told is left out or said to be open."""
    newest, judged = timeline.batches[-1], timeline.newest_judged
    yield _of_drift(newest)
    if judged is None:
        yield "No batch has labels yet, so how well it ranks cannot be told."
    else:
        yield _of_skill(judged)
    yield _of_policy(timeline)


def _of_drift(batch: Batch) -> str:
    if batch.verdict == "insufficient":
        return f"Batch {batch.name}, the newest, has too few customers to tell drift."
    if batch.verdict != "drifted":
        return f"The customers of batch {batch.name}, the newest, are like those that its model was fitted on."
    worst = f", {batch.worst} most" if batch.worst else ""
    return (
        f"Batch {batch.name}, the newest, has drifted: {percent(batch.drifted)} of its features are no longer "
        f"distributed as its model knew them{worst}."
    )


def _of_skill(batch: Batch) -> str:
    same = batch.never == batch.auc
    never = "" if same or batch.never is None else f"; the first model, kept until now, reaches {score(batch.never)}"
    return (
        f"On batch {batch.name}, the newest with labels, the model that served then ranked who leaves with an AUC of "
        f"{score(batch.auc)} ({between(batch)}){never}."
    )


def _of_policy(timeline: Timeline) -> str:
    summary, batches = timeline.summary, len(timeline.batches)
    promotions = summary.get("promotions", 0)
    times = {0: "never", 1: "once", 2: "twice"}.get(promotions, f"{promotions} times")
    told = f"In {batches} batch{'' if batches == 1 else 'es'} the policy {summary.get('policy', '')} promoted {times}"
    gain, low, high = (summary.get(name) for name in ("gain", "gain_low", "gain_high"))
    if gain is None or low is None or high is None:
        return f"{told}; what that gained cannot be told yet."
    verdict = {"better": "better than", "worse": "worse than"}.get(
        summary.get("verdict", ""), "not to be told apart from"
    )
    return f"{told} and gained {gain:+.3f} in AUC [{low:+.3f}, {high:+.3f}]: {verdict} never retraining."


def percent(share: float | None) -> str:
    """
    >>> percent(0.188679), percent(None)
    ('19 %', 'n/a')
    """
    return "n/a" if share is None else f"{share:.0%}".replace("%", " %")


def score(value: float | None) -> str:
    """An AUC, as the README writes it.

    >>> score(0.6476), score(None)
    ('.648', 'n/a')
    """
    return "n/a" if value is None else f"{value:.3f}".removeprefix("0")


def between(batch: Batch) -> str:
    """The interval of its AUC."""
    return f"{score(batch.low)} to {score(batch.high)}"
