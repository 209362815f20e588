"""Items of *Gradient target propagation* (Farias and Maziero 2018)."""

from typing import Any

from ..item import Item
from ..published import tables
from ..tables import TableItem
from .two_neurons import TwoNeuronsFigure

ITEMS: tuple[Item[Any], ...] = (
    *(TableItem(table) for table in tables("farias2018").values()),
    TwoNeuronsFigure(),
)
