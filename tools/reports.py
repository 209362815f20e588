"""Write the pages and pictures of everything below `results/` of which something was run: `make
reports`.
"""

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from targetprop.cli.reproduce import shown_command
from targetprop.experiments import EpochOptions, Item, Options
from targetprop.experiments.item import save
from targetprop.experiments.reading import read_comparison
from targetprop.figures import save as save_figure
from targetprop.papers.items import all_items

RESULTS = Path(__file__).parent.parent / "results"


def variants(item: Item[Any]) -> Iterator[Options]:
    """The options of the pages of an item: as published, and with the numbers of epochs of which
    there is a page already.
    """
    options = dataclasses.replace(item.defaults, results=RESULTS)
    yield options
    if isinstance(options, EpochOptions):
        for page in sorted(RESULTS.glob(f"{item.source}/report-epochs-*/{item.name}.md")):
            yield dataclasses.replace(options, epochs=int(page.parent.name.rpartition("-")[2]))


if __name__ == "__main__":
    curves = RESULTS / "digits" / "learning-curves.png"
    save_figure(read_comparison(curves.parent).plot("learning-curves"), curves)
    print(curves.relative_to(RESULTS.parent))
    for item in all_items():
        for options in variants(item):
            if any(part.found() for part in item.parts(options)):
                for path in save(item, options, shown_command(item, options)):
                    print(path.relative_to(RESULTS.parent))
