"""Target propagation: learning rules that send targets backwards through a network, behind one interface."""

from .activations import Identity, LeakyReLU, NotInvertibleError, ReLU, Sigmoid, Softplus, Tanh
from .convolution import ConvPool
from .data import DataError, Dataset, load
from .dynamics.gradient_flow import AtActivity, AtZero, HuberCost, LocalCost, QuadraticCost
from .dynamics.integrators import Euler, PerLayerIntegrator, SteadyState
from .errors import ConfigError, UserError
from .feedback.inverses import Automatic, ConjugateGradients, ExplicitInverse, Inverse, LUSolve, Woodbury
from .feedback.reconstruction import NoiseDraw, OutputNoise, WeightDecay
from .gauss_newton import PerLayerSolver, PseudoInverse, Tikhonov, gauss_newton_update
from .invertible import invertible_mlp
from .losses import SoftmaxCrossEntropy, SquaredError
from .network import Dense, Layer, Network, Trace, mlp
from .penalties import OrthogonalityPenalty, Penalty
from .recipes import CNN, MLP, Recipe, SquareMLP, TowerMLP, recipe
from .reproduce import Comparison, compare
from .rules import (
    DDTPGGN,
    DDTPRHL,
    DTP,
    DTPDRL,
    ITP,
    RULES,
    TP,
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
    ReconstructingRule,
    Rule,
    TargetPropExact,
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
    "DTPDRL",
    "ITP",
    "MLP",
    "RULES",
    "SGD",
    "TP",
    "Adam",
    "AtActivity",
    "AtZero",
    "Automatic",
    "Backprop",
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
    "ExplicitInverse",
    "FeedbackAlignment",
    "GAITProp",
    "GaussNewtonTargets",
    "GeneralizedGaussNewtonTargets",
    "GradientTargets",
    "HuberCost",
    "Identity",
    "Inverse",
    "LUSolve",
    "Layer",
    "LeakyReLU",
    "LocalCost",
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
    "output_update",
    "recipe",
    "train",
]
