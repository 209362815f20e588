"""The metric of the output: how the feedback reads displacements of the output."""

import abc
from collections.abc import Callable
from typing import ClassVar

from .._array_checks import CheckedModule
from ..errors import check_not_negative
from ..networks.layers import Activity
from .gauss_newton import CurvatureRoot, Root


class OutputMetric(CheckedModule):
    """How the distance of two outputs is measured."""

    @abc.abstractmethod
    def root(self, curvature: Callable[[Activity], Activity], output: Activity) -> Root:
        """The root of the metric at an output.

        **Arguments:**

        - `curvature`: maps `v` to `H_L v`, with `H_L` the Hessian of the output loss.
        - `output`: `h_L`, shape `(batch, n_L)`.
        """


class IdentityRoot(Root):
    """`K = I`."""

    def __call__(self, v):
        return v

    def solve(self, v):
        return v


class Euclidean(OutputMetric):
    """The Euclidean distance. Targets are then Gauss-Newton targets."""

    word: ClassVar[str] = "euclidean"

    def root(self, curvature, output):
        return IdentityRoot()


class LossCurvature(OutputMetric):
    """The metric `H_L + damping I`, with `H_L` the Hessian of the output loss.

    Targets are then generalized Gauss-Newton targets (Meulemans et al. 2020, supplement D.2,
    equations 192 and 195). `K^{-1}` multiplies a displacement by `1 / sqrt(damping)` at most. For
    softmax with cross-entropy `H_L` is singular, so `damping` must be positive.
    """

    word: ClassVar[str] = "loss-curvature"

    damping: float = 1e-2
    """Number added to the diagonal of the Hessian of the output loss."""

    def __check_init__(self):
        check_not_negative(self, "damping")

    def root(self, curvature, output):
        return CurvatureRoot.of(curvature, output, self.damping)
