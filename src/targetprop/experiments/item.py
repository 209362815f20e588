"""Items of papers: what an item is, the parts that it runs, its report, and its page."""

import abc
import dataclasses
import logging
import textwrap
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from .._files import write_whole
from ..errors import ConfigError
from ..figures import Format
from ..figures import save as save_figure
from ..training.arguments import Seeds, seed_list
from ..training.checkpoint import CheckpointError
from ..training.paths import check_folder
from ..training.result import Summary
from .damage import damage_noted
from .published import Published
from .verdict import NO_NUMBER, NOT_RUN, Verdict

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclasses.dataclass(frozen=True)
class Options:
    """The options of `targetprop reproduce SOURCE ITEM` that every item has.

    The fields that `selection` names choose which parts of the item are run and printed. Its page
    always shows all parts.

    **Raises:** `ConfigError` for numbers below 1.
    """

    selection: ClassVar[tuple[str, ...]] = ()
    seeds: int = 1
    """Number of seeds of each part. Those that are finished already count."""
    first_seed: int = 0
    """The first seed. The other seeds are the next numbers."""
    results: Path = Path("results")
    """Folder of the finished runs and of the reports."""
    estimate: bool = False
    """Run nothing. Print how long it will take on this machine."""
    show: bool = False
    """Run nothing. Print the results of the finished runs."""
    json: bool = False
    """Print one JSON document on standard output, and nothing else there."""
    format: Format = "png"
    """Format in which the pictures are written beside PNG, which the page shows."""

    def __post_init__(self):
        for name in ("seeds", "epochs"):
            value = getattr(self, name, None)
            if value is not None and value < 1:
                raise ConfigError(f"`{name}` {value} leaves nothing to run: use 1 or more, or `show` to run nothing.")
        seed_list([self.first_seed])

    @property
    def asked(self) -> range:
        """The seeds that are asked for."""
        return range(self.first_seed, self.first_seed + self.seeds)


@dataclasses.dataclass(frozen=True)
class EpochOptions(Options):
    """The options of an item whose number of epochs can be changed."""

    epochs: int | None = None
    """Number of epochs, instead of the published one. Such runs are kept apart."""

    @property
    def variant(self) -> str:
        """The difference to the published settings, in one word. Empty if there is none."""
        return "" if self.epochs is None else f"epochs-{self.epochs}"


@dataclasses.dataclass(frozen=True)
class TrainingOptions(EpochOptions):
    """The options of an item that trains networks on data sets."""

    selection: ClassVar[tuple[str, ...]] = ("dataset", "methods")
    dataset: tuple[str, ...] = ()
    """Data sets. Empty means all."""
    methods: tuple[str, ...] = ()
    """Methods by the name of their recipe, for example ddtp-linear. Empty means all."""


class Part(abc.ABC):
    """A part of an item that is run and stored on its own.

    All its missing seeds run as one program. `row` and `column` say which part it is.
    """

    row: str
    column: str

    @abc.abstractmethod
    def found(self) -> Mapping[int, Any]:
        """The results of the finished seeds, in the order of the seeds."""

    def missing(self, seeds: Seeds) -> list[int]:
        """Those of some seeds that are not finished. A number `n` means the seeds 0 .. `n - 1`."""
        done = self.found()
        return [seed for seed in seed_list(seeds) if seed not in done]

    @abc.abstractmethod
    def run(self, seeds: Sequence[int], progress: bool) -> bool:
        """Run some seeds and store the results. An interrupted run is continued.

        **Arguments:**

        - `seeds`: the seeds.
        - `progress`: whether a bar is shown on standard error.

        **Returns:** whether it ran to the end, without an interruption.
        """

    @abc.abstractmethod
    def seconds(self, seeds: Sequence[int]) -> float:
        """Estimate the seconds for some seeds on this machine, from a small part of the work."""


@dataclasses.dataclass(frozen=True)
class Picture:
    """A picture of a report.

    - `draw`: draws it.
    - `name`: what its file is called beside the other pictures of the item. Empty for the only one.
    - `title`: what it shows, for readers who do not see it. Empty means the title of the item.
    """

    draw: Callable[[], "Figure"]
    name: str = ""
    title: str = ""


@dataclasses.dataclass(frozen=True)
class Report:
    """The finished results of an item.

    - `cells`: the results as plain data. Each is a dictionary with at least `row`, `column`,
      `published` (or `None`) and `ours` (`None` if nothing was run).
    - `titles`, `rows`: the same as a table.
    - `pictures`: the pictures, in their order on the page.
    - `text`: Markdown below the table.
    - `variant`: the difference to the published settings. Such a report is kept apart.
    - `damaged`: the files that could not be read, and why. What they hold is left out.
    """

    cells: Sequence[dict[str, Any]]
    titles: Sequence[str]
    rows: Sequence[Sequence[str]]
    pictures: Sequence[Picture] = ()
    text: str = ""
    variant: str = ""
    damaged: Mapping[Path, str] = dataclasses.field(default_factory=dict)

    @property
    def left_out(self) -> str:
        """What is missing because it could not be read, in one sentence. Empty if nothing is."""
        files = ", ".join(f"`{path}` ({reason})" for path, reason in self.damaged.items())
        return f"Left out, since it cannot be read: {files}." if files else ""


LOGGER = logging.getLogger("targetprop")
PAGE_WIDTH = 99

OptionsT = TypeVar("OptionsT", bound=Options)


class Item(abc.ABC, Generic[OptionsT]):
    """A table or a figure of a paper.

    - `source`, `name`, `title`: the paper, the name of the item, and its title.
    - `defaults`: its options. Their type lists the flags of the command line.

    **Raises:** `ConfigError` from `parts` and `report` for options that do not fit.
    """

    source: str
    name: str
    title: str
    defaults: OptionsT

    @abc.abstractmethod
    def parts(self, options: OptionsT) -> Sequence[Part]:
        """The parts that it needs, in the order in which they run."""

    @abc.abstractmethod
    def report(self, options: OptionsT) -> Report:
        """The report of the finished results. Runs nothing."""


def run_missing(item: Item[OptionsT], options: OptionsT, progress: bool = True) -> bool:
    """Run the missing seeds of an item, part by part, until an interruption.

    A part with a damaged checkpoint is named in the log, and the others go on.

    **Arguments:**

    - `item`: the item.
    - `options`: its options.
    - `progress`: whether bars are shown on standard error.

    **Returns:** whether nothing is missing afterwards: no run was interrupted, and none diverged.
    """
    check_folder(options.results, "results")
    parts = item.parts(options)
    for part in parts:
        seeds = part.missing(options.asked)
        try:
            if seeds and not part.run(seeds, progress):
                return False
        except CheckpointError as error:
            LOGGER.warning("%s: %s", f"{part.row} {part.column}".strip(), error)
    return not any(part.missing(options.asked) for part in parts)


@dataclasses.dataclass(frozen=True)
class Estimate:
    """The missing seeds of a part, and the seconds that they take on this machine."""

    row: str
    column: str
    seeds: list[int]
    seconds: float


def estimate(item: Item[OptionsT], options: OptionsT) -> list[Estimate]:
    """Estimate the time for the missing seeds of an item, part by part."""
    estimates = []
    for part in item.parts(options):
        seeds = part.missing(options.asked)
        estimates.append(Estimate(part.row, part.column, seeds, part.seconds(seeds) if seeds else 0.0))
    return estimates


def check_known(item: str, kind: str, asked: Sequence[str], known: Sequence[str]) -> None:
    """Check a selection of parts of an item.

    **Arguments:**

    - `item`: the name of the item.
    - `kind`: what is selected, for example "method".
    - `asked`: the selected names.
    - `known`: the names that the item has.

    **Raises:** `ConfigError` if a selected name is not known.
    """
    for name in asked:
        if name not in known:
            raise ConfigError(f"{item} has no {kind} {name!r}; it has {', '.join(known)}.")


def plus_minus(found: Summary, digits: int) -> str:
    """Mean and standard deviation for a table, or a dash if there are no values."""
    if not found.values:
        return "-"
    spread = f" ± {found.sd:.{digits}f}" if len(found.values) > 1 else ""
    return f"{found.mean:.{digits}f}{spread}"


def report_cell(row: str, column: str, found: Summary, published: float | None = None) -> dict[str, Any]:
    """A cell of a report.

    **Arguments:**

    - `row`, `column`: its place in the table.
    - `found`: our values.
    - `published`: the published number of a single run, or `None`.

    **Returns:** both, and the verdict, as plain data.
    """
    ours = {"mean": found.mean, "sd": found.sd, "n": len(found.values)} if found.values else None
    theirs, verdict = None, NO_NUMBER if found.values else NOT_RUN
    if published is not None:
        theirs = {"mean": published, "sd": None}
        verdict = str(Verdict(found, Published(row, column, published, None, 1, "")))
    return {"row": row, "column": column, "published": theirs, "ours": ours, "verdict": verdict}


def document(item: Item[Any], report: Report) -> dict[str, Any]:
    """A report as one document of plain data. It has `damaged` only if something is left out."""
    damaged = [{"file": str(path), "reason": reason} for path, reason in report.damaged.items()]
    return {"source": item.source, "item": item.name, "cells": list(report.cells)} | (
        {"damaged": damaged} if damaged else {}
    )


def report_on(item: Item[OptionsT], options: OptionsT) -> Report:
    """The report of the finished results, which also says what could not be read."""
    with damage_noted() as damaged:
        report = item.report(options)
    return dataclasses.replace(report, damaged=damaged)


def whole(item: Item[OptionsT], options: OptionsT) -> OptionsT:
    """The options for all of an item: no part of it is selected."""
    return dataclasses.replace(options, **{name: getattr(item.defaults, name) for name in options.selection})


def save(item: Item[OptionsT], options: OptionsT, command: str) -> list[Path]:
    """Write the page `NAME.md` of a whole item and its pictures.

    They are in the folder `SOURCE/report` of the results. A single picture is `NAME.png`, of
    several each is `NAME-PICTURE.png`.

    **Arguments:**

    - `item`: the item.
    - `options`: its options. Those that select parts are ignored.
    - `command`: the command that makes the page, which the page shows.

    **Returns:** the paths of all.
    """
    options = whole(item, options)
    report = report_on(item, options)
    folder = options.results / item.source / "-".join(["report", *([report.variant] if report.variant else [])])
    folder.mkdir(parents=True, exist_ok=True)
    page = folder / f"{item.name}.md"
    lines = [report.titles, ["---"] * len(report.titles), *report.rows]
    table = "\n".join("| " + " | ".join(line) + " |" for line in lines)
    blocks = [f"# {item.title}", f"{item.source}, `{command}`", table]
    blocks += [_wrapped(text) for text in (report.text, report.left_out) if text]
    paths = [page]
    for picture in report.pictures:
        image = folder / "-".join([item.name, *([picture.name] if picture.name else [])])
        figure = picture.draw()
        paths += [save_figure(figure, Path(f"{image}.{kind}")) for kind in dict.fromkeys(("png", options.format))]
        blocks.append(f"![{picture.title or item.title}]({image.name}.png)")
    write_whole(page, "\n\n".join(blocks) + "\n")
    return paths


def _wrapped(text: str) -> str:
    """The text in lines that are easy to read and to compare."""
    return textwrap.fill(text, PAGE_WIDTH, break_long_words=False, break_on_hyphens=False)
