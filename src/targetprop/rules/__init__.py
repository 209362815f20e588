"""Credit-assignment rules: one, or one close family, per file. `RULES` is the registry the command line reads."""

from ._base import Rule, Updates
from .alignment import DirectFeedbackAlignment, FeedbackAlignment
from .backprop import Backprop
from .direct import DDTPLinear
from .target_propagation import DTP, DTPDRL, TP

RULES: dict[str, type[Rule]] = {
    rule.name: rule for rule in (Backprop, FeedbackAlignment, DirectFeedbackAlignment, TP, DTP, DTPDRL, DDTPLinear)
}

__all__ = [
    "DTP",
    "DTPDRL",
    "RULES",
    "TP",
    "Backprop",
    "DDTPLinear",
    "DirectFeedbackAlignment",
    "FeedbackAlignment",
    "Rule",
    "Updates",
]
