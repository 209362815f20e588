"""How the objects of a recipe are written on the command line, for example `leaky-relu:0.1` or `output-noise:0.01`."""

import contextlib
import io
import itertools
from typing import Any

import tyro

from ..activations import Activation, Identity, LeakyReLU, ReLU, Sigmoid, Softplus, Tanh
from ..dynamics.gradient_flow import AtActivity, AtZero, HuberCost, LocalCost, QuadraticCost, Start
from ..dynamics.integrators import Euler, Integrator, SteadyState
from ..feedback.inverses import (
    Automatic,
    ConjugateGradients,
    ExplicitInverse,
    Inverse,
    LUSolve,
    RobustShermanMorrison,
    Woodbury,
)
from ..feedback.inversion import BenIsraelCohen, InverseGradient, InverseLearner
from ..feedback.reconstruction import Decay, OutputNoise, Regulariser, WeightDecay, WeightDecayPerUnit
from ..gauss_newton import PseudoInverse, Solver, Tikhonov
from ..losses import Loss, SoftmaxCrossEntropy, SquaredError
from ..penalties import OrthogonalityPenalty, Penalty
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
    Regulariser: {"weight-decay": WeightDecay, "weight-decay-per-unit": WeightDecayPerUnit, "output-noise": OutputNoise},
    Decay: {"weight-decay": WeightDecay, "weight-decay-per-unit": WeightDecayPerUnit},
    Start: {"activity": AtActivity, "zero": AtZero},
    Integrator: {"euler": Euler, "steady-state": SteadyState},
    LocalCost: {"quadratic": QuadraticCost, "huber": HuberCost},
    InverseLearner: {"gradient": InverseGradient, "ben-israel-cohen": BenIsraelCohen},
    Solver: {"tikhonov": Tikhonov, "pseudo-inverse": PseudoInverse},
    Inverse: {
        "automatic": Automatic,
        "lu": LUSolve,
        "explicit": ExplicitInverse,
        "woodbury": Woodbury,
        "robust-sherman-morrison": RobustShermanMorrison,
        "conjugate-gradients": ConjugateGradients,
    },
    Penalty | None: {"none": type(None), "orthogonality": OrthogonalityPenalty},
    Loss | None: {"auto": type(None), "cross-entropy": SoftmaxCrossEntropy, "squared-error": SquaredError},
}

registry = tyro.constructors.ConstructorRegistry()


@registry.primitive_rule
def _named_object(
    info: tyro.constructors.PrimitiveTypeInfo,
) -> tyro.constructors.PrimitiveConstructorSpec | None:
    """`NAME`, or `NAME:NUMBER:..` with the object's numeric fields, the first or all of them."""
    words = next((words for kind, words in WORDS.items() if info.type == kind), None)
    if words is None:
        return None
    names = {cls: name for name, cls in words.items()}

    def parse(args: list[str]) -> Any:
        name, *numbers = args[0].split(":")
        if name not in words:
            raise ValueError(f"{name!r} is not one of {', '.join(words)}")
        if words[name] is type(None):
            return None
        return words[name](*map(_number, numbers))

    def write(value: Any) -> list[str]:
        fields = vars(value).values() if value is not None else ()
        return [":".join([names[type(value)], *(str(field) for field in fields if isinstance(field, int | float))])]

    return tyro.constructors.PrimitiveConstructorSpec(
        nargs=1,
        metavar="{" + ",".join(words) + "}",
        instance_from_str=parse,
        is_instance=lambda value: type(value) in names,
        str_from_instance=write,
    )


def _number(text: str) -> int | float:
    return int(text) if text.isdecimal() else float(text)


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
        raise UsageError(f"{_first_paragraph(complaint.getvalue())} (see targetprop {verb} --help)") from None


def _first_paragraph(boxed: str) -> str:
    """The text of a framed message, up to its first rule."""
    lines = (line.strip(" │") for line in boxed.splitlines() if not line.startswith(("╭", "╰")))
    return " ".join(itertools.takewhile(lambda line: not line.startswith("──"), lines)).strip()
