"""The named rules of the family `TargetPropagation`, and the parts of each."""

from ..feedback.learners import (
    ActivityReconstruction,
    DifferenceReconstruction,
    InverseLoss,
    Reconstruction,
    UncorrectedReconstruction,
)
from ..feedback.mappings import Direct, Layerwise, LearnedInverses, RandomHidden, RecurrentRandomHidden
from ..feedback.metrics import LossCurvature
from ..feedback.noise import Gaussian
from ..feedback.regularizers import NO_DECAY, Decay, Regularizer, WeightDecay
from ..networks.activations import Activation, Tanh
from .preset import preset
from .propagation import BurstChannel, Difference, Plain
from .target_propagation import TargetPropagation
from .tops import AuxiliaryOutputs, GradientTop

TANH, WEIGHT_DECAY = Tanh(), WeightDecay()


@preset("dfa", equation="dh_i = B_i dh_L", source="Nøkland 2016")
def dfa() -> TargetPropagation:
    """Direct feedback alignment: `dh_i = B_i dh_L` with `B_i` fixed and random.

    It is `DFA` in Meulemans et al. 2020.
    """
    return TargetPropagation(Direct())


@preset("tp", equation="dh_i = g_i(h_{i+1} + dh_{i+1}) - h_i", source="Bengio 2014; Meulemans et al. 2020, eq. 3")
def tp(
    sigma: float = 0.1, regularizer: Decay = NO_DECAY, samples: int = 1, feedback_activation: Activation = TANH
) -> TargetPropagation:
    """Target propagation: `dh_i = g_i(h_{i+1} + dh_{i+1}) - h_i`.

    The reconstruction error of the feedback is part of the target update.
    `g_i(h) = t(Q_i h + c_i)` learns to reconstruct activities of its layer with noise.

    **Arguments:**

    - `sigma`: Standard deviation of the noise that the feedback learns from.
    - `regularizer`: Penalty on the feedback mappings.
    - `samples`: Number of noise draws per step.
    - `feedback_activation`: Nonlinearity `t` of the feedback mappings.
    """
    return TargetPropagation(Layerwise(feedback_activation), Plain(), Reconstruction(Gaussian(sigma, samples), regularizer))


@preset(
    "dtp",
    equation="dh_i = g_i(h_{i+1} + dh_{i+1}) - g_i(h_{i+1})",
    source="Lee et al. 2015; Meulemans et al. 2020, Algorithm 1",
)
def dtp(
    sigma: float = 0.1, regularizer: Decay = NO_DECAY, samples: int = 1, feedback_activation: Activation = TANH
) -> TargetPropagation:
    """Difference target propagation: `dh_i = g_i(h_{i+1} + dh_{i+1}) - g_i(h_{i+1})`.

    Meulemans et al. 2020, Algorithm 1.

    **Arguments:**

    - `sigma`: Standard deviation of the noise that the feedback learns from.
    - `regularizer`: Penalty on the feedback mappings.
    - `samples`: Number of noise draws per step.
    - `feedback_activation`: Nonlinearity `t` of the feedback mappings.
    """
    return TargetPropagation(
        Layerwise(feedback_activation), Difference(), Reconstruction(Gaussian(sigma, samples), regularizer)
    )


@preset(
    "dtp-lee",
    equation="dh_{L-1} = J_L^T dh_L, dh_i = g_i(h_{i+1} + dh_{i+1}) - g_i(h_{i+1})",
    source="Lee et al. 2015, Algorithm 1; Meulemans 2019, section 3.1.2",
)
def dtp_lee(
    sigma: float = 0.1, regularizer: Decay = NO_DECAY, samples: int = 1, feedback_activation: Activation = TANH
) -> TargetPropagation:
    """Difference target propagation as published: the last hidden layer learns from the gradient.

    Its target is `h_{L-1} - stepsize dl/dh_{L-1}`, computed by backpropagation through the output
    layer. Below it, targets are those of `dtp`. There is no mapping from the output (Lee et al.
    2015, Algorithm 1; Meulemans 2019, section 3.1.2). `dtp` replaces the gradient by a mapping, the
    "simplified" DTP of Bartunov et al. 2018.

    **Arguments:**

    - `sigma`: Standard deviation of the noise that the feedback learns from.
    - `regularizer`: Penalty on the feedback mappings.
    - `samples`: Number of noise draws per step.
    - `feedback_activation`: Nonlinearity `t` of the feedback mappings.
    """
    learner = Reconstruction(Gaussian(sigma, samples), regularizer)
    return TargetPropagation(Layerwise(feedback_activation), Difference(), learner, top=GradientTop())


@preset(
    "ao-sdtp",
    equation="dh_i = g_i(h_{i+1} + dh_{i+1}) - g_i(h_{i+1}), h_L with [h_L z], z = s(V h_{L-1}), V fixed",
    source="Bartunov et al. 2018; Meulemans 2019, eq. 3.16",
)
def ao_sdtp(
    sigma: float = 0.1,
    regularizer: Decay = NO_DECAY,
    samples: int = 1,
    feedback_activation: Activation = TANH,
    auxiliary_units: int = 0,
    auxiliary_activation: Activation = TANH,
) -> TargetPropagation:
    """DTP with auxiliary outputs `z = s(V h_{L-1})`, which have no targets but carry feedback.

    The mapping to the last hidden layer reads the output and `z`. So two samples with the same
    output may have different targets. `V` is random and fixed, and the loss does not depend on `z`
    (auxiliary output simplified DTP, Bartunov et al. 2018; Meulemans 2019, equation 3.16).

    **Arguments:**

    - `sigma`: Standard deviation of the noise that the feedback learns from.
    - `regularizer`: Penalty on the feedback mappings.
    - `samples`: Number of noise draws per step.
    - `feedback_activation`: Nonlinearity `t` of the feedback mappings.
    - `auxiliary_units`: Number of auxiliary outputs. 0: as many as make output and `z` together as
      wide as the last hidden layer.
    - `auxiliary_activation`: Nonlinearity `s` of the auxiliary outputs.
    """
    learner = Reconstruction(Gaussian(sigma, samples), regularizer)
    top = AuxiliaryOutputs(auxiliary_units, auxiliary_activation)
    return TargetPropagation(Layerwise(feedback_activation), Difference(), learner, top=top)


@preset(
    "dtpdrl",
    equation="dh_i = g_i(h_{i+1} + dh_{i+1}) - g_i(h_{i+1}), g trained through the output",
    source="Meulemans et al. 2020, Algorithm 2",
)
def dtpdrl(
    sigma: float = 0.05,
    regularizer: Regularizer = WEIGHT_DECAY,
    samples: int = 1,
    feedback_activation: Activation = TANH,
) -> TargetPropagation:
    """DTP whose layer-wise mappings learn by the difference reconstruction loss.

    The noise passes to the output and back (Meulemans et al. 2020, equation 9 and Algorithm 2).

    **Arguments:**

    - `sigma`: Standard deviation of the noise that the feedback learns from.
    - `regularizer`: Penalty on the feedback mappings, the second term of the loss.
    - `samples`: Number of noise draws per step.
    - `feedback_activation`: Nonlinearity `t` of the feedback mappings.
    """
    learner = DifferenceReconstruction(Gaussian(sigma, samples), regularizer)
    return TargetPropagation(Layerwise(feedback_activation), Difference(), learner)


@preset(
    "tp-ai",
    equation="dh_i = g_i(h_{i+1} + dh_{i+1}) - h_i, g_i(h) = Q_i s_{i+1}^{-1}(h)",
    source="Meulemans 2019, Algorithm A.10",
)
def tp_ai(sigma: float = 1.0, strength: float = 0.0, samples: int = 1) -> TargetPropagation:
    """Target propagation with approximate inverses: `dh_i = g_i(h_{i+1} + dh_{i+1}) - h_i`.

    `g_i(h) = Q_i s_{i+1}^{-1}(h) + c_i` (Meulemans 2019, section 4.3.2, Algorithm A.10). `Q_i`
    starts at the pseudo-inverse of `W_{i+1}`, as in the thesis. There is a `c_i` if layer `i + 1`
    has a bias.

    **Arguments:**

    - `sigma`: Standard deviation of the white noise that the feedback learns from.
    - `strength`: Strength of the penalty on the mappings, `lambda` in the thesis.
    - `samples`: Number of noise draws per step.
    """
    return TargetPropagation(LearnedInverses(), Plain(), InverseLoss(Gaussian(sigma, samples), strength))


@preset(
    "dtp-ai",
    equation="dh_i = g_i(h_{i+1} + dh_{i+1}) - g_i(h_{i+1}), g_i(h) = Q_i s_{i+1}^{-1}(h)",
    source="Meulemans 2019, Algorithm A.12",
)
def dtp_ai(sigma: float = 1.0, strength: float = 0.0, samples: int = 1) -> TargetPropagation:
    """DTP with approximate inverses: `dh_i = g_i(h_{i+1} + dh_{i+1}) - g_i(h_{i+1})`.

    `g_i(h) = Q_i s_{i+1}^{-1}(h) + c_i` (Meulemans 2019, section 4.3.3, Algorithm A.12). If the
    widths obey `n_L = .. = n_2 <= n_1` and `g_i` is trained to convergence, the targets are those
    of Gauss-Newton to first order (Theorem 4.9).

    **Arguments:**

    - `sigma`: Standard deviation of the white noise that the feedback learns from.
    - `strength`: Strength of the penalty on the mappings, `lambda` in the thesis.
    - `samples`: Number of noise draws per step.
    """
    return TargetPropagation(LearnedInverses(), Difference(), InverseLoss(Gaussian(sigma, samples), strength))


@preset(
    "ddtp-linear",
    equation="dh_i = Q_i dh_L, Q_i trained through the output",
    source="Meulemans et al. 2020, Algorithm 3",
)
def ddtp_linear(sigma: float = 0.05, regularizer: Regularizer = WEIGHT_DECAY, samples: int = 1) -> TargetPropagation:
    """Direct difference target propagation with linear mappings `g_i(h_L) = Q_i h_L + c_i`.

    They learn by the difference reconstruction loss (Meulemans et al. 2020, equation 9 and
    Algorithm 3).

    **Arguments:**

    - `sigma`: Standard deviation of the noise that the feedback learns from.
    - `regularizer`: Penalty on the feedback mappings, the second term of the loss.
    - `samples`: Number of noise draws per step.
    """
    return TargetPropagation(Direct(), Difference(), DifferenceReconstruction(Gaussian(sigma, samples), regularizer))


@preset(
    "ddtp-rhl",
    equation="dh_i = g_i(h_L + dh_L) - g_i(h_L), g_i(h) = t(Q_i tanh(R h + d) + c_i), R and d fixed",
    source="Meulemans et al. 2020, Algorithm 3",
)
def ddtp_rhl(
    sigma: float = 0.05,
    regularizer: Regularizer = WEIGHT_DECAY,
    samples: int = 1,
    width: int = 1024,
    feedback_activation: Activation = TANH,
) -> TargetPropagation:
    """DDTP whose mappings share a fixed random hidden layer.

    Meulemans et al. 2020, section 4 and equation 62. The mappings learn by the difference
    reconstruction loss, as in Algorithm 3.

    **Arguments:**

    - `sigma`: Standard deviation of the noise that the feedback learns from.
    - `regularizer`: Penalty on the feedback mappings, the second term of the loss.
    - `samples`: Number of noise draws per step.
    - `width`: Number of units of the random hidden layer.
    - `feedback_activation`: Nonlinearity `t` of the feedback mappings.
    """
    learner = DifferenceReconstruction(Gaussian(sigma, samples), regularizer)
    return TargetPropagation(RandomHidden(width, feedback_activation), Difference(), learner)


@preset(
    "ddtp-rhl-rec",
    equation="dh_i = g_i(h_L + dh_L, h_i) - g_i(h_L, h_i), g_i(h, k) = t(Q_i tanh(R h + d) + S_i k + c_i)",
    source="Meulemans et al. 2020, Algorithm 4",
)
def ddtp_rhl_rec(
    sigma: float = 0.05,
    regularizer: Regularizer = WEIGHT_DECAY,
    samples: int = 1,
    width: int = 1024,
    feedback_activation: Activation = TANH,
) -> TargetPropagation:
    """DDTP-RHL with recurrent feedback: `g_i(h_L, h_i) = t(Q_i tanh(R h_L + d) + S_i h_i + c_i)`.

    Meulemans et al. 2020, equation 63 and Algorithm 4.

    **Arguments:**

    - `sigma`: Standard deviation of the noise that the feedback learns from.
    - `regularizer`: Penalty on the feedback mappings, the second term of the loss.
    - `samples`: Number of noise draws per step.
    - `width`: Number of units of the random hidden layer.
    - `feedback_activation`: Nonlinearity `t` of the feedback mappings.
    """
    learner = DifferenceReconstruction(Gaussian(sigma, samples), regularizer)
    return TargetPropagation(RecurrentRandomHidden(width, feedback_activation), Difference(), learner)


@preset(
    "ddtp-control",
    equation="dh_i = Q_i dh_L, Q_i trained through the output without the difference correction",
    source="Meulemans et al. 2020, Algorithm 5",
)
def ddtp_control(sigma: float = 0.05, regularizer: Decay = WEIGHT_DECAY, samples: int = 1) -> TargetPropagation:
    """The control of DDTP-linear: the same mappings and targets, but another feedback loss.

    The reconstruction loss through the output has no difference correction and no `1/sigma^2`
    (Meulemans et al. 2020, Algorithm 5).

    **Arguments:**

    - `sigma`: Standard deviation of the noise that the feedback learns from.
    - `regularizer`: Penalty on the feedback mappings.
    - `samples`: Number of noise draws per step.
    """
    learner = UncorrectedReconstruction(Gaussian(sigma, samples), regularizer)
    return TargetPropagation(Direct(), Difference(), learner)


@preset(
    "ddtp-ggn",
    equation="dh_i = Q_i K_L^{-1} dh_L, Q_i trained through the output and K_L^T, K_L K_L^T = H_L",
    source="Meulemans et al. 2020, eqs. 192 and 195",
)
def ddtp_ggn(
    sigma: float = 0.05, regularizer: Regularizer = WEIGHT_DECAY, curvature_damping: float = 1e-2, samples: int = 1
) -> TargetPropagation:
    """DDTP with linear mappings that learn generalized Gauss-Newton targets.

    Meulemans et al. 2020, supplement D.2. Let `H_L` be the Hessian of the output loss, and
    `K_L K_L^T = H_L + curvature_damping I`. `K_L` is the symmetric root, at the output of the
    forward pass. The mappings reconstruct the noise from `K_L^T` times the displacement of the
    output (equation 192). The targets of the hidden layers are computed from `K_L^{-1} dh_L`
    instead of `dh_L`. If the loss is minimal for each sample, then `dh_i = (J_i^T (H_L +
    curvature_damping I) J_i + lambda I)^{-1} J_i^T dh_L` (equation 196).

    **Arguments:**

    - `sigma`: Standard deviation of the noise that the feedback learns from.
    - `regularizer`: Penalty on the feedback mappings, the second term of the loss, with `lambda`.
    - `curvature_damping`: Number added to the diagonal of the Hessian of the output loss. It must
      be positive for softmax with cross-entropy, whose Hessian is singular.
    - `samples`: Number of noise draws per step.
    """
    learner = DifferenceReconstruction(Gaussian(sigma, samples), regularizer)
    return TargetPropagation(Direct(), Difference(), learner, LossCurvature(curvature_damping))


@preset("multiplexing", equation=BurstChannel.equation, source="Meulemans 2019, eq. 6.58")
def multiplexing(regularizer: Decay = NO_DECAY, feedback_activation: Activation = TANH) -> TargetPropagation:
    """Multiplexing: event rates travel up and burst probabilities travel down.

    The two use separate channels (Meulemans 2019, section 6.9). Each layer learns from the
    difference of its burst probability between two phases. In the learning phase, the burst
    probability of the output is the target. In the free phase, it is the event rate of the output.
    To first order, the reconstruction errors of the feedback cancel. The signal does not decay,
    since the channels do not mix.

    This is difference target propagation with mappings evaluated at the burst probabilities of the
    free phase instead of the event rates. If the mappings are linear or exact inverses, the two
    are the same. The mappings learn in the free phase, each separately, to make the burst
    probability equal to the event rate of the layer.

    A probability is between 0 and 1, which requires the sigmoid as `t`. An event rate is not
    negative, which requires sigmoid or rectified activations. Nothing here depends on this.

    **Arguments:**

    - `regularizer`: Penalty on the feedback mappings.
    - `feedback_activation`: Nonlinearity `t` of the feedback mappings.
    """
    return TargetPropagation(Layerwise(feedback_activation), BurstChannel(), ActivityReconstruction(regularizer))
