"""Credit-assignment rules. `RULES` is the registry of all built-in rules by name."""

from ..networks.requirements import Requirement
from .backprop import Backprop
from .by_numbers import MinibatchStep, minibatch_step, with_feedback
from .contract import Credit, Example, Minibatch, Rule, Updates, assign, feedback_step_after, output_update, prepare
from .dendrites import Dendrites, SinglePhase, TwoPhase
from .exact import ITP, ExactRule, GAITProp, TargetPropExact
from .feedback_alignment import FeedbackAlignment
from .gauss_newton import GaussNewtonTargets, GeneralizedGaussNewtonTargets
from .gradient_targets import GradientTargets
from .modified import InverseSlopes
from .order import FeedbackAfterStep
from .preset import Preset, preset
from .propagation import BurstChannel, Difference, Plain, Propagation
from .registry import GENERAL, RULES, NamedRule
from .target_propagation import TargetPropagation
from .tops import AuxiliaryOutputs, GradientTop, OutputLayer, Top
from .updates import local_gradients, trainable_parameters

__all__ = [
    "GENERAL",
    "ITP",
    "RULES",
    "AuxiliaryOutputs",
    "Backprop",
    "BurstChannel",
    "Credit",
    "Dendrites",
    "Difference",
    "ExactRule",
    "Example",
    "FeedbackAfterStep",
    "FeedbackAlignment",
    "GAITProp",
    "GaussNewtonTargets",
    "GeneralizedGaussNewtonTargets",
    "GradientTargets",
    "GradientTop",
    "InverseSlopes",
    "Minibatch",
    "MinibatchStep",
    "NamedRule",
    "OutputLayer",
    "Plain",
    "Preset",
    "Propagation",
    "Requirement",
    "Rule",
    "SinglePhase",
    "TargetPropExact",
    "TargetPropagation",
    "Top",
    "TwoPhase",
    "Updates",
    "assign",
    "feedback_step_after",
    "local_gradients",
    "minibatch_step",
    "output_update",
    "prepare",
    "preset",
    "trainable_parameters",
    "with_feedback",
]
