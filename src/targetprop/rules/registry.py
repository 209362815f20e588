"""The registry of all built-in rules by name."""

from typing import Protocol, runtime_checkable

from ..networks.requirements import Requirement
from .backprop import Backprop
from .contract import Rule
from .dendrites import SinglePhase, TwoPhase
from .exact import ITP, GAITProp, TargetPropExact
from .feedback_alignment import FeedbackAlignment
from .gauss_newton import GaussNewtonTargets, GeneralizedGaussNewtonTargets
from .gradient_targets import GradientTargets
from .presets import (
    ddtp_control,
    ddtp_ggn,
    ddtp_linear,
    ddtp_rhl,
    ddtp_rhl_rec,
    dfa,
    dtp,
    dtp_ai,
    dtpdrl,
    multiplexing,
    tp,
    tp_ai,
)


@runtime_checkable
class NamedRule(Protocol):
    """A rule in the registry: a class or a preset.

    A call without arguments returns the rule with its default hyperparameters.
    """

    __name__: str

    @property
    def name(self) -> str:
        """The name on the command line and in tables."""
        ...

    @property
    def equation(self) -> str:
        """The formula of the target updates."""
        ...

    @property
    def source(self) -> str:
        """The papers, with the number of the equation."""
        ...

    def __call__(self) -> Rule: ...


RULES: dict[str, NamedRule] = {  # pyright: ignore[reportAssignmentType] (classes have a name too)
    rule.name: rule
    for rule in (
        Backprop,
        FeedbackAlignment,
        dfa,
        tp,
        dtp,
        dtpdrl,
        tp_ai,
        dtp_ai,
        ddtp_linear,
        ddtp_rhl,
        ddtp_rhl_rec,
        ddtp_control,
        GaussNewtonTargets,
        GeneralizedGaussNewtonTargets,
        ddtp_ggn,
        GradientTargets,
        TargetPropExact,
        ITP,
        GAITProp,
        SinglePhase,
        TwoPhase,
        multiplexing,
    )
}

GENERAL = tuple(name for name in RULES if RULES[name]().requires <= {Requirement.DENSE_LAYERS})
"""The rules that work with any dense network."""
