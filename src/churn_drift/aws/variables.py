"""Settings of the AWS mode that a number or a name says."""

from collections.abc import Mapping

from churn_drift.errors import ConfigError


def needed(environment: Mapping[str, str], name: str, *, example: str) -> str:
    """What a variable says. Raises ConfigError where it is not set."""
    said = environment.get(name, "").strip()
    if not said:
        raise ConfigError(f"{name} is not set; put {name}={example} into .env, or export it")
    return said


def number(environment: Mapping[str, str], name: str, default: int, *, low: int, high: int) -> int:
    """A whole number that a variable says. Raises ConfigError where it is none, or outside its range.

    >>> number({"N": "7"}, "N", 3, low=1, high=9), number({}, "N", 3, low=1, high=9)
    (7, 3)
    """
    said = environment.get(name, "").strip() or str(default)
    if not (said.isascii() and said.isdigit() and low <= int(said) <= high):
        raise ConfigError(f"{name}: {said!r} is no whole number from {low} to {high}; set {name}={default}")
    return int(said)


def word(environment: Mapping[str, str], name: str, *legal: str) -> str:
    """One of some words. Raises ConfigError where it is not set, or none of them."""
    said = needed(environment, name, example=legal[0]).lower()
    if said not in legal:
        raise ConfigError(f"{name}: {said!r} is none of {', '.join(legal)}; set {name}={legal[0]}")
    return said
