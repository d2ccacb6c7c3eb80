"""What a customer record is: every column's name, type, unit and legal values, declared once.

Preprocessing, the simulator, the model, serving and the documents read this and nothing else.
Names and codes are those of the Cell2Cell file (Teradata Center for CRM, Duke University).
"""

from dataclasses import dataclass
from typing import Literal

Kind = Literal["id", "label", "number", "category"]

MISSING = ("", "NA")
"""Cells that mean *missing* in every column."""


@dataclass(frozen=True)
class Column:
    """One column of the raw file.

    kind      "id" (the acquisition order), "label", "number" or "category" (flags included)
    minimum, maximum   legal range of a number; a value outside is refused
    decimals  decimals that the raw file carries
    levels    known codes of a category; a code outside is legal, counted, and scored as missing
    missing   cells that mean *missing*
    zero_is_missing    True where the file codes "unknown" as 0
    after_risk         True where the value is made after the customer showed the risk: never a feature
    """

    name: str
    kind: Kind
    description: str
    unit: str = ""
    minimum: float | None = None
    maximum: float | None = None
    decimals: int = 0
    levels: tuple[str, ...] = ()
    missing: tuple[str, ...] = MISSING
    zero_is_missing: bool = False
    after_risk: bool = False


def _count(name: str, description: str, unit: str = "calls/month", decimals: int = 1) -> Column:
    return Column(name, "number", description, unit, minimum=0, decimals=decimals)


def _flag(name: str, description: str, *, after_risk: bool = False) -> Column:
    return Column(name, "category", description, levels=("No", "Yes"), after_risk=after_risk)


COLUMNS: tuple[Column, ...] = (
    Column("CustomerID", "id", "customer number, given in the order of acquisition", minimum=0),
    Column("Churn", "label", "left within the two months after the snapshot", levels=("No", "Yes")),
    Column("MonthlyRevenue", "number", "mean monthly bill; credits make it negative", "USD/month", decimals=2),
    _count("MonthlyMinutes", "mean minutes used", "minutes/month", 0),
    Column("TotalRecurringCharge", "number", "plan charge; credits make it negative", "USD/month"),
    _count("DirectorAssistedCalls", "directory-assisted calls", decimals=2),
    _count("OverageMinutes", "minutes beyond the plan", "minutes/month", 0),
    _count("RoamingCalls", "calls while roaming"),
    Column("PercChangeMinutes", "number", "last month's minutes less the mean (not a percentage)", "minutes/month"),
    Column(
        "PercChangeRevenues", "number", "last month's bill less the mean (not a percentage)", "USD/month", decimals=1
    ),
    _count("DroppedCalls", "calls the network dropped"),
    _count("BlockedCalls", "calls the network refused"),
    _count("UnansweredCalls", "calls nobody answered"),
    _count("CustomerCareCalls", "calls to customer care"),
    _count("ThreewayCalls", "three-way calls"),
    _count("ReceivedCalls", "minutes of received calls", "minutes/month"),
    _count("OutboundCalls", "calls made"),
    _count("InboundCalls", "calls received"),
    _count("PeakCallsInOut", "calls in peak hours"),
    _count("OffPeakCallsInOut", "calls off peak"),
    _count("DroppedBlockedCalls", "dropped and blocked calls"),
    _count("CallForwardingCalls", "forwarded calls"),
    _count("CallWaitingCalls", "calls that waited"),
    _count("MonthsInService", "tenure", "months", 0),
    _count("UniqueSubs", "subscribers ever on the account", "subscribers", 0),
    _count("ActiveSubs", "active subscribers on the account", "subscribers", 0),
    Column("ServiceArea", "category", "market and area code, such as NYCBRO917"),
    _count("Handsets", "handsets ever issued", "handsets", 0),
    _count("HandsetModels", "models ever issued", "models", 0),
    Column("CurrentEquipmentDays", "number", "age of the handset; a few are negative", "days"),
    Column("AgeHH1", "number", "age of the first adult", "years", minimum=0, maximum=120, zero_is_missing=True),
    Column("AgeHH2", "number", "age of the second adult", "years", minimum=0, maximum=120, zero_is_missing=True),
    _flag("ChildrenInHH", "children in the household"),
    _flag("HandsetRefurbished", "handset is refurbished"),
    _flag("HandsetWebCapable", "handset can browse"),
    _flag("TruckOwner", "owns a truck"),
    _flag("RVOwner", "owns a recreational vehicle"),
    # "Unknown" stays a level here: whether it is known is all this column says.
    Column("Homeownership", "category", "home ownership on file", levels=("Known", "Unknown")),
    _flag("BuysViaMailOrder", "buys by mail order"),
    _flag("RespondsToMailOffers", "responds to mail offers"),
    _flag("OptOutMailings", "opted out of mailings"),
    _flag("NonUSTravel", "travelled outside the US"),
    _flag("OwnsComputer", "owns a computer"),
    _flag("HasCreditCard", "has a credit card"),
    Column("RetentionCalls", "number", "calls to the retention team", "calls", minimum=0, after_risk=True),
    Column("RetentionOffersAccepted", "number", "retention offers accepted", "offers", minimum=0, after_risk=True),
    _flag("NewCellphoneUser", "new to mobile telephony"),
    _flag("NotNewCellphoneUser", "known not to be new to mobile telephony"),
    _count("ReferralsMadeBySubscriber", "customers referred", "referrals", 0),
    Column(
        "IncomeGroup",
        "number",
        "income band, 1 low to 9 high; 0 is unknown",
        "band",
        minimum=0,
        maximum=9,
        zero_is_missing=True,
    ),
    _flag("OwnsMotorcycle", "owns a motorcycle"),
    _count("AdjustmentsToCreditRating", "adjustments made to the credit rating", "adjustments", 0),
    Column("HandsetPrice", "number", "price of the handset", "USD", minimum=0, missing=(*MISSING, "Unknown")),
    _flag("MadeCallToRetentionTeam", "called the retention team", after_risk=True),
    Column(
        "CreditRating",
        "category",
        "credit class",
        levels=("1-Highest", "2-High", "3-Good", "4-Medium", "5-Low", "6-VeryLow", "7-Lowest"),
    ),
    Column("PrizmCode", "category", "Prizm area type", levels=("Other", "Rural", "Suburban", "Town")),
    Column(
        "Occupation",
        "category",
        "occupation",
        levels=("Clerical", "Crafts", "Homemaker", "Other", "Professional", "Retired", "Self", "Student"),
    ),
    Column("MaritalStatus", "category", "married", levels=("No", "Yes"), missing=(*MISSING, "Unknown")),
)
"""The 58 columns of the raw file, in its order."""

ID = "CustomerID"
LABEL = "Churn"

BY_NAME = {column.name: column for column in COLUMNS}
NAMES = tuple(column.name for column in COLUMNS)
RECORD = tuple(column for column in COLUMNS if column.kind in ("number", "category") and not column.after_risk)
"""The columns a model may see and drift is measured on: no id, no label, nothing made after the risk."""
NUMBERS = tuple(column.name for column in RECORD if column.kind == "number")
CATEGORIES = tuple(column.name for column in RECORD if column.kind == "category")
