"""What people read in a terminal: colours, lines that break at words, and a sign that something goes on.

Colours follow NO_COLOR, then FORCE_COLOR (https://no-color.org, https://force-color.org), then whether the stream is a
terminal that has them. What goes into a file or a pipe is one line a thing, and nothing moves in it.
"""

import os
import re
import sys
import textwrap
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from shutil import get_terminal_size
from typing import TYPE_CHECKING, Literal, TextIO

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

Colour = Literal["bold", "dim", "red", "green", "yellow"]

_WHOLE = re.compile(r"`[^`\n]*`|(?<!\w)(['\"])[^'\"\n]{1,40}\1(?!\w)")
_CODES = {"bold": 1, "dim": 2, "red": 31, "green": 32, "yellow": 33}
_BLANKS = re.compile(r" +((?:\x1b\[[0-9;]*m)*)$", re.MULTILINE)
_ENDLESS = 10_000
_GLUE = "\x1f"
"""Stands for a space at which no line breaks."""


def width() -> int:
    """Columns of the terminal; COLUMNS where it is set, 80 where there is no terminal."""
    return get_terminal_size((80, 24)).columns


def is_moving(stream: TextIO) -> bool:
    """Whether a line of the stream can be drawn again: on a terminal, but for TERM=dumb."""
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def is_coloured(stream: TextIO, environment: Mapping[str, str] = os.environ) -> bool:
    """Whether colours are wanted there.

    >>> import io
    >>> [is_coloured(io.StringIO(), {"FORCE_COLOR": "1", **more}) for more in ({}, {"NO_COLOR": "1"})]
    [True, False]
    """
    if environment.get("NO_COLOR"):
        return False
    return bool(environment.get("FORCE_COLOR")) or (stream.isatty() and environment.get("TERM", "dumb") != "dumb")


def show(table: "Table", *, whole: bool = False) -> None:
    """Print a table on stdout, without blanks at the ends of its lines.

    whole  as wide as it is, as in a file or a pipe, on a terminal that is narrower too: which then breaks its lines
    """
    from rich.console import Console

    console = Console(highlight=False, markup=False, emoji=False, color_system=_system(sys.stdout), width=width())
    if whole or not sys.stdout.isatty():
        endless = console.options.update(width=_ENDLESS)
        console.width = max(console.width, console.measure(table, options=endless).maximum)
    with console.capture() as drawn:
        console.print(table)
    print(_BLANKS.sub(r"\1", drawn.get()), end="")


def say(text: str, stream: TextIO | None = None, *, hang: int = 2, paint: tuple[str, Colour] | None = None) -> None:
    """Print lines, see `fitted`."""
    print(fitted(text, stream, hang=hang, paint=paint), file=stream or sys.stdout)


def complain(text: str, *, kind: Literal["error", "warning"] = "error") -> None:
    """Print an error or a warning on stderr."""
    say(f"{kind}: {text}", sys.stderr, paint=(f"{kind}:", "red" if kind == "error" else "yellow"))


def fitted(text: str, stream: TextIO | None = None, *, hang: int = 2, paint: tuple[str, Colour] | None = None) -> str:
    """Lines for a stream, by default stdout: on a terminal those that are too long break at their words.

    hang   spaces before what follows a break, beside those that the line itself begins with
    paint  a word and its colour: the first of its kind
    """
    stream = stream or sys.stdout
    if stream.isatty():
        text = "\n".join(folded(line, columns=width(), hang=hang) for line in text.split("\n"))
    return text.replace(paint[0], painted(*paint, stream), 1) if paint else text


def folded(line: str, *, columns: int, hang: int = 2) -> str:
    """A line as several of at most so many columns, see `wrapped`; one that fits stays as it is.

    >>> print(folded("error: x.csv: no such file; `churn-drift land FILE` takes one", columns=30))
    error: x.csv: no such file;
      `churn-drift land FILE`
      takes one
    """
    begins = " " * (len(line) - len(line.lstrip(" ")) + hang)
    return line if len(line) <= columns else "\n".join(wrapped(line, columns, subsequent_indent=begins))


def wrapped(text: str, columns: int, *, initial_indent: str = "", subsequent_indent: str = "") -> list[str]:
    """A text as lines of at most so many columns; a longer word stays whole, as does what is quoted: it is copied."""
    glued = _WHOLE.sub(lambda found: found[0].replace(" ", _GLUE), text)
    lines = textwrap.wrap(
        glued,
        columns,
        initial_indent=initial_indent,
        subsequent_indent=subsequent_indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return [line.replace(_GLUE, " ") for line in lines]


def painted(text: str, colour: Colour, stream: TextIO | None = None) -> str:
    """The text in a colour, where the stream, by default stdout, has colours."""
    return f"\x1b[{_CODES[colour]}m{text}\x1b[0m" if is_coloured(stream or sys.stdout) else text


@contextmanager
def working(what: str) -> Iterator[Callable[[str], None]]:
    """While the block works, a line on stderr says what is done and for how long; nothing where it is no terminal.

    Yields what prints a line on stdout meanwhile: the two may be the same terminal.
    """
    if not is_moving(sys.stderr):
        yield partial(print, flush=True)
        return
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = SpinnerColumn(style="none"), TextColumn("{task.description}", markup=False), TimeElapsedColumn()
    with Progress(*columns, console=moving(), transient=True, redirect_stdout=False) as bar:
        bar.add_task(what, total=None)

        def tell(line: str) -> None:
            bar.stop()
            print(line, flush=True)
            bar.start()

        yield tell


def moving() -> "Console":
    """The console of stderr for what rich draws again and again."""
    from rich.console import Console

    return Console(stderr=True, color_system=_system(sys.stderr), force_terminal=is_moving(sys.stderr))


def _system(stream: TextIO) -> Literal["standard"] | None:
    return "standard" if is_coloured(stream) else None
