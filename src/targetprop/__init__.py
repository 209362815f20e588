"""Target propagation: learning rules that send targets backwards through a network, behind one interface."""

from .activations import Identity, LeakyReLU, NotInvertibleError, ReLU, Sigmoid, Softplus, Tanh
from .convolution import ConvPool
from .data import DataError, Dataset, load
from .errors import ConfigError, UserError
from .feedback.inversion import BenIsraelCohen, InverseGradient
from .feedback.reconstruction import NoiseDraw, OutputNoise, WeightDecay
from .gauss_newton import PerLayerSolver, PseudoInverse, Tikhonov, gauss_newton_update
from .losses import SoftmaxCrossEntropy, SquaredError
from .network import Dense, Layer, Network, Trace, mlp
from .recipes import CNN, MLP, Recipe, recipe
from .reproduce import Comparison, compare
from .rules import (
    DDTPGGN,
    DDTPRHL,
    DTP,
    DTPAI,
    DTPDRL,
    RULES,
    TP,
    TPAI,
    Backprop,
    DDTPControl,
    DDTPLinear,
    DDTPRHLRec,
    DirectFeedbackAlignment,
    FeedbackAlignment,
    GaussNewtonTargets,
    GeneralizedGaussNewtonTargets,
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
    "DTPAI",
    "DTPDRL",
    "MLP",
    "RULES",
    "SGD",
    "TP",
    "TPAI",
    "Adam",
    "Backprop",
    "BenIsraelCohen",
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
    "FeedbackAlignment",
    "GaussNewtonTargets",
    "GeneralizedGaussNewtonTargets",
    "Identity",
    "InverseGradient",
    "Layer",
    "LeakyReLU",
    "Network",
    "NoiseDraw",
    "NotInvertibleError",
    "OutputNoise",
    "PerLayer",
    "PerLayerSolver",
    "PseudoInverse",
    "ReLU",
    "Recipe",
    "ReconstructingRule",
    "Rule",
    "Schedule",
    "Sigmoid",
    "SoftmaxCrossEntropy",
    "Softplus",
    "SquaredError",
    "Tanh",
    "Tikhonov",
    "Trace",
    "UserError",
    "WeightDecay",
    "__version__",
    "compare",
    "gauss_newton_update",
    "load",
    "local_gradients",
    "minibatch_step",
    "mlp",
    "output_update",
    "recipe",
    "train",
]
