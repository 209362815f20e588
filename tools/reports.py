"""Write the pages and pictures of everything below `results/` of which something was run: `make
reports`.
"""

import dataclasses
from pathlib import Path

from targetprop.cli.reproduce import shown_command
from targetprop.experiments.item import save
from targetprop.papers.items import all_items

RESULTS = Path(__file__).parent.parent / "results"

if __name__ == "__main__":
    for item in all_items():
        options = dataclasses.replace(item.defaults, results=RESULTS)
        if any(part.found() for part in item.parts(options)):
            for path in save(item, options, shown_command(item, options)):
                print(path.relative_to(RESULTS.parent))
