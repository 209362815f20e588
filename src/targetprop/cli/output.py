"""What the verbs share: reading the leading arguments, writing JSON and tables."""

import json
import math
import sys
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table


class UsageError(Exception):
    """Arguments that make no sense; the message says what to write instead."""


def split_name(args: list[str], verb: str, what: str) -> tuple[str, list[str]]:
    """The leading name of `targetprop VERB NAME [flags]`, and the flags."""
    if not args or (args[0].startswith("-") and args[0] not in ("-h", "--help")):
        raise UsageError(f"targetprop {verb} needs a name first: {what}.")
    if args[0] in ("-h", "--help"):
        sys.stdout.write(f"usage: targetprop {verb} NAME [flags]\n\nNAME is a {what}.\n")
        sys.stdout.write(f"`targetprop {verb} NAME --help` lists the flags of that name.\n")
        raise SystemExit(0)
    return args[0], args[1:]


def flag_value(args: Sequence[str], flag: str) -> str | None:
    """The value of `--flag VALUE` or `--flag=VALUE`, needed before the other flags can be read."""
    for i, arg in enumerate(args):
        if arg == flag and i + 1 < len(args):
            return args[i + 1]
        if arg.startswith(f"{flag}="):
            return arg.partition("=")[2]
    return None


def print_json(document: dict | list) -> None:
    """One JSON document on standard output; numbers that are not finite are written as null."""
    sys.stdout.write(json.dumps(_plain(document), allow_nan=False) + "\n")


def _plain(value):
    if isinstance(value, dict):
        return {key: _plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table on standard output, numbers to the right."""
    table = Table(title=title, title_justify="left")
    for i, column in enumerate(columns):
        table.add_column(column, justify="left" if i == 0 else "right", overflow="fold")
    for row in rows:
        table.add_row(*row)
    Console(soft_wrap=not sys.stdout.isatty()).print(table)
