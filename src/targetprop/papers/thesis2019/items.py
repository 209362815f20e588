"""Items of the thesis on target propagation (Meulemans 2019)."""

from typing import Any

from ...experiments.item import Item
from . import dendrites, inverses, regression_figures
from .block_diagonal import BlockDiagonalFigure
from .factorization import FactorizationFigure
from .sherman_morrison import SingularityFigure
from .stability import StabilityFigure
from .toy import LINEAR, MODIFIED, NONLINEAR

ITEMS: tuple[Item[Any], ...] = (
    LINEAR,
    NONLINEAR,
    MODIFIED,
    SingularityFigure(),
    BlockDiagonalFigure(),
    *inverses.FIGURES,
    FactorizationFigure(),
    *regression_figures.FIGURES,
    *dendrites.ITEMS,
    StabilityFigure(),
)
