"""A card as its reader has it: parsed by another Markdown reader than the one that is in our head."""

import re
from itertools import pairwise

from markdown_it import MarkdownIt
from markdown_it.token import Token

Table = list[list[str]]


def tokens(text: str) -> list[Token]:
    return MarkdownIt("commonmark").enable("table").parse(text)


def tables(text: str) -> list[Table]:
    """Each table as rows of cells, their Markdown resolved, the header first."""
    found: list[Table] = []
    for one, two in pairwise(tokens(text)):
        if one.type == "table_open":
            found.append([])
        elif one.type == "tr_open":
            found[-1].append([])
        elif one.type in ("th_open", "td_open"):
            found[-1][-1].append("".join(part.content for part in two.children or []))
    return found


def table(text: str, first: str) -> Table:
    """The table whose first header cell is this."""
    return next(found for found in tables(text) if found[0][0] == first)


def faults(text: str) -> list[str]:
    """HTML, rows of another width than their header, lines that look like a table and are none, dead links."""
    found = [token.content for token in tokens(text) if token.type == "html_block"]
    inline = [part for token in tokens(text) for part in token.children or []]
    found += [part.content for part in inline if part.type in ("html_inline", "image")]
    found += [part.content for part in inline if part.type == "text" and part.content.startswith("| ")]
    for rows in (line.split("\n") for line in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE)):
        widths = {len(re.findall(r"(?<!\\)\|", row)) for row in rows if row}
        found += [f"{sorted(widths)} bars: {rows[0]}"] if len(widths) > 1 else []
    heads = re.findall(r"^## (.*)", text, re.MULTILINE)
    anchors = {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}
    found += [link for link in re.findall(r"\]\(#([^)]*)\)", text) if link not in anchors]
    return found
