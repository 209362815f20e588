"""Calls that the library must refuse: fields of its objects with values that they cannot have.

A call is its name, the argument at fault, and a function without arguments that makes it.
"""

import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

import targetprop as tp
from targetprop.dynamics import ContinuousPlasticity
from targetprop.experiments import OneOf, Range
from targetprop.networks.invertible import DenseOnFirstUnits
from targetprop.rules import InverseSlopes


class Call(NamedTuple):
    """A call that must be refused, with the argument that the message names."""

    name: str
    argument: str
    make: Callable[[], Any]


NUMBERS = {
    tp.Adam: "learning_rate b1 b2 eps warmup clip weight_decay",
    tp.AdamWithoutBiasCorrection: "learning_rate b1 b2 eps",
    tp.CosineDecay: "final",
    tp.Euler: "tau",
    tp.GAITProp: "gamma",
    tp.Gaussian: "sigma",
    tp.GeneralizedGaussNewtonTargets: "damping",
    tp.HuberCost: "delta",
    tp.ITP: "gamma",
    tp.Integration: "tolerance",
    tp.InverseLoss: "strength",
    tp.LeakyReLU: "negative_slope",
    tp.LinearDecay: "final",
    tp.LossCurvature: "damping",
    tp.Newton: "tolerance",
    tp.OrthogonalityPenalty: "strength",
    tp.OutputNoise: "strength",
    tp.RMSProp: "learning_rate decay eps",
    tp.Rademacher: "sigma",
    tp.RobustShermanMorrison: "threshold limit",
    tp.SGD: "learning_rate momentum",
    tp.SinglePhase: "mu",
    tp.SteadyState: "tolerance",
    tp.StepDecay: "every drop",
    tp.Sweeps: "tolerance",
    tp.Tikhonov: "damping",
    tp.TwoPhase: "mu",
    tp.WeightDecay: "strength",
    tp.Woodbury: "limit",
    tp.Automatic: "limit",
    tp.ExplicitInverse: "limit",
    ContinuousPlasticity: "duration",
}
"""Fields that hold a number of at least 0."""

COUNTS = {
    tp.CNN: "kernel",
    tp.ConjugateGradients: "iterations",
    tp.Euler: "steps",
    tp.Gaussian: "samples",
    tp.Integration: "steps",
    tp.Newton: "steps",
    tp.Probe: "every",
    tp.Rademacher: "samples",
    tp.RandomHidden: "width",
    tp.RecurrentRandomHidden: "width",
    tp.Schedule: "epochs pretraining between",
    tp.SquareMLP: "depth width",
    tp.SteadyState: "steps",
    tp.Sweeps: "steps",
    ContinuousPlasticity: "samples",
}
"""Fields that hold a whole number of at least 0 or 1."""

WIDTHS = {tp.CNN: "hidden channels", tp.MLP: "hidden", tp.NeuronUncertaintyMLP: "hidden", tp.ShrinkingMLP: "hidden"}
"""Fields that hold a tuple of widths."""

PARTS = {
    tp.ActivityReconstruction: "regularizer",
    tp.Adam: "schedule",
    tp.BenIsraelCohen: "noise",
    tp.CNN: "activation",
    tp.DifferenceReconstruction: "noise regularizer",
    tp.Direct: "activation",
    tp.ExactInverses: "method",
    tp.GAITProp: "inverse",
    tp.GaussNewtonTargets: "solver",
    tp.GradientTargets: "start integrator cost",
    tp.InverseLoss: "noise",
    tp.ITP: "inverse",
    tp.Layerwise: "activation",
    tp.MLP: "activation initializer bias",
    tp.NeuronUncertaintyMLP: "variance bias",
    tp.PerLayer: "optimizers",
    tp.PerLayerIntegrator: "integrators",
    tp.PerLayerSolver: "solvers",
    tp.Probe: "diagnostics",
    tp.RandomHidden: "activation",
    tp.Reconstruction: "noise regularizer",
    tp.ShrinkingMLP: "activation initializer bias",
    tp.SinglePhase: "mappings learner solver plasticity",
    tp.SquareMLP: "activation initializer bias",
    tp.TargetPropExact: "inverse",
    tp.TargetPropagation: "mappings propagation learner metric name",
    tp.TwoPhase: "mappings learner solver plasticity",
    tp.UncorrectedReconstruction: "noise regularizer",
    InverseSlopes: "rule",
    DenseOnFirstUnits: "dense",
    tp.LossFunction: "function",
    tp.OptaxOptimizer: "transformation",
}
"""Fields that hold an object, or one of some words."""

BAD_NUMBERS = ("0.1", math.nan, -1.0, 1j, np.array(-1.0), jnp.array([0.1, math.nan]), object())
BAD_COUNTS = (1.5, -1, math.nan, "1", 2**40, True)
BAD_WIDTHS = ((0,), (3, -1), (2.5,), ("3",), [3], 3, (2**40,))
BAD_PARTS = (3, jnp.tanh, (None,))


def calls() -> Iterator[Call]:
    """All calls with a bad value of a field."""
    for fields, values in ((NUMBERS, BAD_NUMBERS), (COUNTS, BAD_COUNTS), (WIDTHS, BAD_WIDTHS), (PARTS, BAD_PARTS)):
        for kind, names in fields.items():
            for name in names.split():
                for value in values:
                    if not (callable(value) and name in ("function",)):
                        yield _with(kind, name, value)
    yield from _presets()
    yield from _recipes()
    yield from _special()


def _with(kind: Any, name: str, value: Any) -> Call:
    return Call(f"{kind.__name__}({name}={_short(value)})", name, lambda: kind(**{name: value}))


def _short(value: Any) -> str:
    return "object()" if type(value) is object else getattr(value, "__name__", None) or repr(value)


def _presets() -> Iterator[Call]:
    for preset in (tp.dtp, tp.dtpdrl, tp.ddtp_linear, tp.tp, tp.ddtp_ggn):
        for value in (math.nan, -0.5, "0.1"):
            yield _with(preset, "sigma", value)
        yield _with(preset, "samples", 1.5)
    yield _with(tp.ddtp_rhl, "width", 0)
    yield _with(tp.dtp_ai, "strength", -1.0)


def _recipes() -> Iterator[Call]:
    bad = {
        "rule": ("dtp", tp.Backprop, None),
        "dataset": (3, None),
        "architecture": ("mlp", (3,), tp.MLP),
        "loss": ("mse", tp.SquaredError),
        "stepsize": BAD_NUMBERS[:4],
        "optimizer": ("adam", 1e-3, tp.Adam),
        "feedback_optimizer": ("adam", None),
        "penalty": (0.1, "orthogonality"),
        "schedule": (30, None),
        "batch_size": BAD_COUNTS,
        "validation": (1.5, -1, "1"),
        "trainable": (1, [1], (0,), (1, 1), (), (1.0,), (-1,)),
        "update_mask": ("one-random-layer", tp.OneRandomLayer),
        "dtype": ("float16", np.float32, 32),
    }
    for name, values in bad.items():
        for value in values:
            yield Call(
                f"Recipe({name}={_short(value)})", name, lambda n=name, v=value: tp.Recipe(**{"rule": tp.Backprop(), n: v})
            )


def _special() -> Iterator[Call]:
    """Values that are bad in one place only."""
    for kind, name, value in (
        (tp.Adam, "b1", 1.0),
        (tp.SGD, "momentum", 1.5),
        (tp.SGD, "nesterov", 1),
        (tp.RMSProp, "decay", 1.0),
        (tp.TwoPhase, "mu", 0),
        (tp.TwoPhase, "mu", 1),
        (tp.TwoPhase, "mu", 0.5),
        (tp.TwoPhase, "mu", np.float32(0.7)),
        (tp.SinglePhase, "mu", jnp.array(0.5)),
        (tp.ITP, "gamma", (0.1, -0.1)),
        (tp.ITP, "gamma", 0.0),
        (tp.LeakyReLU, "negative_slope", 0.0),
        (tp.LeakyReLU, "negative_slope", math.inf),
        (tp.Tikhonov, "damping", 0.0),
        (tp.HuberCost, "delta", 0.0),
        (tp.CNN, "kernel", 4),
        (tp.PerLayer, "optimizers", ()),
        (tp.PerLayerSolver, "solvers", ()),
        (tp.PerLayerIntegrator, "integrators", ()),
        (tp.Gaussian, "sigma", math.inf),
        (tp.MLP, "initializer", "xavier"),
        (OneOf, "values", ()),
        (OneOf, "values", (math.nan,)),
        (OneOf, "values", ("0.1",)),
    ):
        yield _with(kind, name, value)
    yield Call("Range(2, 1)", "no interval", lambda: Range(2, 1))
    yield Call("Range('a', 'b')", "low", lambda: Range("a", "b"))
    yield Call("Range(nan, 1)", "no interval", lambda: Range(math.nan, 1))
    yield Call("Range(0, 1)", "interval", lambda: Range(0, 1))
