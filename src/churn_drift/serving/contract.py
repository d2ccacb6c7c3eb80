"""One raw customer as JSON gives it, made the typed values that the model reads; every wrong field is named at once.

The rules are those of `data.preprocess.typed_cells`, which reads the same customers from a file (a test holds the two
together). What is legal in a column is worked out once from `schema`, so that a whole record takes microseconds.
"""

import json
import sys
from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache
from math import isfinite, ulp
from typing import Any

from churn_drift import schema
from churn_drift.schema import Column
from churn_drift.serving.example import EXAMPLE

Typed = dict[str, float | str | None]
"""Every column of schema.RECORD to its value; None is missing."""

_Rule = tuple[float, float, frozenset[str], tuple[str, ...] | None]
"""What is taken as it stands: numbers from the first to the second; texts of the third, which are the known ones, and
others that are short and outside the fourth, none where it is None."""

LONGEST = 200
"""Characters of a category's text."""
_SHOWN = 60
"""Characters of a refused value that its fault quotes."""
_HINTS, _HINTED = 3, 40
"""Unknown fields of one record that are compared with every legal name (0.1 ms each), and their longest name."""


@dataclass(frozen=True)
class Fault:
    """One wrong field of a request body.

    pointer  where, as a JSON pointer into the body: "/MonthlyRevenue", "/3/AgeHH1", "" for the whole
    detail   one sentence: the value, the limit with its unit, what is legal
    """

    pointer: str
    detail: str


def _low(column: Column) -> float:
    return -sys.float_info.max if column.minimum is None else column.minimum


def _high(column: Column) -> float:
    return sys.float_info.max if column.maximum is None else column.maximum


def _rule(column: Column, *, zero_is_missing: bool) -> _Rule:
    if column.kind == "category":
        return *_NOTHING_FITS, frozenset(column.levels) - {*column.missing}, column.missing
    above_zero = column.zero_is_missing and zero_is_missing
    return ulp(0.0) if above_zero else _low(column), _high(column), _NO_TEXT, None


_NOTHING_FITS = (1.0, 0.0)
_NO_TEXT = frozenset[str]()
_NO_RULE: _Rule = (*_NOTHING_FITS, _NO_TEXT, None)
_COLUMNS = {column.name: column for column in schema.RECORD}
_MISSING: Typed = dict.fromkeys(_COLUMNS)
_RULES = {
    zero: {name: _rule(column, zero_is_missing=zero) for name, column in _COLUMNS.items()} for zero in (False, True)
}


def typed(record: object, *, pointer: str = "", zero_is_missing: bool) -> tuple[Typed, list[Fault]]:
    """A customer's typed values, and everything that is wrong with them; a wrong field's value is None.

    record           decoded JSON, in the names and codes of the CSV. An absent field, null and the column's missing
                     codes are missing; an unseen category is legal; a column of the CSV that is none of a record
                     (CustomerID, Churn, what is made after the risk) is passed over
    pointer          of the record in the request body
    zero_is_missing  read the columns that code "unknown" as 0 (ages, income band) as missing there

    >>> values, faults = typed({"AgeHH1": 0, "MonthsInService": 13, "PrizmCode": "Town"}, zero_is_missing=True)
    >>> values["AgeHH1"], values["MonthsInService"], values["PrizmCode"], values["Occupation"], faults
    (None, 13.0, 'Town', None, [])
    >>> typed({"AgeHH1": 130}, pointer="/3", zero_is_missing=True)[1][0].detail
    '130 is above 120 years; send a number from 0 to 120 (years), or null for missing'
    """
    values = _MISSING.copy()
    if not isinstance(record, dict):
        return values, [Fault(pointer, f"{_shown(record)} is no customer; send an object of fields and values")]
    rules = _RULES[zero_is_missing]
    odd: list[str] = []
    for name, value in record.items():
        low, high, known, gaps = rules.get(name, _NO_RULE)
        kind = type(value)
        if kind is float or kind is int:  # not bool
            if low <= value <= high:  # nor NaN
                values[name] = value * 1.0
                continue
        elif kind is str:
            if value in known or (gaps is not None and value not in gaps and len(value) <= LONGEST):
                values[name] = value
                continue
        elif value is None and name in values:
            continue
        odd.append(name)
    return values, _faults(record, odd, pointer=pointer, zero_is_missing=zero_is_missing) if odd else []


def json_schema() -> dict[str, Any]:
    """What `typed` takes as one record, as an OpenAPI 3.1 schema (JSON Schema 2020-12).

    A number's unit stands in "x-unit", the columns that no model reads bear "x-passed-over".
    """
    return {
        "type": "object",
        "title": "Customer",
        "description": "A customer in the names and codes of the Cell2Cell file. Every field is optional: "
        "absent and null are missing.",
        "properties": {column.name: _property(column) for column in schema.COLUMNS},
        "additionalProperties": False,
        "examples": [dict(EXAMPLE)],
    }


def _faults(record: dict[str, object], odd: list[str], *, pointer: str, zero_is_missing: bool) -> list[Fault]:
    """What is wrong with the fields that were not taken as they stood: nothing where they mean *missing*."""
    unknown = [name for name in odd if name not in schema.BY_NAME]
    details = {name: _stranger(name, compare=place < _HINTS) for place, name in enumerate(unknown)}
    for name in odd:
        column = _COLUMNS.get(name)
        if column and not _is_missing(record[name], column, zero_is_missing=zero_is_missing):
            fault = _number_fault if column.kind == "number" else _text_fault
            details[name] = fault(record[name], column)
    return [Fault(f"{pointer}/{_escaped(name)}", details[name]) for name in odd if name in details]


def _is_missing(value: object, column: Column, *, zero_is_missing: bool) -> bool:
    if isinstance(value, str):
        return value in column.missing
    return column.zero_is_missing and zero_is_missing and _is_number(value) and value == 0


def _number_fault(value: object, column: Column) -> str:
    if isinstance(value, str):
        return _text_for_number(value, column)
    fault = _outside(value, column) if isinstance(value, int | float) and _is_number(value) else "no number"
    return f"{_shown(value)} is {fault}; send {_legal(column)}, or null for missing"


def _text_for_number(text: str, column: Column) -> str:
    meant = _number_in(text)
    if meant is None or not isfinite(meant):
        return f"{_shown(text)} is no number; send {_legal(column)}, or {_codes(column)} for missing"
    if _low(column) <= meant <= _high(column):
        return f"{_shown(text)} is text; send the number {_plain(meant)} without quotes"
    return f"{_shown(text)} is text, and {_outside(meant, column)}; send {_legal(column)}, or null for missing"


def _outside(value: float, column: Column) -> str:
    side, limit = ("below", column.minimum) if value < _low(column) else ("above", column.maximum)
    return f"{side} " + ("what a double holds" if limit is None else f"{limit:g} {column.unit}")


def _text_fault(value: object, column: Column) -> str:
    if isinstance(value, str):
        return f"{_shown(value)} is longer than {LONGEST} characters; shorten it, or send null for missing"
    if isinstance(value, bool) and column.levels == ("No", "Yes"):
        return f"{_shown(value)} is no text; send {_shown(column.levels[value])}"
    if column.levels:
        return f"{_shown(value)} is no text; send {_one_of(column.levels)}, or null for missing"
    if _is_number(value):
        return f"{_shown(value)} is a number; send the text {_shown(_shown(value))}, or null for missing"
    return f"{_shown(value)} is no text; send {column.description}; or null for missing"


def _stranger(name: str, *, compare: bool) -> str:
    nearest = _BY_FOLDED.get(_folded(name)) or (_nearest(name) if compare and len(name) <= _HINTED else None)
    remedy = f"did you mean {_shown(nearest)}?" if nearest else "leave it out, or take a name from the schema"
    return f"{_shown(name)} is no field of a customer; {remedy}"


@lru_cache(maxsize=1024)
def _nearest(name: str) -> str | None:
    near = get_close_matches(_folded(name), _BY_FOLDED, n=1)
    return _BY_FOLDED[near[0]] if near else None


def _folded(name: str) -> str:
    return name.casefold().replace("_", "").replace("-", "").replace(" ", "")


_BY_FOLDED = {_folded(name): name for name in schema.NAMES}


def _is_number(value: object) -> bool:
    """A JSON number: finite, and no truth value."""
    return (
        isinstance(value, int | float) and not isinstance(value, bool) and (isinstance(value, int) or isfinite(value))
    )


def _number_in(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _plain(number: float) -> str:
    """As JSON writes it, whole numbers without a point."""
    return str(int(number)) if number.is_integer() and abs(number) < 1e15 else repr(number)


def _legal(column: Column) -> str:
    low, high = column.minimum, column.maximum
    if low is None:
        limits = "" if high is None else f" up to {high:g}"
    else:
        limits = f" of {low:g} or more" if high is None else f" from {low:g} to {high:g}"
    return f"a number{limits} ({column.unit})"


def _codes(column: Column) -> str:
    return _one_of(("null", *(_shown(code) for code in column.missing)), quoted=False)


def _one_of(choices: tuple[str, ...], *, quoted: bool = True) -> str:
    shown = [_shown(choice) if quoted else choice for choice in choices]
    return " or ".join([", ".join(shown[:-1]), shown[-1]])


def _shown(value: object) -> str:
    """A value as JSON writes it, shortened; lone surrogates, which no reply could carry, escaped."""
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else "a list"
    if isinstance(value, int) and abs(value) > sys.float_info.max:
        return "a whole number of more than 308 digits"
    text = _carried(json.dumps(value, ensure_ascii=False))
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def _property(column: Column) -> dict[str, Any]:
    if column.name not in _COLUMNS:
        return {"description": f"{column.description}: passed over, whatever it is", "x-passed-over": True}
    described = {"description": _described(column), "examples": [EXAMPLE[column.name]]}
    if column.kind == "category":
        return {**described, "type": ["string", "null"], "maxLength": LONGEST}
    limits = {"minimum": column.minimum, "maximum": column.maximum}
    number = {"type": "number", **{name: limit for name, limit in limits.items() if limit is not None}}
    return {**described, "anyOf": [number, {"enum": [None, *column.missing]}], "x-unit": column.unit}


def _described(column: Column) -> str:
    parts = [column.description, f"missing: {_codes(column)}"]
    if column.levels:
        parts.append(f"known: {', '.join(column.levels)}; any other is scored as missing")
    if column.unit:
        parts.append(f"in {column.unit}")
    return "; ".join(parts)


def _escaped(name: str) -> str:
    """A name as a part of a JSON pointer (RFC 6901)."""
    return _carried(name.replace("~", "~0").replace("/", "~1"))


def _carried(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode()
