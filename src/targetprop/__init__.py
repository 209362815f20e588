"""Target propagation: learning rules that send targets backwards through a network, behind one interface."""

from .activations import Identity, LeakyReLU, NotInvertibleError, ReLU, Sigmoid, Softplus, Tanh
from .data import DataError, Dataset, load
from .errors import ConfigError, UserError
from .feedback.reconstruction import OutputNoise, WeightDecay
from .losses import SoftmaxCrossEntropy, SquaredError
from .network import Dense, Layer, Network, Trace, mlp
from .recipes import MLP, Recipe, recipe
from .reproduce import Comparison, compare
from .rules import (
    DTP,
    DTPDRL,
    RULES,
    TP,
    Backprop,
    DDTPLinear,
    DirectFeedbackAlignment,
    FeedbackAlignment,
    Rule,
)
from .train.optimizers import SGD, Adam
from .train.run import train
from .train.schedule import Schedule
from .updates import local_gradients, output_update

__all__ = [
    "DTP",
    "DTPDRL",
    "MLP",
    "RULES",
    "SGD",
    "TP",
    "Adam",
    "Backprop",
    "Comparison",
    "ConfigError",
    "DDTPLinear",
    "DataError",
    "Dataset",
    "Dense",
    "DirectFeedbackAlignment",
    "FeedbackAlignment",
    "Identity",
    "Layer",
    "LeakyReLU",
    "Network",
    "NotInvertibleError",
    "OutputNoise",
    "ReLU",
    "Recipe",
    "Rule",
    "Schedule",
    "Sigmoid",
    "SoftmaxCrossEntropy",
    "Softplus",
    "SquaredError",
    "Tanh",
    "Trace",
    "UserError",
    "WeightDecay",
    "compare",
    "load",
    "local_gradients",
    "mlp",
    "output_update",
    "recipe",
    "train",
]
