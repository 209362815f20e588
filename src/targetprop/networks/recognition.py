"""What a callable for one sample computes: an activation, a flattening, an affine map.

Functions are recognized by the program that JAX traces from them. So `jnp.tanh`, a lambda around
it and `eqx.nn.Lambda(jax.nn.tanh)` are the same, and a function that is only similar is not taken
for one that is known.
"""

from collections.abc import Callable, Iterator
from typing import Any, TypeGuard, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.extend import core

from .activations import Activation, Identity, LeakyReLU, ReLU, Sigmoid, Softplus, Tanh

Module = TypeVar("Module", bound=eqx.Module)

Sample = jax.ShapeDtypeStruct
"""Shape and type of one sample."""

PROGRAMS: tuple[tuple[Activation, tuple[Callable, ...]], ...] = (
    (Identity(), (lambda x: x, jax.nn.identity)),
    (Tanh(), (jnp.tanh,)),
    (ReLU(), (jax.nn.relu, lambda x: jnp.maximum(x, 0))),
    (Sigmoid(), (jax.nn.sigmoid,)),
    (Softplus(), (jax.nn.softplus,)),
    (LeakyReLU(0.01), (jax.nn.leaky_relu,)),
)
"""The activations, and the functions that compute them."""

AFFINE = (
    eqx.nn.Linear,
    eqx.nn.Conv,
    eqx.nn.ConvTranspose,
    eqx.nn.AvgPool1d,
    eqx.nn.AvgPool2d,
    eqx.nn.AvgPool3d,
    eqx.nn.AdaptiveAvgPool1d,
    eqx.nn.AdaptiveAvgPool2d,
    eqx.nn.AdaptiveAvgPool3d,
)
FLATTENING = {"reshape", "squeeze"}
REARRANGING = {*FLATTENING, "transpose", "broadcast_in_dim", "rev", "slice"}


def is_module(part: Any, *kinds: type[Module]) -> TypeGuard[Module]:
    """Whether `part` is of one of these classes and is called as that class is."""
    return any(isinstance(part, kind) and type(part).__call__ is kind.__call__ for kind in kinds)


def recognize(part: Any, sample: Sample) -> Activation | None:
    """The activation that `part` computes on a sample, or `None` if it is none that is known."""
    if isinstance(part, Activation):
        return part
    program = jax.make_jaxpr(part)(sample)
    text = str(program)
    for activation, functions in PROGRAMS:
        if any(str(jax.make_jaxpr(function)(sample)) == text for function in functions):
            return activation
    return _leaky_relu(program, text, sample)


def _leaky_relu(program: core.ClosedJaxpr, text: str, sample: Sample) -> LeakyReLU | None:
    """The activation of `jax.nn.leaky_relu(x, slope)`, or `None` for another program."""
    given = [v.val for equation in program.jaxpr.eqns for v in equation.invars if isinstance(v, core.Literal)]
    if len(program.jaxpr.eqns) != 1 or len(given) != 1 or not given[0] > 0:
        return None
    slope = float(given[0])
    same = str(jax.make_jaxpr(lambda x: jax.nn.leaky_relu(x, slope))(sample)) == text
    return LeakyReLU(slope) if same else None


def flattens(part: Any, sample: Sample) -> bool:
    """Whether `part` gives the entries of a sample as one row, in their order."""
    after = jax.eval_shape(part, sample)
    return len(after.shape) == 1 and _consists_of(part, sample, FLATTENING)


def is_affine(part: Any, sample: Sample) -> bool:
    """Whether `part` is known to be an affine map: by its class, or because it only rearranges."""
    return is_module(part, *AFFINE) or _consists_of(part, sample, REARRANGING)


def _consists_of(part: Any, sample: Sample, operations: set[str]) -> bool:
    program = jax.make_jaxpr(part)(sample)
    return not program.consts and all(name in operations for name in _operations(program.jaxpr))


def _operations(program: core.Jaxpr) -> Iterator[str]:
    """The names of the operations of a program. The programs inside `jit` are opened."""
    for equation in program.eqns:
        if equation.primitive.name in ("jit", "pjit"):
            for inner in core.jaxprs_in_params(equation.params):
                yield from _operations(inner)
        else:
            yield equation.primitive.name
