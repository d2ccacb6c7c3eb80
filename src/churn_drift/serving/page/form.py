"""The fields of the form that scores one customer, made from the schema."""

from collections.abc import Sequence
from dataclasses import dataclass

from churn_drift import schema
from churn_drift.schema import Column
from churn_drift.serving.example import EXAMPLE

FIRST = (
    "MonthsInService",
    "CurrentEquipmentDays",
    "MonthlyRevenue",
    "TotalRecurringCharge",
    "PercChangeRevenues",
    "MonthlyMinutes",
    "PercChangeMinutes",
    "CreditRating",
    "HandsetPrice",
    "AgeHH1",
)
"""What stands open: the columns that move most risks (notebooks/02_baseline_model.ipynb); the others are folded."""


@dataclass(frozen=True)
class Field:
    """One field.

    label    what it is, in words
    choices  known codes of a category; none where anything may be typed
    """

    name: str
    label: str
    unit: str
    choices: Sequence[str]
    number: bool


@dataclass(frozen=True)
class Group:
    """Fields under one heading."""

    title: str
    fields: Sequence[Field]


def groups() -> Sequence[Group]:
    """Every field of a customer, each once: those of FIRST, then the others by what they tell of."""
    others = [column for column in schema.RECORD if column.name not in FIRST]
    usage = [column for column in others if column.unit.endswith("/month")]
    account = [column for column in others if column.kind == "number" and column not in usage]
    traits = [column for column in others if column.kind == "category"]
    chosen = (
        ("What moves most risks", [schema.BY_NAME[name] for name in FIRST]),
        ("Calls and minutes", usage),
        ("Account, handset, household", account),
        ("Traits", traits),
    )
    return [Group(title, [_field(column) for column in columns]) for title, columns in chosen]


def example() -> dict[str, float | str]:
    """A made-up customer that fills the form."""
    return {name: value for name, value in EXAMPLE.items() if value is not None}


def _field(column: Column) -> Field:
    about = column.description.partition(";")[0]
    return Field(
        name=column.name,
        label=about[0].upper() + about[1:],
        unit=column.unit,
        choices=column.levels,
        number=column.kind == "number",
    )
