"""One folder for each paper: its recipes, its published numbers, and its tables and figures.

Importing this room registers the papers by name. The folder of a paper is loaded when it is
needed.
"""

from typing import TYPE_CHECKING, Any

from .._sources import register

if TYPE_CHECKING:
    from .items import all_items, item

__all__ = ["PAPERS", "all_items", "item"]

PAPERS = ("meulemans2020", "thesis2019", "gait2020", "farias2018")

for _paper in PAPERS:
    register(_paper, f"{__name__}.{_paper}.recipes", gives_defaults=_paper == "meulemans2020")


def __getattr__(name: str) -> Any:
    if name not in ("all_items", "item"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from . import items

    return getattr(items, name)
