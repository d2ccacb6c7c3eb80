"""The model card: what a run's candidate is, what it is for, how well it does for whom, what speaks against it.

Sections after Mitchell et al., Model Cards for Model Reporting, 2019. Every figure comes from the run.
"""

from churn_drift import schema
from churn_drift.cards.decisions import decisions
from churn_drift.cards.limits import limits
from churn_drift.cards.markdown import flowed, interval, number, table
from churn_drift.cards.quality import probabilities, ranking
from churn_drift.cards.slice_tables import slices, stands_out
from churn_drift.cards.subject import Subject, batches, reason, same_model
from churn_drift.model.features import CATEGORIES, ENGINEERED, LEFT_OUT
from churn_drift.policy.comparison import headline

PERSONAL = (
    "AgeHH1",
    "AgeHH2",
    "ChildrenInHH",
    "Homeownership",
    "IncomeGroup",
    "CreditRating",
    "PrizmCode",
    "Occupation",
    "MaritalStatus",
)
"""Columns that say who a customer is rather than how he uses the network."""


def model_card(subject: Subject) -> str:
    """The whole card as Markdown."""
    sections = [
        *(_title, _short, _model, _purpose),
        *(ranking, probabilities, slices, decisions),
        *(limits, _get, _sources),
    ]
    return flowed(section(subject) for section in sections)


def _title(s: Subject) -> str:
    return f"""\
# Model card: churn model {s.version}

Written by the stage `evaluate` from one run of the pipeline; every figure is that run's. The customers are described in
the [data sheet](data_sheet.md)."""


def _short(s: Subject) -> str:
    return f"""\
## In short

- **What it does.** It ranks customers of a mobile operator by the risk that they leave within two months. {_quality(s)}
- **Whether it was tested.** {_tested(s)}
- **Its threshold.** {_threshold(s)}
- **Whose customers.** {_whose(s)}
- **Base rate.** Its probabilities fit a churn rate of {s.bundle.facts["churn_rate"]:.1%} and no other: before they are
  multiplied with money they need the correction under [Limits](#limits).
- **Slices.** {_slices_in_short(s)}"""


def _quality(s: Subject) -> str:
    compared = s.comparison
    judged = [b.batch for b in headline(compared.batches) if b.difference.standard_error is not None]
    if not judged:
        return "How well is not known: no batch after the reference has labels that can be judged."
    mean = f"Mean AUC {interval(compared.policy)} over {batches(judged)}, where 0.5 is chance"
    if same_model(compared.gain):
        return f"{mean}; all of it by the first model, as if nothing had ever been retrained."
    gain = interval(compared.gain, "+.4f")
    return f"{mean}; paired gain over never retraining {gain}: {compared.verdict}."


def _threshold(s: Subject) -> str:
    everybody = s.sliced.everybody
    said = f"{s.bundle.threshold:.4f}, the best F1 in training; no cost is in it."
    if everybody.flagged.value is None:
        return said
    return (
        f"{said} Thresholds made so flagged {everybody.flagged.value:.0%} of the customers, of whom "
        f"{number(everybody.precision.value, '.0%')} left. A campaign of fixed size takes the highest scores instead; "
        "the lift below is that of the top tenth."
    )


def _tested(s: Subject) -> str:
    own = [part for part in s.served if part.version == s.version]
    if own:
        customers = sum(len(part.labels) for part in own)
        named = batches([part.batch for part in own])
        return f"This very version on {named}: {customers:,} labelled customers whom it was not fitted on."
    return (
        "This very version not yet: since it was promoted no labelled batch has come. The figures are of the champions "
        "before it, made by the same rule, each on batches after its own; they hold for this one as far as the next "
        "customers are like those."
    )


def _whose(s: Subject) -> str:
    drift = "" if s.drift == "none" else f" A {s.drift} drift was injected on purpose."
    if s.simulated:
        return (
            "Simulated ones, after the statistics of a US operator's file: the figures show what the pipeline does and "
            f"are no evidence about real customers.{drift}"
        )
    return f"Those of the file that was given to the pipeline.{drift}"


def _slices_in_short(s: Subject) -> str:
    if not s.sliced.looks:
        return "None has enough labelled customers to be compared with the rest."
    sure = sum(stands_out(p, s) for figures in s.sliced.slices for p in (figures.auc_p, figures.calibration_p))
    return (
        f"{sure} of {s.sliced.looks} comparisons of a slice with all other customers stand out: see "
        "[By slice](#by-slice). No more than that is claimed about fairness."
    )


def _model(s: Subject) -> str:
    facts, bundle, train = s.bundle.facts, s.bundle, s.bundle.facts["train"]
    engineered = [name for name in bundle.features if name in ENGINEERED]
    categories = [name for name in bundle.features if name in CATEGORIES]
    raw = len(bundle.features) - len(engineered) - len(categories)
    after = ", ".join(column.name for column in schema.COLUMNS if column.after_risk)
    rows = [
        ("version", f"`{s.version}`, the first 12 digits of the sha256 over its files"),
        ("succeeds", f"`{facts['parent']}`" if facts["parent"] else "nothing: it is the first model"),
        ("made because", reason(facts["reason"])),
        ("fitted on", f"{facts['rows']:,} labelled customers of {batches(facts['batches'])}"),
        ("churn rate there", f"{facts['churn_rate']:.4f}"),
        (
            "kind",
            f"{train['trees']} gradient-boosted trees (XGBoost) of depth {train['max_depth']} at most, learning rate "
            f"{train['learning_rate']:g}, min_child_weight {train['min_child_weight']:g}, lambda "
            f"{train['reg_lambda']:g}; a tree sees {train['subsample']:.0%} of the rows and "
            f"{train['colsample_bytree']:.0%} of the columns",
        ),
        (
            "probability",
            f"Platt scaling, fitted on {train['folds']}-fold out-of-fold log odds: slope "
            f"{bundle.calibration.slope:.3f}, intercept {bundle.calibration.intercept:+.3f}",
        ),
        ("threshold", f"{bundle.threshold:.4f}, the best F1 on the same out-of-fold probabilities"),
        (
            "features",
            f"{len(bundle.features)}: {raw} numbers and {len(categories)} categories as they come, {len(engineered)} "
            f"made of the last bill ({', '.join(engineered)})",
        ),
        (
            "left out",
            f"{schema.ID}: it is the order of arrival. {after}: known only once the risk has shown. "
            f"{', '.join(LEFT_OUT)}: some 700 codes that add nothing (`src/churn_drift/model/features.py`)",
        ),
        (
            "missing and new values",
            "missing goes its own way at each split; a level unseen in training counts as missing",
        ),
        ("data, params", f"`{facts['data']}`, `{facts['params']}`: digests of its batches and of its settings"),
        ("files", "XGBoost's `model.ubj` and JSON under a sha256 manifest, no pickle"),
        ("licence", "code MIT; a model of real customers is under the terms of their [data](data_sheet.md#licence)"),
    ]
    return f"## The model\n\n{table(rows[0], rows[1:])}"


def _purpose(s: Subject) -> str:
    personal = ", ".join(name for name in PERSONAL if name in s.bundle.features)
    return f"""\
## What it is for, and what not

For: choosing which customers of *this* operator get one of a limited number of retention offers; studying how a model
ages and when to retrain it.

Not for:

- decisions that harm whom they meet (credit, prices, the end of a contract), and decisions about one person that nobody
  looks at: [precision](#probabilities-and-threshold) says how many of the flagged stay;
- another operator, country or year without labels of its own;
- what an offer *changes*: the model knows who leaves, not who can be kept. That takes a trial with a control group;
- sums of money, before the probabilities are corrected for the true churn rate.

It uses what describes persons: {personal}. Whether you may, for your purpose and where you are, is yours to find out.
Sex, origin and health are not in the data; other columns may stand in for them."""


def _get(s: Subject) -> str:
    return f"""\
## Get it

```sh
dvc repro                             # makes it again, the same bytes
dvc pull models/candidate             # or fetches it, where the remote has it
churn-drift models show {s.version}
churn-drift models list               # which version serves, since when
churn-drift run                       # promotes it where it is new
make serve                            # the champion over HTTP
```

This is the candidate of the run; what serves is pinned in `models/champion.dvc`."""


def _sources(s: Subject) -> str:
    return """\
## References

- M. Mitchell et al., Model Cards for Model Reporting, FAT\\* 2019: the sections of this card.
- E. DeLong, D. DeLong, D. Clarke-Pearson, Biometrics 44, 1988: intervals and paired tests of AUCs.
- S. Holm, Scandinavian Journal of Statistics 6, 1979: the correction for the number of looks.
- C. Elkan, The Foundations of Cost-Sensitive Learning, IJCAI 2001; M. Saerens, P. Latinne, C. Decaestecker, Neural
  Computation 14, 2002: probabilities under another base rate."""
