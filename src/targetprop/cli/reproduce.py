"""`targetprop reproduce`."""

import dataclasses
import shlex
from pathlib import Path

from ..reproduce.published import SOURCES, table, tables
from ..reproduce.report import TITLES, row, save
from ..reproduce.reproduction import Reproduction
from ..reproduce.store import Store
from .output import UsageError, print_json, print_table, split_name
from .parsing import parse


@dataclasses.dataclass(frozen=True)
class ReproduceOptions:
    """What `targetprop reproduce SOURCE ITEM` takes."""

    dataset: tuple[str, ...] = ()
    """Columns of the table, all unless given."""
    methods: tuple[str, ...] = ()
    """Rows of the table by recipe name, for example ddtp-linear; all unless given."""
    seeds: int = 1
    """Seeds per cell; those that are there already count."""
    epochs: int | None = None
    """Epochs, in place of the published number; such runs are kept apart."""
    results: Path = Path("results")
    """Folder of the finished runs and the reports."""
    estimate: bool = False
    """Only say how long it will take on this machine."""
    show: bool = False
    """Run nothing; print what the finished runs say."""
    json: bool = False
    """Print one JSON document on standard output, and nothing else there."""


def run(args: list[str]) -> int:
    """Run what is missing of a published table, and print ours beside theirs; 0 if nothing was left unfinished."""
    source, rest = split_name(args, "reproduce", "a paper, followed by an item of it", SOURCES)
    if not rest or rest[0].startswith("-"):
        raise UsageError(f"targetprop reproduce {source} needs an item: {', '.join(tables(source))}.")
    name, rest = rest[0], rest[1:]
    found = table(source, name)
    options = parse(ReproduceOptions, args=rest, verb=f"reproduce {source} {name}", description=found.title)
    store = Store(options.results)
    reproduction = Reproduction(found, store, options.dataset, options.methods, options.seeds, options.epochs)
    if options.estimate:
        return _estimate(reproduction, options.json)
    finished = options.show or reproduction.run()
    cells = reproduction.compared()
    if not options.show:
        command = shlex.join(["targetprop", "reproduce", source, name, *rest])
        suffix = "" if options.epochs is None else f"-epochs-{options.epochs}"
        save(found, cells, command, options.results / source / f"report{suffix}")
    if options.json:
        print_json({"source": source, "item": name, "cells": [cell.to_json() for cell in cells]})
    else:
        print_table(found.title, TITLES, [row(cell) for cell in cells])
    return 0 if finished else 1


def _estimate(reproduction: Reproduction, as_json: bool) -> int:
    estimates = reproduction.estimate()
    total = sum(seconds for _, _, seconds in estimates)
    if as_json:
        cells = [{"row": c.row, "column": c.column, "seeds": seeds, "seconds": s} for c, seeds, s in estimates]
        print_json({"cells": cells, "seconds": total})
    else:
        rows = [(c.row, c.column, str(len(seeds)), f"{s / 60:.1f}") for c, seeds, s in estimates]
        rows.append(("all", "", str(sum(len(seeds) for _, seeds, _ in estimates)), f"{total / 60:.1f}"))
        print_table("Time on this machine", ("method", "data set", "seeds to run", "minutes"), rows)
    return 0
