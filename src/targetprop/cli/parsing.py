"""How the objects of a recipe are written on the command line, for example `leaky-relu:0.1` or `trained:sigmoid`."""

import contextlib
import dataclasses
import io
import itertools
from typing import Any

import tyro

from ..dynamics.equilibria import EquilibriumSolver, Integration, Newton, Sweeps
from ..dynamics.gradient_flow import AtActivity, AtZero, HuberCost, LocalCost, QuadraticCost, Start
from ..dynamics.integrators import Euler, Integrator, SteadyState
from ..dynamics.plasticity import AtEquilibrium, ContinuousPlasticity, Plasticity
from ..feedback.gauss_newton import PseudoInverse, Solver, Tikhonov
from ..feedback.inverses import (
    Automatic,
    ConjugateGradients,
    ExplicitInverse,
    Inverse,
    LUSolve,
    RobustShermanMorrison,
    Woodbury,
)
from ..feedback.learners import ActivityReconstruction, Learner, NoLearning
from ..feedback.mappings import ExactInverses, Layerwise, LearnedInverses, Mappings
from ..feedback.regularizers import Decay, OutputNoise, Regularizer, WeightDecay, WeightDecayPerUnit
from ..losses import Loss, SoftmaxCrossEntropy, SquaredError
from ..networks.activations import Activation, Identity, LeakyReLU, ReLU, Sigmoid, Softplus, Tanh
from ..training.penalties import OrthogonalityPenalty, Penalty
from .output import UsageError

WORDS: dict[Any, dict[str, type]] = {
    Activation: {
        "tanh": Tanh,
        "sigmoid": Sigmoid,
        "relu": ReLU,
        "leaky-relu": LeakyReLU,
        "softplus": Softplus,
        "identity": Identity,
    },
    Regularizer: {"weight-decay": WeightDecay, "weight-decay-per-unit": WeightDecayPerUnit, "output-noise": OutputNoise},
    Decay: {"weight-decay": WeightDecay, "weight-decay-per-unit": WeightDecayPerUnit},
    Start: {"activity": AtActivity, "zero": AtZero},
    Integrator: {"euler": Euler, "steady-state": SteadyState},
    LocalCost: {"quadratic": QuadraticCost, "huber": HuberCost},
    Solver: {"tikhonov": Tikhonov, "pseudo-inverse": PseudoInverse},
    Inverse: {
        "automatic": Automatic,
        "lu": LUSolve,
        "explicit": ExplicitInverse,
        "woodbury": Woodbury,
        "robust-sherman-morrison": RobustShermanMorrison,
        "conjugate-gradients": ConjugateGradients,
    },
    Mappings: {"exact": ExactInverses, "approximate": LearnedInverses, "trained": Layerwise},
    Learner: {"none": NoLearning, "activity": ActivityReconstruction},
    EquilibriumSolver: {"sweeps": Sweeps, "newton": Newton, "integration": Integration},
    Plasticity: {"at-equilibrium": AtEquilibrium, "continuous": ContinuousPlasticity},
    Penalty | None: {"none": type(None), "orthogonality": OrthogonalityPenalty},
    Loss | None: {"auto": type(None), "cross-entropy": SoftmaxCrossEntropy, "squared-error": SquaredError},
}

registry = tyro.constructors.ConstructorRegistry()


@registry.primitive_rule
def _named_object(
    info: tyro.constructors.PrimitiveTypeInfo,
) -> tyro.constructors.PrimitiveConstructorSpec | None:
    """`NAME`, or `NAME:FIELD:..` with the object's numeric fields and those that are named objects themselves, in order; the
    last numbers, and any named object, may be left out."""
    words = _words(info.type)
    if words is None:
        return None

    def parse(args: list[str]) -> Any:
        parts = args[0].split(":")
        value = _read(words, parts)
        if parts:
            raise ValueError(f"{parts[0]!r} in {args[0]!r} is one field too many, or no name that belongs there")
        return value

    return tyro.constructors.PrimitiveConstructorSpec(
        nargs=1,
        metavar="{" + ",".join(_usage(word, kind) for word, kind in words.items()) + "}",
        instance_from_str=parse,
        is_instance=lambda value: type(value) in words.values(),
        str_from_instance=lambda value: [":".join(_write(words, value))],
    )


def _usage(word: str, kind: type) -> str:
    """How an object is written, `NAME[:FIELD[:FIELD]]`, with the fields that `_read` takes."""
    if kind is type(None):
        return word
    fields = [f for f in dataclasses.fields(kind) if isinstance(f.default, int | float) or _words(f.type) is not None]
    return word + "".join(f"[:{field.name}" for field in fields) + "]" * len(fields)


def _words(kind: Any) -> dict[str, type] | None:
    return next((words for named, words in WORDS.items() if kind == named), None)


def _read(words: dict[str, type], parts: list[str]) -> Any:
    """The object that `parts` begin with; they are taken away."""
    name = parts.pop(0)
    if name not in words:
        raise ValueError(f"{name!r} is not one of {', '.join(words)}")
    if words[name] is type(None):
        return None
    values = {}
    for field in dataclasses.fields(words[name]):
        inner = _words(field.type)
        if inner is None and parts and isinstance(field.default, int | float):
            values[field.name] = type(field.default)(parts.pop(0))
        elif inner is not None and parts and parts[0] in inner:
            values[field.name] = _read(inner, parts)
    return words[name](**values)


def _write(words: dict[str, type], value: Any) -> list[str]:
    """What `_read` reads."""
    parts = [name for name, kind in words.items() if kind is type(value)]
    for field in dataclasses.fields(value) if value is not None else ():
        part, inner = getattr(value, field.name), _words(field.type)
        if inner is not None:
            parts.extend(_write(inner, part))
        elif isinstance(part, int | float):
            parts.append(str(part))
    return parts


def parse(kind: type, *, default: Any = None, args: list[str], verb: str, description: str) -> Any:
    """Read a dataclass from the arguments of a verb. Raises `UsageError` where they do not fit."""
    options = {} if default is None else {"default": default}
    complaint = io.StringIO()
    try:
        with registry, contextlib.redirect_stderr(complaint):
            return tyro.cli(
                kind,
                args=args,
                prog=f"targetprop {verb}",
                description=description,
                config=(tyro.conf.AvoidSubcommands,),
                **options,
            )
    except SystemExit as stop:
        if not stop.code:
            raise
        raise UsageError(f"{_complaint(complaint.getvalue())} (see targetprop {verb} --help)") from None


def _complaint(boxed: str) -> str:
    """The first paragraph of a framed message, and the flags that it thinks were meant."""
    lines = [line.strip(" │") for line in boxed.splitlines() if not line.startswith(("╭", "╰"))]
    said = " ".join(itertools.takewhile(lambda line: not line.startswith("──"), lines)).strip()
    meant = [line.split()[0] for line in lines if line.startswith("--")]
    return f"{said}. Perhaps you meant {' or '.join(meant)}" if meant else said
