"""Items of *A Theoretical Framework for Target Propagation* (Meulemans et al. 2020)."""

from typing import Any

from ..._packaged import beside
from ...experiments.item import Item
from ...experiments.published import read_tables
from ...experiments.tables import TableItem
from .alignment import MAIN, AlignmentFigure
from .damping import DampingTable
from .null_space import NullSpaceFigure
from .output_space import OutputSpaceFigure

TABLES = read_tables("meulemans2020", beside(__name__, "published.json"))

ITEMS: tuple[Item[Any], ...] = (
    *(TableItem(table) for table in TABLES.values()),
    NullSpaceFigure(),
    OutputSpaceFigure(),
    AlignmentFigure("fig4", "fashion-mnist", "Fig. 4", shown=MAIN, layers=(5,), damped=False),
    AlignmentFigure("fig-s3", "fashion-mnist", "Fig. S3"),
    AlignmentFigure("fig-s4", "mnist", "Fig. S4"),
    AlignmentFigure("fig-s5", "cifar10", "Fig. S5"),
    DampingTable(),
)
