"""What can be reproduced: the interface of an item, the parts it is run in, and what it reports."""

import abc
import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

from ..errors import ConfigError
from ..training.result import Summary
from .published import Published
from .verdict import NO_NUMBER, NOT_RUN, Verdict


@dataclasses.dataclass(frozen=True)
class Options:
    """What `targetprop reproduce SOURCE ITEM` takes for every item. Seeds are 0 .. `seeds - 1`. Those named by `selection`
    choose what of the item is run and printed; its page always shows all of it.

    Raises `ConfigError` for numbers below 1."""

    selection: ClassVar[tuple[str, ...]] = ()
    seeds: int = 1
    """Number of seeds per part. Finished seeds count."""
    results: Path = Path("results")
    """Folder of the finished runs and of the reports."""
    estimate: bool = False
    """Only estimate the time on this machine."""
    show: bool = False
    """Run nothing. Print the results of the finished runs."""
    json: bool = False
    """Print one JSON document on standard output, and nothing else."""

    def __post_init__(self):
        for name in ("seeds", "epochs"):
            value = getattr(self, name, None)
            if value is not None and value < 1:
                raise ConfigError(f"`{name}` {value} leaves nothing to run: use 1 or more, or `show` to run nothing.")


@dataclasses.dataclass(frozen=True)
class EpochOptions(Options):
    """What an item takes whose length can be changed."""

    epochs: int | None = None
    """Number of epochs. Default: the published number. Runs with another number are kept apart."""

    @property
    def variant(self) -> str:
        """Names what differs from the published settings; empty where nothing does."""
        return "" if self.epochs is None else f"epochs-{self.epochs}"


@dataclasses.dataclass(frozen=True)
class TrainingOptions(EpochOptions):
    """What an item takes that trains networks on data sets."""

    selection: ClassVar[tuple[str, ...]] = ("dataset", "methods")
    dataset: tuple[str, ...] = ()
    """Data sets. An empty list stands for all of them."""
    methods: tuple[str, ...] = ()
    """Methods, by the name of their recipe, for example ddtp-linear. An empty list stands for all."""


class Part(abc.ABC):
    """A piece of an item that is run and kept by itself, all its missing seeds as one program. `row` and `column` say which
    piece it is."""

    row: str
    column: str

    @abc.abstractmethod
    def found(self) -> Mapping[int, Any]:
        """The finished seeds, in order, and what is kept of each."""

    def missing(self, seeds: int) -> list[int]:
        """Which of the seeds 0 .. `seeds - 1` are still to be run."""
        done = self.found()
        return [seed for seed in range(seeds) if seed not in done]

    @abc.abstractmethod
    def run(self, seeds: Sequence[int], progress: bool) -> bool:
        """Run some seeds, from where an interruption left them, and keep the results; `progress` shows a bar. Returns
        whether it was not interrupted."""

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
    """Run what is missing of an item, part by part, up to an interruption. Every finished part is kept; returns whether
    nothing is missing any more: no run was interrupted, and none diverged."""
    parts = item.parts(options)
    for part in parts:
        seeds = part.missing(options.seeds)
        if seeds and not part.run(seeds, progress):
            return False
    return not any(part.missing(options.seeds) for part in parts)


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


def report_cell(row: str, column: str, found: Summary, published: float | None = None) -> dict[str, Any]:
    """A cell of a report: what was found beside the published number, that of a single run, if there is one, and what that
    says."""
    ours = {"mean": found.mean, "sd": found.sd, "n": len(found.values)} if found.values else None
    theirs, verdict = None, NO_NUMBER if found.values else NOT_RUN
    if published is not None:
        theirs = {"mean": published, "sd": None}
        verdict = str(Verdict(found, Published(row, column, published, None, 1, "")))
    return {"row": row, "column": column, "published": theirs, "ours": ours, "verdict": verdict}


def document(item: Item[Any], report: Report) -> dict[str, Any]:
    """The report as one document of plain data."""
    return {"source": item.source, "item": item.name, "cells": list(report.cells)}


def whole(item: Item[OptionsT], options: OptionsT) -> OptionsT:
    """The options for all of an item: nothing of it is selected."""
    return dataclasses.replace(options, **{name: getattr(item.defaults, name) for name in options.selection})


def save(item: Item[OptionsT], options: OptionsT, command: str) -> list[Path]:
    """Write the page `NAME.md` and the picture `NAME.png` of the whole item below `results/SOURCE/report`.

    The page says by which `command` it was made. Returns the paths of the files."""
    options = whole(item, options)
    report = item.report(options)
    folder = options.results / item.source / "-".join(["report", *([report.variant] if report.variant else [])])
    folder.mkdir(parents=True, exist_ok=True)
    page, image = folder / f"{item.name}.md", folder / f"{item.name}.png"
    lines = [report.titles, ["---"] * len(report.titles), *report.rows]
    table = "\n".join("| " + " | ".join(line) + " |" for line in lines)
    blocks = [f"# {item.title}", f"{item.source}, `{command}`", table]
    blocks += [report.text] if report.text else []
    paths = [page]
    if report.draw is not None:
        report.draw(image)
        blocks.append(f"![{item.title}]({image.name})")
        paths.append(image)
    page.write_text("\n\n".join(blocks) + "\n")
    return paths
