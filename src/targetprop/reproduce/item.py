"""What can be reproduced: the interface of an item, the parts it is run in, and what it reports."""

import abc
import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Generic, TypeVar

from ..errors import ConfigError
from ..train.result import Summary


@dataclasses.dataclass(frozen=True)
class Options:
    """What `targetprop reproduce SOURCE ITEM` takes for every item. Seeds are 0 .. `seeds - 1`."""

    seeds: int = 1
    """Seeds per part; those that are there already count."""
    results: Path = Path("results")
    """Folder of the finished runs and the reports."""
    estimate: bool = False
    """Only say how long it will take on this machine."""
    show: bool = False
    """Run nothing; print what the finished runs say."""
    json: bool = False
    """Print one JSON document on standard output, and nothing else there."""


@dataclasses.dataclass(frozen=True)
class EpochOptions(Options):
    """What an item takes whose length can be changed."""

    epochs: int | None = None
    """Epochs, in place of the published number; such runs are kept apart."""

    @property
    def variant(self) -> str:
        """Names what differs from the published settings; empty where nothing does."""
        return "" if self.epochs is None else f"epochs-{self.epochs}"


@dataclasses.dataclass(frozen=True)
class TrainingOptions(EpochOptions):
    """What an item takes that trains networks on data sets."""

    dataset: tuple[str, ...] = ()
    """Data sets, all unless given."""
    methods: tuple[str, ...] = ()
    """Methods by recipe name, for example ddtp-linear; all unless given."""


class Part(abc.ABC):
    """A piece of an item that is run and kept by itself, all its missing seeds as one program. `row` and `column` say which
    piece it is."""

    row: str
    column: str

    @abc.abstractmethod
    def missing(self, seeds: int) -> list[int]:
        """Which of the seeds 0 .. `seeds - 1` are still to be run."""

    @abc.abstractmethod
    def run(self, seeds: Sequence[int], progress: bool) -> bool:
        """Run some seeds, from where an interruption left them, and keep the results; `progress` shows a bar. Returns
        whether it came to its end."""

    @abc.abstractmethod
    def seconds(self, seeds: Sequence[int]) -> float:
        """How long that takes here, measured on a small piece of the work."""


@dataclasses.dataclass(frozen=True)
class Report:
    """What the finished results of an item say.

    `cells` is plain data, a dictionary for each with at least `row`, `column`, `published` (or `None`) and `ours` (or
    `None` where nothing was run); `titles` and `rows` are the table of the same; `draw` writes the picture to a path,
    `None` where there is nothing to draw yet; `text` is Markdown that stands below the table; `variant` names what differs
    from the published settings, and keeps such a report apart.
    """

    cells: Sequence[dict[str, Any]]
    titles: Sequence[str]
    rows: Sequence[Sequence[str]]
    draw: Callable[[Path], None] | None
    text: str = ""
    variant: str = ""


OptionsT = TypeVar("OptionsT", bound=Options)


class Item(abc.ABC, Generic[OptionsT]):
    """A table or figure of a paper. `defaults` are its options; their type lists its flags. Raises `ConfigError` from
    `parts` and `report` for options that do not fit it."""

    source: str
    name: str
    title: str
    defaults: OptionsT

    @abc.abstractmethod
    def parts(self, options: OptionsT) -> Sequence[Part]:
        """What has to be run for it, in order."""

    @abc.abstractmethod
    def report(self, options: OptionsT) -> Report:
        """What the finished results say; runs nothing."""


def run_missing(item: Item[OptionsT], options: OptionsT, progress: bool = True) -> bool:
    """Run what is missing of an item, part by part. Every finished part is kept; returns whether all came to their end."""
    for part in item.parts(options):
        seeds = part.missing(options.seeds)
        if seeds and not part.run(seeds, progress):
            return False
    return True


@dataclasses.dataclass(frozen=True)
class Estimate:
    """What is still to be run of a part, and how long that takes here."""

    row: str
    column: str
    seeds: list[int]
    seconds: float


def estimate(item: Item[OptionsT], options: OptionsT) -> list[Estimate]:
    """How long it will take to run what is missing, part by part."""
    estimates = []
    for part in item.parts(options):
        seeds = part.missing(options.seeds)
        estimates.append(Estimate(part.row, part.column, seeds, part.seconds(seeds) if seeds else 0.0))
    return estimates


def check_known(item: str, kind: str, asked: Sequence[str], known: Sequence[str]) -> None:
    """Raises `ConfigError` where something is asked of an item that it does not have."""
    for name in asked:
        if name not in known:
            raise ConfigError(f"{item} has no {kind} {name!r}; it has {', '.join(known)}.")


def plus_minus(found: Summary, digits: int) -> str:
    """Mean and standard deviation for a table; a dash where there is nothing."""
    if not found.values:
        return "-"
    spread = f" ± {found.sd:.{digits}f}" if len(found.values) > 1 else ""
    return f"{found.mean:.{digits}f}{spread}"


def as_cell(found: Summary) -> dict[str, Any] | None:
    """Mean, standard deviation and number as plain data; `None` where there is nothing."""
    return {"mean": found.mean, "sd": found.sd, "n": len(found.values)} if found.values else None


def report_cell(
    row: str, column: str, found: Summary, published: float | None = None, sd: float | None = None
) -> dict[str, Any]:
    """A cell of a report: what was found beside the published number and its standard deviation, as far as there are any."""
    theirs = None if published is None else {"mean": published, "sd": sd}
    return {"row": row, "column": column, "published": theirs, "ours": as_cell(found)}


def document(item: Item[Any], report: Report) -> dict[str, Any]:
    """The report as one document of plain data."""
    return {"source": item.source, "item": item.name, "cells": list(report.cells)}


def save(item: Item[Any], report: Report, command: str, results: Path) -> list[Path]:
    """Write the report's page `NAME.md`, with the command that makes it, and its picture `NAME.png` below
    `results/SOURCE/report`; returns their paths."""
    folder = results / item.source / "-".join(["report", *([report.variant] if report.variant else [])])
    folder.mkdir(parents=True, exist_ok=True)
    page, image = folder / f"{item.name}.md", folder / f"{item.name}.png"
    lines = [report.titles, ["---"] * len(report.titles), *report.rows]
    blocks = [f"# {item.title}", f"{item.source}, `{command}`", "\n".join("| " + " | ".join(line) + " |" for line in lines)]
    blocks += [report.text] if report.text else []
    paths = [page]
    if report.draw is not None:
        report.draw(image)
        blocks.append(f"![{item.title}]({image.name})")
        paths.append(image)
    page.write_text("\n\n".join(blocks) + "\n")
    return paths
