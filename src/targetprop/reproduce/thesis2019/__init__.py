"""Items of the thesis on target propagation (Meulemans 2019)."""

from typing import Any

from ..item import Item
from .block_diagonal import BlockDiagonalFigure
from .sherman_morrison import SingularityFigure

ITEMS: tuple[Item[Any], ...] = (
    SingularityFigure(),
    BlockDiagonalFigure(),
)
