"""Comparisons and their reports."""

from .compare import Comparison, ComparisonError, compare

__all__ = ["Comparison", "ComparisonError", "compare"]
