"""`targetprop reproduce`."""

import dataclasses
import functools
import sys
from collections.abc import Sequence
from typing import Any

from ..errors import ConfigError
from ..experiments.item import EpochOptions, Item, Options, document, estimate, report_on, run_missing, save, whole
from ..papers import items as catalog
from ..papers.shipped import shipped_results
from ..version import __version__
from .output import print_json, print_table, print_text
from .tree import Command, Group


def command(args: Sequence[str]) -> Group:
    """`targetprop reproduce SOURCE ITEM`."""
    return Group("a paper", {source: catalog.title(source) for source in catalog.SOURCES}, _items)


def _items(source: str) -> Group:
    known = catalog.items(source)

    def choose(name: str) -> Command:
        return Command(known[name].defaults, functools.partial(run, known[name]))

    return Group("an item", {name: item.title for name, item in known.items()}, choose)


def run(found: Item[Any], options: Options) -> int:
    """Run what is missing of a published item. Print our numbers beside the published ones.

    **Returns:** 0 if nothing is missing any more, else 1.
    """
    if options.estimate:
        return _estimate(found, options)
    if options.show:
        return _show(found, options)
    finished = run_missing(found, options)
    _print(found, options)
    paths = save(found, options, shown_command(found, options))
    if not options.json:
        for path in paths:
            print(path)
    return 0 if finished else 1


def _show(found: Item[Any], options: Options) -> int:
    folder = options.results / found.source
    if folder.is_dir():
        return _print(found, options)
    with shipped_results(found.source) as shipped:
        if shipped is None or options.results != found.defaults.results:
            raise ConfigError(f"There is no folder {folder}: give the folder of the results with `results`.")
        sys.stderr.write(f"There is no folder {folder}. These are the results that came with targetprop {__version__}.\n")
        return _print(found, dataclasses.replace(options, results=shipped))


def _print(found: Item[Any], options: Options) -> int:
    report = report_on(found, options)
    if options.json:
        print_json(document(found, report))
    else:
        print_table(found.title, report.titles, report.rows)
        print_text(report.text)
        if report.left_out:
            print_text(report.left_out)
    return 0


def shown_command(item: Item[Any], options: Options) -> str:
    """The command that makes the page of the whole item, with the seeds that were run.

    Seeds with gaps between them take several commands, joined by `&&`.
    """
    found = max((list(part.found()) for part in item.parts(whole(item, options))), key=len, default=[])
    epochs = []
    if isinstance(options, EpochOptions) and options.epochs is not None:
        epochs.append(f"--epochs {options.epochs}")
    commands = [
        " ".join(["targetprop reproduce", item.source, item.name, *_seed_flags(seeds, item.defaults.seeds), *epochs])
        for seeds in _stretches(found)
    ]
    return " && ".join(commands)


def _stretches(seeds: Sequence[int]) -> list[range]:
    """The seeds in stretches without gaps. One empty stretch if there are none."""
    ordered = sorted(seeds)
    starts = [seed for seed in ordered if seed - 1 not in seeds]
    ends = [seed + 1 for seed in ordered if seed + 1 not in seeds]
    return list(map(range, starts, ends)) or [range(0)]


def _seed_flags(seeds: range, default: int) -> list[str]:
    flags = [] if len(seeds) in (0, default) else [f"--seeds {len(seeds)}"]
    return flags + ([f"--first-seed {seeds.start}"] if seeds.start else [])


def _estimate(found: Item[Any], options: Options) -> int:
    parts = estimate(found, options)
    total = sum(part.seconds for part in parts)
    if options.json:
        cells = [{"row": p.row, "column": p.column, "seeds": p.seeds, "seconds": p.seconds} for p in parts]
        print_json({"source": found.source, "item": found.name, "cells": cells, "seconds": total})
    else:
        rows = [(p.row, p.column, str(len(p.seeds)), f"{p.seconds / 60:.1f}") for p in parts]
        rows.append(("all", "", str(sum(len(p.seeds) for p in parts)), f"{total / 60:.1f}"))
        print_table("Time on this machine", ("", "", "seeds to run", "minutes"), rows)
    return 0
