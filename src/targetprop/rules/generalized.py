"""DDTP whose feedback learns generalized Gauss-Newton targets: the output loss's curvature enters the reconstruction."""

from typing import ClassVar

import equinox as eqx

from ..errors import check_not_negative, check_positive
from ..feedback.gauss_newton import CurvatureRoot
from ..feedback.maps import direct_maps
from ..feedback.reconstruction import Regularizer, WeightDecay, carry_noise, direct_reconstruction, draw_noise
from ..feedback.sources import output_sources
from ..networks.activations import Identity
from ._base import ReconstructingRule
from .direct import propagate_directly


class DDTPGGN(ReconstructingRule):
    """DDTP with linear mappings that learn generalized Gauss-Newton targets (Meulemans et al. 2020, supplement D.2).

    With `H_L` the Hessian of the output loss and `K_L K_L^T = H_L + curvature_damping I`, the mappings rebuild the noise
    from `K_L^T` times the displacement of the output (equation 192), and the targets of the hidden layers set out from
    `K_L^{-1} dh_L` instead of `dh_L`. Where each sample's optimum is reached,
    `dh_i = (J_i^T (H_L + curvature_damping I) J_i + lambda I)^{-1} J_i^T dh_L` (equation 196).
    `K_L` is the symmetric root, taken at the clean output; `H_L` is the trace's `curvature`.

    `sigma` is the noise level, `regularizer` the second term of the loss (`WeightDecay` or `OutputNoise`, with `lambda`),
    `samples` the number of noise draws per step. `curvature_damping` must be positive for softmax with cross-entropy,
    whose `H_L` is singular; `K_L^{-1}` multiplies a displacement by `1 / sqrt(curvature_damping)` at most.
    """

    sigma: float = 0.05
    """Standard deviation of the noise that the feedback learns from."""
    regularizer: Regularizer = WeightDecay()
    """What keeps the feedback small."""
    curvature_damping: float = 1e-2
    """What is added to the Hessian of the output loss."""
    samples: int = eqx.field(static=True, default=1)
    """Noise draws per step."""

    name: ClassVar[str] = "ddtp-ggn"
    equation: ClassVar[str] = "dh_i = Q_i K_L^{-1} dh_L, Q_i trained through the output and K_L^T, K_L K_L^T = H_L"
    source: ClassVar[str] = "Meulemans et al. 2020, eqs. 192 and 195"

    def __check_init__(self):
        check_positive(self, "sigma")
        check_not_negative(self, "curvature_damping")

    def init(self, network, *, key):
        return direct_maps(network, Identity(), key=key)

    def target_updates(self, network, feedback, trace, output_update):
        root = CurvatureRoot.of(trace, self.curvature_damping)
        hidden = propagate_directly(feedback, output_sources(trace), root.solve(output_update))[:-1]
        return (*hidden, output_update)

    def draw(self, trace, key):
        return draw_noise(trace, self.sigma, self.regularizer, key)

    def feedback_step(self, network, feedback, trace, noise):
        root = CurvatureRoot.of(trace, self.curvature_damping)
        loop = carry_noise(network, trace, noise)
        loop = loop._replace(moved=root(loop.moved))
        return direct_reconstruction(feedback, trace, loop, self.sigma, self.regularizer)
