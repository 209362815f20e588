"""What the verbs share: looking ahead for a flag, and writing JSON, tables and pages."""

import json
import sys
import textwrap
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from ..training.result import finite_or_none
from .streams import shows_unicode

if TYPE_CHECKING:
    from rich.console import Console


def flag_value(args: Sequence[str], flag: str) -> str | None:
    """The value of `--flag VALUE` or `--flag=VALUE`.

    For a flag on which the other flags depend."""
    for i, arg in enumerate(args):
        if arg == flag and i + 1 < len(args):
            return args[i + 1]
        if arg.startswith(f"{flag}="):
            return arg.partition("=")[2]
    return None


def print_json(document: dict | list) -> None:
    """Write one JSON document on standard output. Numbers that are not finite become null."""
    sys.stdout.write(json.dumps(finite_or_none(document), allow_nan=False, ensure_ascii=not shows_unicode()) + "\n")


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Write a table on standard output. All columns but the first are aligned to the right."""
    from rich.markup import escape
    from rich.table import Table

    table = Table(title=escape(title), title_justify="left")
    for i, column in enumerate(columns):
        table.add_column(escape(column), justify="left" if i == 0 else "right", overflow="fold")
    for row in rows:
        table.add_row(*map(escape, row))
    _console().print(table)


def print_text(text: str) -> None:
    """Write Markdown on standard output."""
    from rich.markdown import Markdown

    _console().print(Markdown(text))


def _console() -> "Console":
    from rich.console import Console

    return Console(width=None if sys.stdout.isatty() else 160)


PAGE_WIDTH = 80


def hanging(text: str, first: str) -> list[str]:
    """Lines of a page: `text`, wrapped, after the prefix `first`.

    The other lines are indented by the length of the prefix."""
    lines = textwrap.wrap(text, PAGE_WIDTH - len(first), break_long_words=False, break_on_hyphens=False)
    return [(first if i == 0 else " " * len(first)) + line for i, line in enumerate(lines)]


def indented(text: str, prefix: str) -> list[str]:
    """Lines of a page: `text` without wrapping, each line after `prefix`."""
    return textwrap.indent(text, prefix).splitlines()


def print_page(sections: Iterable[tuple[str, Sequence[str]]]) -> None:
    """Write headings in bold, each above its lines. A section without lines is left out."""
    from rich.console import Console
    from rich.text import Text

    console = Console(width=None if sys.stdout.isatty() else PAGE_WIDTH, highlight=False)
    text = Text("\n\n").join(
        Text.assemble((heading, "bold"), "\n", "\n".join(lines)) for heading, lines in sections if lines
    )
    console.print(text, soft_wrap=True)
