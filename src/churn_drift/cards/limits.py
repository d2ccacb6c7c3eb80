"""What speaks against the model, first of all the base rate."""

from churn_drift.cards.subject import Subject

TRUE_RATE = 0.02
"""About the monthly churn rate behind Cell2Cell's resampled file (DESIGN, 5): the example of the prior correction."""


def limits(s: Subject) -> str:
    """The section of limits."""
    rate = s.bundle.facts["churn_rate"]
    moved = corrected(s.bundle.threshold, rate=rate, true_rate=TRUE_RATE)
    late = "after the scores" if s.label_delay == 0 else f"{s.label_delay} batch{'es' * (s.label_delay > 1)} late"
    return f"""\
## Limits

**The base rate.** The probabilities are calibrated to the training window's churn rate, r = {rate:.4f}. {_resampled(s)}
Where t is the true rate over the same two months, and leavers and stayers were each sampled at random, a probability p
becomes

    a / (a + b)    with    a = p * t / r    and    b = (1 - p) * (1 - t) / (1 - r)

(Elkan 2001; Saerens et al. 2002). That changes no order and no AUC. The threshold moves along: at t = {TRUE_RATE:g},
{s.bundle.threshold:.4f} becomes {moved:.4f}, which flags the same customers with the same recall and a far lower
precision. Choose it anew by what an offer costs and what a customer is worth.

- **Time is simulated.** The data has no time column; {_time(s)}. How fast a model ages here says little about months.
- **Labels come {late}.** Where customers stay alike and only their reasons to leave change, nobody sees it before.
- **The features were chosen** on the real sample, with the later batches' figures in view
  (`src/churn_drift/model/features.py`): on Cell2Cell, and on customers simulated after it, they flatter a little.
- **The threshold** maximises F1. No cost and no budget is in it.
- **One path.** One order of one set of customers: intervals tell the error of sampling customers, not that of another
  history."""


def corrected(probability: float, *, rate: float, true_rate: float) -> float:
    """A probability that was calibrated to one churn rate, for another one. Source: Elkan 2001, theorem 2.

    >>> corrected(0.5, rate=0.5, true_rate=0.02)
    0.02
    >>> round(corrected(0.3, rate=0.3, true_rate=0.3), 6)
    0.3
    """
    a, b = probability * true_rate / rate, (1 - probability) * (1 - true_rate) / (1 - rate)
    return round(a / (a + b), 12)


def _resampled(s: Subject) -> str:
    if s.simulated:
        return (
            "The simulator copies it from Cell2Cell, where it comes from resampling: the monthly rate behind that file "
            "is about 2 %."
        )
    return (
        "If the file is Cell2Cell, that rate comes from resampling: the monthly rate behind it is about 2 %. It is the "
        "same with any file in which leavers were over-sampled; a plain sample needs no correction."
    )


def _time(s: Subject) -> str:
    if s.shuffled:
        return "and here the customers were shuffled, so that nothing drifts"
    return "the order in which customers were acquired stands for it"
