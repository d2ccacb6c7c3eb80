"""Options and their help, by argparse: paragraphs as wide as the terminal, and an error that says what would do."""

import argparse
import re
import sys
import textwrap
from collections.abc import Sequence
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, NoReturn

from churn_drift.terminal import complain, is_coloured, wrapped

if TYPE_CHECKING:
    from _typeshed import SupportsWrite

_HEADING = re.compile(r"^(usage:|\S[^:\n]*:$)", re.MULTILINE)
_NAME = re.compile(r"^(  {1,3})((?:-\w, )?-\S+|[a-z-]+(?=  ))", re.MULTILINE)
_UNKNOWN = re.compile(r"invalid choice: '(.*)' \(choose from (.*)\)")


class Paragraphs(argparse.RawDescriptionHelpFormatter):
    """Texts of paragraphs, each filled to the terminal's width; one that holds an indented line stays as it is."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        parts = re.split(r"\n\s*\n", text.strip("\n"))
        return "\n\n".join(_filled(part, width, indent) for part in parts)

    def _split_lines(self, text: str, width: int) -> list[str]:
        return wrapped(" ".join(text.split()), width)

    def _format_action(self, action: argparse.Action) -> str:
        """Of subcommands their names alone, without a line that says that there is one."""
        said = super()._format_action(action)
        if action.nargs != argparse.PARSER:
            return said
        return textwrap.indent(textwrap.dedent(said.partition("\n")[2]), " " * 2)


class Parser(argparse.ArgumentParser):
    """A command's options.

    Headings and names are coloured where the terminal has colours. An error names the command that explains more, and
    the word that was probably meant.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        options.setdefault("formatter_class", Paragraphs)
        super().__init__(*arguments, **options)

    def parse_known_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> tuple[argparse.Namespace, list[str]]:
        """Refuse here what is not known, so that the error is the subcommand's and not that of the whole program."""
        parsed, rest = super().parse_known_args(args, namespace)
        if rest:
            self.error(f"unrecognized arguments: {' '.join(rest)}{self._meant(rest[0])}")
        return parsed, rest

    def error(self, message: str) -> NoReturn:
        """One line, and where to read more; the whole help where only the subcommand's name is missing. Exit code 2."""
        if self._subparsers is not None and "required" in message:
            self.print_help(sys.stderr)
            self.exit(2)
        if unknown := _UNKNOWN.search(message):
            message = message.replace(unknown[0], f"invalid choice: '{unknown[1]}' {_among(unknown[1], unknown[2])}")
        complain(f"{message}; `{self.prog} --help` says more")
        self.exit(2)

    def _meant(self, word: str) -> str:
        names = [name for action in self._actions for name in action.option_strings]
        close = get_close_matches(word.partition("=")[0], names, n=1)
        return f" (did you mean {close[0]}?)" if close else ""

    def print_help(self, file: "SupportsWrite[str] | None" = None) -> None:
        """On stdout, with its colours; plain in any other file."""
        text = self.format_help()
        if file is None:
            sys.stdout.write(_coloured(text) if is_coloured(sys.stdout) else text)
        else:
            file.write(text)


def examples(*lines: str) -> str:
    """The end of a command's help."""
    return "\n".join(["examples:" if len(lines) > 1 else "example:", *(f"  {line}" for line in lines)])


def _filled(part: str, width: int, indent: str) -> str:
    if any(line.startswith(" ") for line in part.splitlines()):
        return part
    return "\n".join(wrapped(" ".join(part.split()), width, initial_indent=indent, subsequent_indent=indent))


def _among(word: str, quoted: str) -> str:
    choices = [choice.strip("'") for choice in quoted.split(", ")]
    close = get_close_matches(word, choices, n=1)
    return f"(did you mean {close[0]}?)" if close else f"(choose from {', '.join(choices)})"


def _coloured(text: str) -> str:
    return _NAME.sub("\\1\x1b[36m\\2\x1b[0m", _HEADING.sub("\x1b[1m\\1\x1b[0m", text))
