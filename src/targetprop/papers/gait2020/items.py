"""Items of the paper on GAIT-prop (Ahmad, van Gerven and Ambrogioni 2020)."""

from typing import Any

from ...experiments.item import Item
from .accuracy import FIG2, FIG3, FIG4, AccuracyFigure
from .equilibrium import EquilibriumFigure
from .grid import GridTable
from .scatter import ScatterFigure

ITEMS: tuple[Item[Any], ...] = (
    ScatterFigure(),
    AccuracyFigure("fig2", "Fig. 2: accuracy by depth, by data set, and of a linear network", FIG2),
    AccuracyFigure("fig3", "Fig. 3: accuracy with fixed and with shrinking widths", FIG3),
    AccuracyFigure("fig4", "Fig. 4: accuracy of deeper networks", FIG4),
    GridTable("table1", "bp", "Table 1: grid search, backpropagation"),
    GridTable("table2", "tp-exact", "Table 2: grid search, target propagation"),
    GridTable("table3", "gait", "Table 3: grid search, GAIT-prop"),
    EquilibriumFigure(),
)
