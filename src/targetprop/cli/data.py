"""`targetprop data`."""

import dataclasses
import sys
from pathlib import Path

from ..data import describe, fetch, names, verify
from .output import UsageError, print_json, print_table
from .parsing import parse

ACTIONS = {
    "list": "list all data sets, and where their files are",
    "fetch": "download data sets; each file is checked by its MD5",
    "verify": "check the MD5 of the files",
}


@dataclasses.dataclass(frozen=True)
class DataOptions:
    """The flags of `targetprop data list` and `targetprop data verify`."""

    json: bool = False
    """Print one JSON document on standard output, and nothing else."""


@dataclasses.dataclass(frozen=True)
class FetchOptions:
    """The flags of `targetprop data fetch NAME`."""

    folder: Path | None = None
    """Folder for the files. Default: the cache."""
    json: bool = False
    """Print one JSON document on standard output, and nothing else."""


def run(args: list[str]) -> int:
    """List, download or check data sets.

    Returns 0, or 1 if `verify` finds a missing or wrong file."""
    if args and args[0] in ("-h", "--help"):
        sys.stdout.write("usage: targetprop data ACTION [NAME ...] [flags]\n\n")
        sys.stdout.write("".join(f"  {action:8}{text}\n" for action, text in ACTIONS.items()))
        sys.stdout.write(f"\nNAME is one of {', '.join(names())}.\n")
        sys.stdout.write("fetch needs at least one NAME. verify without a NAME checks all data sets.\n")
        sys.stdout.write("For training, NAME:unit is the data set with inputs scaled to [0, 1].\n")
        return 0
    action, rest = (args[0], args[1:]) if args and not args[0].startswith("-") else ("list", args)
    if action not in ACTIONS:
        raise UsageError(f"targetprop data has no action {action!r}: use one of {', '.join(ACTIONS)}.")
    return {"list": _list, "fetch": _fetch, "verify": _verify}[action](rest)


def _list(args: list[str]) -> int:
    description = "List all data sets, and where their files are."
    options = parse(DataOptions, args=args, verb="data list", description=description)
    records = describe()
    if options.json:
        print_json([dataclasses.asdict(record) for record in records])
    else:
        rows = [(r.name, f"{r.train:,} / {r.test:,}", " x ".join(map(str, r.shape)), r.where, r.license) for r in records]
        print_table("Data sets", ("name", "train / test", "shape", "where", "license"), rows)
    return 0


def _split_sets(args: list[str], otherwise: tuple[str, ...]) -> tuple[list[str], list[str]]:
    count = next((i for i, arg in enumerate(args) if arg.startswith("-")), len(args))
    return list(args[:count] or otherwise), args[count:]


def _fetch(args: list[str]) -> int:
    sets, rest = _split_sets(args, ())
    description = "Download data sets. Each file is checked by its MD5."
    options = parse(FetchOptions, args=rest, verb="data fetch NAME", description=description)
    if not sets:
        raise UsageError(f"targetprop data fetch needs the name of a data set: {', '.join(names())}.")
    folders = {}
    for name in sets:
        folders[name] = str(fetch(name, folder=options.folder))
        if not options.json:
            print(f"{name}: {folders[name]}")
    if options.json:
        print_json(folders)
    return 0


def _verify(args: list[str]) -> int:
    sets, rest = _split_sets(args, names())
    options = parse(DataOptions, args=rest, verb="data verify", description="Check the MD5 of the files.")
    checks = [(name, *check) for name in sets for check in verify(name)]
    if options.json:
        print_json([dict(zip(("set", "file", "status", "where"), check, strict=True)) for check in checks])
    else:
        print_table("Files", ("set", "file", "status", "where"), checks)
    return 0 if all(status == "ok" for _, _, status, _ in checks) else 1
