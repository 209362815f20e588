"""Target propagation: learning rules that send targets backwards through a network, behind one interface."""

from . import papers as papers  # registers the published recipes
from .data import DataError, Dataset, load
from .diagnostics import Probe
from .dynamics.equilibria import Integration, Newton, Sweeps
from .dynamics.gradient_flow import AtActivity, AtZero, HuberCost, LocalCost, QuadraticCost
from .dynamics.integrators import Euler, PerLayerIntegrator, SteadyState
from .errors import ConfigError, UserError
from .experiments.catalog import UnknownRecipeError, recipe
from .experiments.compare import Comparison, ComparisonError, compare
from .experiments.search import SearchResult, search
from .feedback.backward import ApproximateInverses, Backward, ExactInverses, TrainedFeedback
from .feedback.gauss_newton import PerLayerSolver, PseudoInverse, Tikhonov, gauss_newton_update
from .feedback.inverses import (
    Automatic,
    ConjugateGradients,
    ExplicitInverse,
    Inverse,
    LUSolve,
    RobustShermanMorrison,
    Woodbury,
)
from .feedback.inversion import BenIsraelCohen, InverseGradient
from .feedback.reconstruction import NoiseDraw, OutputNoise, WeightDecay
from .losses import Loss, Score, SoftmaxCrossEntropy, SquaredError
from .networks.activations import Activation, Identity, LeakyReLU, NotInvertibleError, ReLU, Sigmoid, Softplus, Tanh
from .networks.architectures import CNN, MLP, Architecture, SquareMLP, TowerMLP, UncertainMLP
from .networks.convolution import ConvPool
from .networks.initializers import Moments, Uncertainty, neuron_uncertainty, published_neuron_uncertainty
from .networks.invertible import invertible_mlp
from .networks.network import Dense, Fixed, Layer, Network, Point, Trace, mlp
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
    Modified,
    Multiplexing,
    Randomized,
    ReconstructingRule,
    Rule,
    SinglePhase,
    TargetPropExact,
    TwoPhase,
)
from .rules.updates import local_gradients, minibatch_step, output_update
from .training.checkpoint import CheckpointError
from .training.optimizers import SGD, Adam, Optimizer, PerLayer, UncorrectedAdam
from .training.penalties import OrthogonalityPenalty, Penalty
from .training.recipe import Recipe
from .training.result import Result, SeedResult, Summary
from .training.run import train
from .training.schedule import Schedule
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
    "Activation",
    "Adam",
    "ApproximateInverses",
    "Architecture",
    "AtActivity",
    "AtZero",
    "Automatic",
    "Backprop",
    "Backward",
    "BenIsraelCohen",
    "CheckpointError",
    "Comparison",
    "ComparisonError",
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
    "Fixed",
    "GAITProp",
    "GaussNewtonTargets",
    "GeneralizedGaussNewtonTargets",
    "GradientTargets",
    "HuberCost",
    "Identity",
    "Integration",
    "Inverse",
    "InverseGradient",
    "LUSolve",
    "Layer",
    "LeakyReLU",
    "LocalCost",
    "Loss",
    "Modified",
    "Moments",
    "Multiplexing",
    "Network",
    "Newton",
    "NoiseDraw",
    "NotInvertibleError",
    "Optimizer",
    "OrthogonalityPenalty",
    "OutputNoise",
    "Penalty",
    "PerLayer",
    "PerLayerIntegrator",
    "PerLayerSolver",
    "Point",
    "Probe",
    "PseudoInverse",
    "QuadraticCost",
    "Randomized",
    "ReLU",
    "Recipe",
    "ReconstructingRule",
    "Result",
    "RobustShermanMorrison",
    "Rule",
    "Schedule",
    "Score",
    "SearchResult",
    "SeedResult",
    "Sigmoid",
    "SinglePhase",
    "SoftmaxCrossEntropy",
    "Softplus",
    "SquareMLP",
    "SquaredError",
    "SteadyState",
    "Summary",
    "Sweeps",
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
    "UnknownRecipeError",
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
    "search",
    "train",
]
