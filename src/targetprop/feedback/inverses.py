"""The exact inverse of a layer as its feedback: `W^{-1} [s^{-1}(h + d) - s^{-1}(h)]`.

An `Inverse` computes `W^{-1}` and keeps it up to date while `W` learns. All of them give the same
numbers up to rounding. They differ in cost.
"""

import abc
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from .._array_checks import CheckedModule
from .._linear_algebra import inverse, orthonormal_columns, solve_columns
from ..errors import check_count, check_fraction, check_range
from ..networks.invertible import inverted_layers
from ..networks.layers import Dense, LayerLike, Point, as_layer
from ..networks.network import Network, Trace
from .inverse_formulas import Weight, conjugate_gradients, refined, robust_sherman_morrison, woodbury

NARROW = 128
"""Up to this width, an LU factorization costs less than an update of a stored inverse."""
LOW_RANK = 24
"""A rank-B update is cheaper if the layer is at least this many times as wide as the batch."""


class Inverse(CheckedModule):
    """How the inverse of a square weight is computed while the weight learns.

    One object serves all layers. Its `state` for one layer is a pytree, or `None`.
    """

    @abc.abstractmethod
    def init(self, weight: Weight) -> Any:
        """The state for a new weight."""

    @abc.abstractmethod
    def apply(self, state: Any, weight: Weight, v: Float[Array, "batch n"]) -> Float[Array, "batch n"]:
        """`W^{-1} v` for each row of `v`."""

    @abc.abstractmethod
    def update(self, state: Any, before: Weight, after: Weight, x: Float[Array, "batch n"]) -> tuple[Weight, Any]:
        """The weight and the state after a step of the optimizer.

        With plain gradient descent, the rows of `after - before` lie in the span of the rows of
        `x`.

        **Arguments:**

        - `state`: the state of the layer.
        - `before`, `after`: the weight before and after the step.
        - `x`: the inputs of the layer in the minibatch, shape `(batch, n)`.

        **Returns:** the weight and the state. The weight is `after`, unless the step was shortened
        to avoid a singular weight.
        """


class FreshInverse(Inverse):
    """An inverse that is computed anew from the weight for each batch. It has no state."""

    def init(self, weight):
        return None

    def update(self, state, before, after, x):
        return after, state


class LUSolve(FreshInverse):
    """An LU factorization in every step: `2/3 n^3` operations."""

    word: ClassVar[str] = "lu"

    def apply(self, state, weight, v):
        return solve_columns(weight, v.T).T


class Kept(eqx.Module):
    """A stored inverse.

    **Arguments:**

    - `matrix`: the inverse `M`.
    - `probe`: the directions in which the last measured drift was largest.
    """

    matrix: Weight
    probe: Float[Array, "n probes"]


class KeptInverse(Inverse):
    """An inverse that is stored as a matrix `M`.

    The drift is the spectral radius of `M W - I`. One power iteration per step estimates it. The
    refinement `x += M (v - W x)` shrinks the error by this factor. If the drift is above `limit`,
    the matrix is computed anew. A `limit` of 0 does so in every step.
    """

    limit: eqx.AbstractVar[float]

    def __check_init__(self):
        check_range(self, "limit", lambda limit: limit >= 0, "0 or above")

    def init(self, weight):
        return _kept(weight)

    def apply(self, state, weight, v):
        return refined(state.matrix, weight, v)


class ExplicitInverse(KeptInverse):
    """The inverse is stored, and is computed anew when it has drifted too far."""

    word: ClassVar[str] = "explicit"

    limit: float = 0.1

    def update(self, state, before, after, x):
        return after, _repaired(state, after, self.limit)


class Woodbury(KeptInverse):
    """The inverse is stored, and updated after each step by Woodbury's formula.

        (W + U V^T)^{-1} = M - M U (I + V^T M U)^{-1} V^T M,     U = (W' - W) V

    `V` is an orthonormal basis of the inputs. For a batch of 1 it is the formula of Sherman and
    Morrison. The formula is exact if the rows of the step lie in the span of the inputs, as with
    plain gradient descent. The rest (other optimizers, rounding) adds to the drift.
    """

    word: ClassVar[str] = "woodbury"

    limit: float = 0.1

    def update(self, state, before, after, x):
        moved = Kept(woodbury(state.matrix, after - before, x), state.probe)
        return after, _repaired(moved, after, self.limit)


class RobustShermanMorrison(KeptInverse):
    """The inverse is stored, and updated by the formula of Sherman and Morrison.

    A step that would bring the weight close to a singular one is shortened (Meulemans 2019,
    Algorithm 4.1, for plain gradient descent). A batch of size B gives a step of rank B. It is
    applied as B steps of rank 1 along an orthonormal basis of the inputs. Each of them may be
    shortened. For a batch of 1 this is the published algorithm.

    **Arguments:**

    - `threshold`: the smallest denominator `|1 + v^T W^{-1} u|`, between 0 and 1.
    - `limit`: the largest drift of the stored inverse.
    """

    word: ClassVar[str] = "robust-sherman-morrison"

    threshold: float = 0.5
    limit: float = 0.1

    def __check_init__(self):
        check_fraction(self, "threshold")

    def update(self, state, before, after, x):
        basis = orthonormal_columns(x.T)
        left = (after - before) @ basis
        beyond = after - before - left @ basis.T

        def one(carry, factors):
            (weight, matrix), (u, v) = carry, factors
            return robust_sherman_morrison(weight, matrix, u, v, self.threshold)[:2], None

        (weight, matrix), _ = lax.scan(one, (before, state.matrix), (left.T, basis.T))
        return weight + beyond, _repaired(Kept(matrix, state.probe), weight + beyond, self.limit)


class ConjugateGradients(FreshInverse):
    """Conjugate gradients on `W W^T y = v`, `x = W^T y`, scaled by the norms of the rows of `W`.

    If the rows of the weight are nearly orthogonal, a few products with `W` are enough. If it does
    not converge in `iterations`, an LU factorization is used.
    """

    word: ClassVar[str] = "conjugate-gradients"

    iterations: int = eqx.field(static=True, default=12)

    def __check_init__(self):
        check_count(self, "iterations")

    def apply(self, state, weight, v):
        x, converged = conjugate_gradients(weight, v, self.iterations)
        return lax.cond(converged, lambda: x, lambda: solve_columns(weight, v.T).T)


class Automatic(Inverse):
    """The fastest of the other methods for the given shapes.

    - Narrow layers: `LUSolve`.
    - Layers much wider than the batch: `Woodbury`, with its `limit`.
    - Otherwise: `ConjugateGradients`.
    """

    word: ClassVar[str] = "automatic"

    limit: float = 0.1

    def __check_init__(self):
        check_range(self, "limit", lambda limit: limit >= 0, "0 or above")

    def init(self, weight):
        return LUSolve().init(weight) if weight.shape[0] <= NARROW else _kept(weight)

    def apply(self, state, weight, v):
        return self._choice(weight, v).apply(state, weight, v)

    def update(self, state, before, after, x):
        return self._choice(after, x).update(state, before, after, x)

    def _choice(self, weight: Weight, rows: Float[Array, "batch n"]) -> Inverse:
        width = weight.shape[0]
        if width <= NARROW:
            return LUSolve()
        return Woodbury(self.limit) if LOW_RANK * rows.shape[0] <= width else ConjugateGradients()


def _kept(weight: Weight) -> Kept:
    probe = jax.random.normal(jax.random.key(0), (weight.shape[0], 4), jnp.float32).astype(weight.dtype)
    return Kept(inverse(weight), probe / jnp.linalg.norm(probe, axis=0))


def _repaired(state: Kept, weight: Weight, limit: Any) -> Kept:
    """The state with a better probe. If the inverse has drifted too far, it is computed anew."""
    drifted = state.matrix @ (weight @ state.probe) - state.probe
    sizes = jnp.linalg.norm(drifted, axis=0)
    matrix = lax.cond(
        jnp.max(sizes) <= limit,  # false if the drift is not finite
        lambda: state.matrix,
        lambda: inverse(weight),
    )
    sharper = (sizes > 0) & jnp.isfinite(sizes)
    return Kept(matrix, jnp.where(sharper, drifted / jnp.where(sharper, sizes, 1), state.probe))


# --- all layers of a network ----------------------------------------------------------------------------------------


def init_inverses(method: Inverse, network: Network, onto: bool = True) -> tuple[Any, ...]:
    """The states for the layers 2 .. L.

    **Raises:** `ConfigError` if a layer cannot be inverted.
    """
    return tuple(method.init(dense.weight) for dense in inverted_layers(network, onto))


def inverse_displacement(
    method: Inverse, state: Any, layer: LayerLike, point: Point, da: Float[Array, "batch n"]
) -> Float[Array, "batch ..."]:
    """The displacement of a layer's input that moves its pre-activation by `da`.

    Auxiliary units do not move. Where the layer normalizes its input, the statistics are those of
    the minibatch of `point`.

    **Arguments:**

    - `method`, `state`: how the inverse is computed, and its state for this layer.
    - `layer`: the layer.
    - `point`: where it was evaluated.
    - `da`: the displacement of the pre-activation, shape `(batch, n)`.

    **Returns:** an array with the shape of the input.
    """
    return as_layer(layer).input_displacement(point.x, method.apply(state, _dense(layer).weight, da))


def update_inverses(
    method: Inverse, before: Network, after: Network, states: tuple[Any, ...], trace: Trace
) -> tuple[Network, tuple[Any, ...]]:
    """The network and the states after a step of the optimizer.

    **Arguments:**

    - `method`: how the inverses are computed.
    - `before`, `after`: the network before and after the step.
    - `states`: the states of the layers 2 .. L.
    - `trace`: the forward pass from which the step was computed.

    **Returns:** the network and the states.
    """
    moved = []
    for old, new, state, point in zip(before.layers[1:], after.layers[1:], states, trace.points[1:], strict=True):
        x = as_layer(old).inverted_input(point.x)
        moved.append(method.update(state, _dense(old).weight, _dense(new).weight, x))
    weights, states = zip(*moved, strict=True) if moved else ((), ())
    network = eqx.tree_at(lambda net: [_dense(layer).weight for layer in net.layers[1:]], after, list(weights))
    return network, states


def _dense(layer: LayerLike) -> Dense:
    found = as_layer(layer).inverted_part()
    assert found is not None  # `inverted_layers` checked it
    return found
