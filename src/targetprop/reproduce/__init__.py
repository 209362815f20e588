"""Comparisons and their reports."""

from .compare import Comparison, compare

__all__ = ["Comparison", "compare"]
