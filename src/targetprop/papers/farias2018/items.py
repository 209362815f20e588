"""Items of *Gradient target propagation* (Farias and Maziero 2018)."""

from typing import Any

from ..._packaged import beside
from ...experiments.item import Item
from ...experiments.published import read_tables
from ...experiments.tables import TableItem
from .two_neurons import TwoNeuronsFigure

TABLES = read_tables("farias2018", beside(__name__, "published.json"))

ITEMS: tuple[Item[Any], ...] = (
    *(TableItem(table) for table in TABLES.values()),
    TwoNeuronsFigure(),
)
