"""Which fields of a customer a log may store."""

from churn_drift import schema
from churn_drift.errors import ConfigError

FIELDS = (schema.ID, *(column.name for column in schema.RECORD))
"""What a deployment may choose to store or not."""


def fields_of(said: str) -> frozenset[str]:
    """The fields that may be stored: `all`, `none`, or names with commas between. Raises ConfigError.

    >>> sorted(fields_of("CustomerID, MonthsInService"))
    ['CustomerID', 'MonthsInService']
    """
    if said.strip() in ("", "all"):
        return frozenset(FIELDS)
    names = [] if said.strip() == "none" else [name.strip() for name in said.split(",")]
    unknown = [name for name in names if name not in FIELDS]
    if unknown:
        raise ConfigError(
            f"SERVE_LOG_FIELDS: {unknown[0][:60]!r} is no field of a customer; "
            "set it to all, none, or names of src/churn_drift/schema.py with commas between"
        )
    return frozenset(names)
