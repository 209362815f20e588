"""The registry of all built-in rules by name."""

from typing import Protocol, runtime_checkable

from ..networks.requirements import Requirement
from . import presets
from .backprop import Backprop
from .contract import Rule
from .dendrites import SinglePhase, TwoPhase
from .exact import ITP, GAITProp, TargetPropExact
from .feedback_alignment import FeedbackAlignment
from .gauss_newton import GaussNewtonTargets, GeneralizedGaussNewtonTargets
from .gradient_targets import GradientTargets
from .preset import Preset


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
        *(made for made in vars(presets).values() if isinstance(made, Preset)),
        GaussNewtonTargets,
        GeneralizedGaussNewtonTargets,
        GradientTargets,
        TargetPropExact,
        ITP,
        GAITProp,
        SinglePhase,
        TwoPhase,
    )
}

GENERAL = tuple(name for name in RULES if RULES[name]().requires <= {Requirement.DENSE_LAYERS})
"""The rules that work with any dense network."""
