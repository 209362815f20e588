"""Diagnostics: compare updates and targets with backpropagation and Gauss-Newton optimization."""

from .angles import angle, backprop_gradients, gauss_newton_target_gradients, layer_angles, target_angles
from .damping import DAMPINGS, best_dampings, damped_targets, damping_angles
from .decomposition import Decomposition, decompose
from .hebbian import HebbianParts, hebbian_parts, target_residuals
from .null_space import null_space_shares
from .output_change import output_change, output_direction
from .probe import (
    DIAGNOSTICS,
    USUAL,
    AngleToBackprop,
    AngleToGaussNewton,
    AngleToGaussNewtonTargets,
    AngleToTargetPropagation,
    DampingSearch,
    Diagnostic,
    NullSpaceShare,
    OutputDirection,
    Probe,
    Sample,
    SingularValues,
    TargetDecomposition,
    TargetResidual,
    UpdateParts,
    named_diagnostics,
)
from .spectra import feedback_jacobians, feedback_singular_values, forward_singular_values

__all__ = [
    "DAMPINGS",
    "DIAGNOSTICS",
    "USUAL",
    "AngleToBackprop",
    "AngleToGaussNewton",
    "AngleToGaussNewtonTargets",
    "AngleToTargetPropagation",
    "DampingSearch",
    "Decomposition",
    "Diagnostic",
    "HebbianParts",
    "NullSpaceShare",
    "OutputDirection",
    "Probe",
    "Sample",
    "SingularValues",
    "TargetDecomposition",
    "TargetResidual",
    "UpdateParts",
    "angle",
    "backprop_gradients",
    "best_dampings",
    "damped_targets",
    "damping_angles",
    "decompose",
    "feedback_jacobians",
    "feedback_singular_values",
    "forward_singular_values",
    "gauss_newton_target_gradients",
    "hebbian_parts",
    "layer_angles",
    "named_diagnostics",
    "null_space_shares",
    "output_change",
    "output_direction",
    "target_angles",
    "target_residuals",
]
