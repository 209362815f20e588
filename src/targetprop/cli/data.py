"""`targetprop data`."""

import dataclasses
from pathlib import Path

from ..data import describe, fetch, names, verify
from .output import UsageError, print_json, print_table
from .parsing import parse

ACTIONS = ("list", "fetch", "verify")


@dataclasses.dataclass(frozen=True)
class DataOptions:
    """What `targetprop data list` takes."""

    json: bool = False
    """Print one JSON document on standard output, and nothing else there."""


@dataclasses.dataclass(frozen=True)
class FetchOptions:
    """What `targetprop data fetch NAME` takes."""

    folder: Path | None = None
    """Where to put the files; the cache unless given."""


def run(args: list[str]) -> int:
    """List, fetch or verify data sets."""
    action, rest = (args[0], args[1:]) if args and not args[0].startswith("-") else ("list", args)
    if action not in ACTIONS:
        raise UsageError(f"targetprop data does not know {action!r}: write one of {', '.join(ACTIONS)}.")
    return {"list": _list, "fetch": _fetch, "verify": _verify}[action](rest)


def _list(args: list[str]) -> int:
    options = parse(DataOptions, args=args, verb="data list", description="Every data set and where it is.")
    records = describe()
    if options.json:
        print_json([dataclasses.asdict(record) for record in records])
    else:
        rows = [(r.name, f"{r.train:,} / {r.test:,}", " x ".join(map(str, r.shape)), r.where, r.licence) for r in records]
        print_table("Data sets", ("name", "train / test", "shape", "where", "licence"), rows)
    return 0


def _split_sets(args: list[str], otherwise: tuple[str, ...]) -> tuple[list[str], list[str]]:
    count = next((i for i, arg in enumerate(args) if arg.startswith("-")), len(args))
    return list(args[:count] or otherwise), args[count:]


def _fetch(args: list[str]) -> int:
    sets, rest = _split_sets(args, ())
    options = parse(FetchOptions, args=rest, verb="data fetch NAME", description="Download data sets, checked by MD5.")
    if not sets:
        raise UsageError(f"targetprop data fetch needs the name of a set: {', '.join(names())}.")
    for name in sets:
        print(f"{name}: {fetch(name, folder=options.folder)}")
    return 0


def _verify(args: list[str]) -> int:
    sets, rest = _split_sets(args, names())
    options = parse(DataOptions, args=rest, verb="data verify", description="Compare files with their MD5.")
    checks = [(name, *check) for name in sets for check in verify(name)]
    if options.json:
        print_json([dict(zip(("set", "file", "status", "where"), check, strict=True)) for check in checks])
    else:
        print_table("Files", ("set", "file", "status", "where"), checks)
    return 0 if all(status == "ok" for _, _, status, _ in checks) else 1
