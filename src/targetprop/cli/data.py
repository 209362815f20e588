"""`targetprop data`."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from tyro.conf import Positional

from ..data import describe, fetch, names, verify
from .output import print_json, print_table
from .tree import Command, Group, UsageError

ACTIONS = {
    "list": "list all data sets, and where their files are",
    "fetch": "download data sets; each file is checked by its MD5",
    "verify": "check the MD5 of the files",
}


@dataclasses.dataclass(frozen=True)
class ListOptions:
    """The flags of `targetprop data list`."""

    json: bool = False
    """Print one JSON document on standard output, and nothing else."""


@dataclasses.dataclass(frozen=True)
class FetchOptions:
    """The flags of `targetprop data fetch NAME ..`."""

    name: Positional[tuple[str, ...]] = ()
    """The names of the data sets. `targetprop data list` lists them."""
    folder: Path | None = None
    """Folder for the files. Default: the cache."""
    json: bool = False
    """Print one JSON document on standard output, and nothing else."""


@dataclasses.dataclass(frozen=True)
class VerifyOptions:
    """The flags of `targetprop data verify [NAME ..]`."""

    name: Positional[tuple[str, ...]] = ()
    """The names of the data sets. Default: all."""
    json: bool = False
    """Print one JSON document on standard output, and nothing else."""


def command(args: Sequence[str]) -> Group:
    """`targetprop data ACTION`."""
    actions = {
        "list": Command(ListOptions(), run_list),
        "fetch": Command(FetchOptions(), run_fetch),
        "verify": Command(VerifyOptions(), run_verify),
    }
    return Group("an action", ACTIONS, actions.__getitem__, default="list")


def run_list(options: ListOptions) -> int:
    """List all data sets. Returns 0."""
    records = describe()
    if options.json:
        print_json([dataclasses.asdict(record) for record in records])
    else:
        rows = [(r.name, f"{r.train:,} / {r.test:,}", " x ".join(map(str, r.shape)), r.where, r.license) for r in records]
        print_table("Data sets", ("name", "train / test", "shape", "where", "license"), rows)
    return 0


def run_fetch(options: FetchOptions) -> int:
    """Download data sets. Returns 0."""
    if not options.name:
        raise UsageError(f"targetprop data fetch needs the name of a data set: {', '.join(names())}.")
    folders = {}
    for name in options.name:
        folders[name] = str(fetch(name, folder=options.folder))
        if not options.json:
            print(f"{name}: {folders[name]}")
    if options.json:
        print_json(folders)
    return 0


def run_verify(options: VerifyOptions) -> int:
    """Check the files of data sets. Returns 1 if one is missing or wrong, else 0."""
    checks = [(name, *check) for name in options.name or names() for check in verify(name)]
    if options.json:
        print_json([dict(zip(("set", "file", "status", "where"), check, strict=True)) for check in checks])
    else:
        print_table("Files", ("set", "file", "status", "where"), checks)
    return 0 if all(status == "ok" for _, _, status, _ in checks) else 1
