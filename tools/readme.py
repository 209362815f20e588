"""Fill the tables of README.md from the registry of rules and from the committed results: `make
readme`.

A table is between two marks, `<!-- table NAME -->` and `<!-- end -->`. A function below makes it.
"""

import json
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from targetprop.experiments.item import TrainingOptions, plus_minus
from targetprop.experiments.tables import Cell, TableItem
from targetprop.figures import dataset_name
from targetprop.papers.meulemans2020.items import TABLES as PUBLISHED
from targetprop.rules import RULES

ROOT = Path(__file__).parent.parent
DATASETS = ("mnist", "frozen-mnist", "fashion-mnist", "cifar10")


def lines(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    return "\n".join("| " + " | ".join(line) + " |" for line in (titles, ["---"] * len(titles), *rows))


def rules() -> str:
    """All built-in rules, from the registry."""
    rows = [(f"`{rule.name}`", f"`{rule.equation}`".replace("|", "\\|"), rule.source) for rule in RULES.values()]
    return lines(("name", "target update", "source"), rows)


def digits() -> str:
    """Test error on digits, from `results/digits/comparison.json`."""
    entries = json.loads((ROOT / "results/digits/comparison.json").read_text())["rules"]
    errors = [(e, e["test_error"]) for e in entries]
    rows = [(e["rule"], f"{found['mean']:.2f} ± {found['sd']:.2f}", f"{e['ratio_to_bp']:.1f}") for e, found in errors]
    return lines(("rule", "test error (%)", "time per epoch / BP's"), rows)


def errors() -> str:
    """Table S6 of Meulemans et al. 2020 on the data sets of which something was run, from
    `results/meulemans2020`.
    """
    item = TableItem(PUBLISHED["table-s6"])
    cells = [cell for cell in item.compared(TrainingOptions(results=ROOT / "results")) if cell.published.column in DATASETS]
    found = {(cell.published.row, cell.published.column): cell for cell in cells}
    methods = dict.fromkeys(cell.published.row for cell in cells)
    shown = [name for name in DATASETS if any(c.verdict.ours.values for (_, column), c in found.items() if column == name)]
    titles = ["method", *(f"{dataset_name(name)}, {whose}" for name in shown for whose in ("published", "ours (seeds)"))]
    return lines(
        titles, ([method, *(text for name in shown for text in both(found.get((method, name))))] for method in methods)
    )


def both(cell: Cell | None) -> tuple[str, str]:
    """A published cell and ours."""
    if cell is None:
        return "-", "-"
    theirs, ours = cell.published, cell.verdict.ours
    measured = f"{plus_minus(ours, 2)} ({len(ours.values)})" if ours.values else "not yet run"
    return f"{theirs.mean:.2f} ± {theirs.sd:.2f}", measured


def steps(name: str) -> str:
    """Cost of a step, from a file of `benchmarks`."""
    measured = json.loads((ROOT / f"benchmarks/{name}.json").read_text())
    rows = [
        (e["rule"], f"{e['ms']:.2f}", f"{e['ratio_to_bp']:.2f}", f"{e['compile_seconds']:.1f}", f"{e['temporary_mib']:.1f}")
        for e in (measured["reference"], *measured["rules"])
    ]
    return lines(("rule", "ms per step", "ratio to hand-written BP", "compile (s)", "temporaries (MiB)"), rows)


TABLES: dict[str, Callable[[], str]] = {
    "rules": rules,
    "digits": digits,
    "errors": errors,
    "steps": lambda: steps("steps"),
    "invertible": lambda: steps("invertible"),
}


def fill(text: str) -> str:
    """The text with every table made anew."""

    def made(match: re.Match[str]) -> str:
        return f"<!-- table {match[1]} -->\n{TABLES[match[1]]()}\n<!-- end -->"

    return re.sub(r"<!-- table (\w+) -->\n.*?<!-- end -->", made, text, flags=re.DOTALL)


if __name__ == "__main__":
    readme = ROOT / "README.md"
    readme.write_text(fill(readme.read_text()))
