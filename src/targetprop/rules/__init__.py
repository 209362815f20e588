"""Credit-assignment rules: one, or one close family, per file. `RULES` is the registry the command line reads."""

from ._base import CHOICE, Lesson, ReconstructingRule, Rule, Updates
from .alignment import DirectFeedbackAlignment, FeedbackAlignment
from .approximate_inverses import DTPAI, TPAI
from .backprop import Backprop
from .dendrites import Dendrites, SinglePhase, TwoPhase
from .direct import DDTPControl, DDTPLinear
from .exact import ITP, ExactRule, GAITProp, TargetPropExact
from .gauss_newton import GaussNewtonTargets, GeneralizedGaussNewtonTargets
from .generalized import DDTPGGN
from .gradient_targets import GradientTargets
from .multiplexing import Multiplexing
from .random_hidden import DDTPRHL, DDTPRHLRec
from .target_propagation import DTP, DTPDRL, TP
from .variants import Modified, Randomized, Variant

RULES: dict[str, type[Rule]] = {
    rule.name: rule
    for rule in (
        Backprop,
        FeedbackAlignment,
        DirectFeedbackAlignment,
        TP,
        DTP,
        DTPDRL,
        TPAI,
        DTPAI,
        DDTPLinear,
        DDTPRHL,
        DDTPRHLRec,
        DDTPControl,
        GaussNewtonTargets,
        GeneralizedGaussNewtonTargets,
        DDTPGGN,
        GradientTargets,
        TargetPropExact,
        ITP,
        GAITProp,
        SinglePhase,
        TwoPhase,
        Multiplexing,
    )
}

# the rules that any network will do for
GENERAL = tuple(name for name, rule in RULES.items() if not issubclass(rule, ExactRule | TPAI | DTPAI))

__all__ = [
    "CHOICE",
    "DDTPGGN",
    "DDTPRHL",
    "DTP",
    "DTPAI",
    "DTPDRL",
    "GENERAL",
    "ITP",
    "RULES",
    "TP",
    "TPAI",
    "Backprop",
    "DDTPControl",
    "DDTPLinear",
    "DDTPRHLRec",
    "Dendrites",
    "DirectFeedbackAlignment",
    "ExactRule",
    "FeedbackAlignment",
    "GAITProp",
    "GaussNewtonTargets",
    "GeneralizedGaussNewtonTargets",
    "GradientTargets",
    "Lesson",
    "Modified",
    "Multiplexing",
    "Randomized",
    "ReconstructingRule",
    "Rule",
    "SinglePhase",
    "TargetPropExact",
    "TwoPhase",
    "Updates",
    "Variant",
]
