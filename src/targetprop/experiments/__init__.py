"""What users run: comparisons, searches, benchmarks, and the reproduction of published results."""

from .benchmark import Cost, InvertibleMLP, Setting, TanhMLP, Timing, measure
from .catalog import UnknownRecipeError, recipe
from .comparison import Comparison, ComparisonError, compare
from .experiment import Experiment, ExperimentPart, extrapolated
from .intervals import PairedDifference
from .item import (
    EpochOptions,
    Estimate,
    Item,
    Options,
    Part,
    Picture,
    Report,
    TrainingOptions,
    estimate,
    plus_minus,
    report_cell,
    run_missing,
)
from .published import Published, Table, read_tables
from .runs import compare_runs
from .sources import RecipeSource, recipe_names, register
from .space import SPACE, OneOf, Range, Space
from .store import Store, StoredSeed
from .tables import TableItem
from .training_part import TrainingPart
from .tuning import SearchResult, search
from .verdict import Verdict

__all__ = [
    "SPACE",
    "Comparison",
    "ComparisonError",
    "Cost",
    "EpochOptions",
    "Estimate",
    "Experiment",
    "ExperimentPart",
    "InvertibleMLP",
    "Item",
    "OneOf",
    "Options",
    "PairedDifference",
    "Part",
    "Picture",
    "Published",
    "Range",
    "RecipeSource",
    "Report",
    "SearchResult",
    "Setting",
    "Space",
    "Store",
    "StoredSeed",
    "Table",
    "TableItem",
    "TanhMLP",
    "Timing",
    "TrainingOptions",
    "TrainingPart",
    "UnknownRecipeError",
    "Verdict",
    "compare",
    "compare_runs",
    "estimate",
    "extrapolated",
    "measure",
    "plus_minus",
    "read_tables",
    "recipe",
    "recipe_names",
    "register",
    "report_cell",
    "run_missing",
    "search",
]
