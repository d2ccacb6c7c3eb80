"""Text, numbers and tables as Markdown that reads well unrendered, too. What comes from data is escaped."""

import re
import textwrap
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from churn_drift.model.compare import Difference
from churn_drift.model.metrics import Estimate

LONGEST = 40
"""Characters of a text from data."""

WIDTH = 120
"""Columns of a line of prose."""

FIRST, LAST = 4, 16
"""Of a longer history the first and the last batches are shown."""

UNDEFINED = "n/a"

_T = TypeVar("_T")


def escaped(text: str, *, longest: int = LONGEST) -> str:
    r"""Text from data as one line of Markdown that shows it and does nothing: no HTML, no link, no new cell.

    >>> print(escaped("a|b\n<script>*x*"))
    a\|b &lt;script>\*x\*
    >>> escaped("")
    '(empty)'
    """
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    short = line if len(line) <= longest else f"{line[: longest - 1]}…"
    marked = re.sub(r"([\\`*_\[\]|~$#])", r"\\\1", short.replace("&", "&amp;").replace("<", "&lt;"))
    return marked or "(empty)"


def flowed(sections: Iterable[str]) -> str:
    """Sections as one document, prose filled to `WIDTH`; tables, code and headings as they are."""
    blocks = [block for section in sections for block in re.split(r"\n{2,}", section.strip("\n"))]
    return "\n\n".join(map(_flowed, blocks)) + "\n"


def number(value: float | None, form: str) -> str:
    """A number where it is known.

    >>> number(0.648843, ".3f"), number(None, ".3f")
    ('0.649', 'n/a')
    """
    return UNDEFINED if value is None else format(value, form)


def interval(found: Estimate | Difference, form: str = ".3f") -> str:
    """A value with its interval, as far as they are known.

    >>> interval(Estimate(0.65, 0.6, 0.7)), interval(Estimate(0.65)), interval(Estimate())
    ('0.650 [0.600, 0.700]', '0.650', 'n/a')
    """
    if found.value is None or found.low is None or found.high is None:
        return number(found.value, form)
    return f"{found.value:{form}} [{found.low:{form}}, {found.high:{form}}]"


def table(names: Sequence[str], rows: Sequence[Sequence[str]], *, numbers: int | None = None) -> str:
    """A table; the columns from place `numbers` on are set to the right.

    >>> print(table(["a", "b"], [["x", "1"]], numbers=1))
    | a | b |
    |---|--:|
    | x | 1 |
    """
    rule = ["---" if numbers is None or place < numbers else "--:" for place in range(len(names))]
    return "\n".join([_line(names), f"|{'|'.join(rule)}|", *(_line(row) for row in rows)])


def history(
    names: Sequence[str], items: Sequence[_T], row: Callable[[_T], Sequence[str]], *, numbers: int, rest: str
) -> str:
    """A table of one row an item, of a long history its two ends.

    rest  where the rows between stand
    """
    if len(items) <= FIRST + LAST:
        return table(names, [row(item) for item in items], numbers=numbers)
    between = len(items) - FIRST - LAST
    gap = [f"… {between} more", *[""] * (len(names) - 1)]
    rows = [*(row(item) for item in items[:FIRST]), gap, *(row(item) for item in items[-LAST:])]
    return f"{table(names, rows, numbers=numbers)}\n\nThe {between} batches between: {rest}."


def _flowed(block: str) -> str:
    if block.startswith(("|", "#", "    ", "```")):
        return block
    return "\n".join(map(_filled, re.split(r"\n(?=- )", block)))


def _filled(item: str) -> str:
    """One paragraph or list item. A line never begins with what Markdown would take for a list, a quote or a rule."""
    held = re.sub(r"\s+([-+*>#=]+)(?=\s)", "\0\\1", " ".join(item.split()).removeprefix("- "))
    bullet = "- " if item.startswith("- ") else ""
    lines = textwrap.wrap(
        held, WIDTH - len(bullet), break_long_words=False, break_on_hyphens=False, drop_whitespace=True
    )
    return bullet + f"\n{' ' * len(bullet)}".join(lines).replace("\0", " ")


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
