"""Target propagation: learning rules that send targets backwards through a network, behind one interface."""

from .activations import Identity, LeakyReLU, NotInvertibleError, ReLU, Sigmoid, Softplus, Tanh
from .convolution import ConvPool
from .data import DataError, Dataset, load
from .dynamics.gradient_flow import AtActivity, AtZero, HuberCost, LocalCost, QuadraticCost
from .dynamics.integrators import Euler, PerLayerIntegrator, SteadyState
from .errors import ConfigError, UserError
from .feedback.reconstruction import NoiseDraw, OutputNoise, WeightDecay
from .gauss_newton import PerLayerSolver, PseudoInverse, Tikhonov, gauss_newton_update
from .initializers import Moments, Uncertainty, neuron_uncertainty, published_neuron_uncertainty
from .losses import SoftmaxCrossEntropy, SquaredError
from .network import Dense, Layer, Network, Trace, mlp
from .recipes import CNN, MLP, Recipe, UncertainMLP, recipe
from .reproduce import Comparison, compare
from .rules import (
    DDTPGGN,
    DDTPRHL,
    DTP,
    DTPDRL,
    RULES,
    TP,
    Backprop,
    DDTPControl,
    DDTPLinear,
    DDTPRHLRec,
    DirectFeedbackAlignment,
    FeedbackAlignment,
    GaussNewtonTargets,
    GeneralizedGaussNewtonTargets,
    GradientTargets,
    ReconstructingRule,
    Rule,
)
from .train.optimizers import SGD, Adam, PerLayer
from .train.run import train
from .train.schedule import Schedule
from .updates import local_gradients, minibatch_step, output_update
from .version import __version__

__all__ = [
    "CNN",
    "DDTPGGN",
    "DDTPRHL",
    "DTP",
    "DTPDRL",
    "MLP",
    "RULES",
    "SGD",
    "TP",
    "Adam",
    "AtActivity",
    "AtZero",
    "Backprop",
    "Comparison",
    "ConfigError",
    "ConvPool",
    "DDTPControl",
    "DDTPLinear",
    "DDTPRHLRec",
    "DataError",
    "Dataset",
    "Dense",
    "DirectFeedbackAlignment",
    "Euler",
    "FeedbackAlignment",
    "GaussNewtonTargets",
    "GeneralizedGaussNewtonTargets",
    "GradientTargets",
    "HuberCost",
    "Identity",
    "Layer",
    "LeakyReLU",
    "LocalCost",
    "Moments",
    "Network",
    "NoiseDraw",
    "NotInvertibleError",
    "OutputNoise",
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
    "SoftmaxCrossEntropy",
    "Softplus",
    "SquaredError",
    "SteadyState",
    "Tanh",
    "Tikhonov",
    "Trace",
    "UncertainMLP",
    "Uncertainty",
    "UserError",
    "WeightDecay",
    "__version__",
    "compare",
    "gauss_newton_update",
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
