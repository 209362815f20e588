"""Target propagation: learning rules that send targets backwards through a network, behind one interface."""

from .activations import Identity, LeakyReLU, NotInvertibleError, ReLU, Sigmoid, Softplus, Tanh
from .convolution import ConvPool
from .data import DataError, Dataset, load
from .dynamics.gradient_flow import AtActivity, AtZero, HuberCost, LocalCost, QuadraticCost
from .dynamics.integrators import Euler, PerLayerIntegrator, SteadyState
from .errors import ConfigError, UserError
from .feedback.backward import ApproximateInverses, Backward, ExactInverses, TrainedFeedback
from .feedback.inverses import Automatic, ConjugateGradients, ExplicitInverse, Inverse, LUSolve, Woodbury
from .feedback.inversion import BenIsraelCohen, InverseGradient
from .feedback.reconstruction import NoiseDraw, OutputNoise, WeightDecay
from .gauss_newton import PerLayerSolver, PseudoInverse, Tikhonov, gauss_newton_update
from .initializers import Moments, Uncertainty, neuron_uncertainty, published_neuron_uncertainty
from .invertible import invertible_mlp
from .losses import SoftmaxCrossEntropy, SquaredError
from .network import Dense, Layer, Network, Trace, mlp
from .penalties import OrthogonalityPenalty, Penalty
from .recipes import CNN, MLP, Recipe, SquareMLP, TowerMLP, UncertainMLP, recipe
from .reproduce import Comparison, compare
from .rules import (
    DDTPGGN,
    DDTPRHL,
    DTP,
    DTPAI,
    DTPDRL,
    ITP,
    RULES,
    TP,
    TPAI,
    Backprop,
    DDTPControl,
    DDTPLinear,
    DDTPRHLRec,
    DirectFeedbackAlignment,
    FeedbackAlignment,
    GAITProp,
    GaussNewtonTargets,
    GeneralizedGaussNewtonTargets,
    GradientTargets,
    Multiplexing,
    ReconstructingRule,
    Rule,
    SinglePhase,
    TargetPropExact,
    TwoPhase,
)
from .train.optimizers import SGD, Adam, PerLayer, UncorrectedAdam
from .train.run import train
from .train.schedule import Schedule
from .updates import local_gradients, minibatch_step, output_update
from .version import __version__

__all__ = [
    "CNN",
    "DDTPGGN",
    "DDTPRHL",
    "DTP",
    "DTPAI",
    "DTPDRL",
    "ITP",
    "MLP",
    "RULES",
    "SGD",
    "TP",
    "TPAI",
    "Adam",
    "ApproximateInverses",
    "AtActivity",
    "AtZero",
    "Automatic",
    "Backprop",
    "Backward",
    "BenIsraelCohen",
    "Comparison",
    "ConfigError",
    "ConjugateGradients",
    "ConvPool",
    "DDTPControl",
    "DDTPLinear",
    "DDTPRHLRec",
    "DataError",
    "Dataset",
    "Dense",
    "DirectFeedbackAlignment",
    "Euler",
    "ExactInverses",
    "ExplicitInverse",
    "FeedbackAlignment",
    "GAITProp",
    "GaussNewtonTargets",
    "GeneralizedGaussNewtonTargets",
    "GradientTargets",
    "HuberCost",
    "Identity",
    "Inverse",
    "InverseGradient",
    "LUSolve",
    "Layer",
    "LeakyReLU",
    "LocalCost",
    "Moments",
    "Multiplexing",
    "Network",
    "NoiseDraw",
    "NotInvertibleError",
    "OrthogonalityPenalty",
    "OutputNoise",
    "Penalty",
    "PerLayer",
    "PerLayerIntegrator",
    "PerLayerSolver",
    "PseudoInverse",
    "QuadraticCost",
    "ReLU",
    "Recipe",
    "ReconstructingRule",
    "Rule",
    "Schedule",
    "Sigmoid",
    "SinglePhase",
    "SoftmaxCrossEntropy",
    "Softplus",
    "SquareMLP",
    "SquaredError",
    "SteadyState",
    "Tanh",
    "TargetPropExact",
    "Tikhonov",
    "TowerMLP",
    "Trace",
    "TrainedFeedback",
    "TwoPhase",
    "UncertainMLP",
    "Uncertainty",
    "UncorrectedAdam",
    "UserError",
    "WeightDecay",
    "Woodbury",
    "__version__",
    "compare",
    "gauss_newton_update",
    "invertible_mlp",
    "load",
    "local_gradients",
    "minibatch_step",
    "mlp",
    "neuron_uncertainty",
    "output_update",
    "published_neuron_uncertainty",
    "recipe",
    "train",
]
