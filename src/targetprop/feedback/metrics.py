"""The metric of the output: in which coordinates displacements of the output enter the feedback."""

import abc
from collections.abc import Callable
from typing import ClassVar

import equinox as eqx

from ..errors import check_not_negative
from ..networks.layers import Activity
from .gauss_newton import CurvatureRoot, Root


class OutputMetric(eqx.Module):
    """How the distance of two outputs is measured."""

    @abc.abstractmethod
    def root(self, curvature: Callable[[Activity], Activity], output: Activity) -> Root:
        """The root of the metric at an output; `curvature` maps `v` to `H_L v`, `H_L` the Hessian of the output loss."""


class IdentityRoot(Root):
    """`K = I`."""

    def __call__(self, v):
        return v

    def solve(self, v):
        return v


class Euclidean(OutputMetric):
    """The squared distance itself, with which targets are those of Gauss-Newton."""

    word: ClassVar[str] = "euclidean"

    def root(self, curvature, output):
        return IdentityRoot()


class LossCurvature(OutputMetric):
    """The metric `H_L + damping I`, with `H_L` the Hessian of the output loss. With it targets are those of generalized
    Gauss-Newton (Meulemans et al. 2020, supplement D.2, equations 192 and 195).

    `damping` must be positive for softmax with cross-entropy, whose `H_L` is singular. `K^{-1}` multiplies a displacement by
    `1 / sqrt(damping)` at most.
    """

    word: ClassVar[str] = "loss-curvature"

    damping: float = 1e-2
    """What is added to the Hessian of the output loss."""

    def __check_init__(self):
        check_not_negative(self, "damping")

    def root(self, curvature, output):
        return CurvatureRoot.of(curvature, output, self.damping)
