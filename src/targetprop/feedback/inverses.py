"""The exact inverse of a layer as its feedback: `W^{-1} [s^{-1}(h + d) - s^{-1}(h)]`, never an absolute target.

How `W^{-1}` is computed, and kept up to date as `W` learns, is an `Inverse`. All give the same numbers to rounding and differ in
cost.
"""

import abc
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float

from .._linear_algebra import inverse, orthonormal_columns, solve_columns
from ..errors import check_fraction, check_positive
from ..networks.invertible import inverted_layers
from ..networks.layers import Dense, LayerLike, Point, as_layer
from ..networks.network import Network, Trace

Weight = Float[Array, "n n"]

NARROW = 128  # up to this width an LU factorization costs less than keeping an inverse
LOW_RANK = 24  # a rank-B update pays where the layer is at least so many times as wide as the batch
ITERATIONS = 20


class Inverse(eqx.Module):
    """How the inverse of a square weight is computed while the weight learns. One object serves all layers; `state` is what
    it keeps for one of them, a pytree, or `None`."""

    @abc.abstractmethod
    def init(self, weight: Weight) -> Any:
        """The state for a new weight."""

    @abc.abstractmethod
    def apply(self, state: Any, weight: Weight, v: Float[Array, "batch n"]) -> Float[Array, "batch n"]:
        """`W^{-1} v` for each row of `v`."""

    @abc.abstractmethod
    def update(self, state: Any, before: Weight, after: Weight, x: Float[Array, "batch n"]) -> tuple[Weight, Any]:
        """The weight and the state once the optimizer has led the weight from `before` to `after` on a batch of inputs `x`.
        With plain gradient descent the rows of `after - before` lie in the span of those of `x`. The weight is `after`
        unless the step was shortened to keep away from singular weights."""


class FreshInverse(Inverse):
    """An inverse that is computed from the weight alone, anew for each batch. Nothing is kept."""

    def init(self, weight):
        return None

    def update(self, state, before, after, x):
        return after, state


class LUSolve(FreshInverse):
    """An LU factorization in every step. `2/3 n^3` operations."""

    word: ClassVar[str] = "lu"

    def apply(self, state, weight, v):
        return solve_columns(weight, v.T).T


class Kept(eqx.Module):
    """An inverse that is kept, and the directions in which its drift was last found largest."""

    matrix: Weight
    probe: Float[Array, "n probes"]


class KeptInverse(Inverse):
    """An inverse that is kept as a matrix `M`. Refinement, `x += M (v - W x)`, makes up for its drift, and the matrix
    is computed anew once that is above `limit`: 0 does so in every step.

    The drift is the spectral radius of `M W - I`, by which a refinement shrinks the error; it is followed by one power
    iteration a step.
    """

    limit: eqx.AbstractVar[float]

    def init(self, weight):
        return _kept(weight)

    def apply(self, state, weight, v):
        return _refined(state.matrix, weight, v)


class ExplicitInverse(KeptInverse):
    """The inverse is kept as it is while the weight learns, until it has drifted."""

    word: ClassVar[str] = "explicit"

    limit: float = 0.1

    def update(self, state, before, after, x):
        return after, _repaired(state, after, self.limit)


class Woodbury(KeptInverse):
    """The inverse is kept and follows the step, as far as that lies in the span of the batch, by the formula

        (W + U V^T)^{-1} = M - M U (I + V^T M U)^{-1} V^T M,     U = (W' - W) V,  V an orthonormal basis of the inputs

    of Woodbury, for a batch of 1 of Sherman and Morrison. That is all of the step for plain gradient descent.
    What it misses (other optimizers, rounding) is drift.
    """

    word: ClassVar[str] = "woodbury"

    limit: float = 0.1

    def update(self, state, before, after, x):
        moved = Kept(woodbury(state.matrix, after - before, x), state.probe)
        return after, _repaired(moved, after, self.limit)


class RobustShermanMorrison(KeptInverse):
    """The inverse is kept and follows the step by the formula of Sherman and Morrison, and a step that would
    bring the weight close to a singular one is shortened (Meulemans 2019, Algorithm 4.1, for plain gradient descent).

    A batch of B makes a step of rank B, taken as B steps of rank 1 along an orthonormal basis of its inputs, each
    shortened if need be; for a batch of 1 that is the published algorithm. `threshold`, between 0 and 1, is the smallest
    denominator `|1 + v^T W^{-1} u|`.
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
    """Conjugate gradients on `W W^T y = v`, `x = W^T y`, scaled by the norms of the rows of `W`. For weights
    with nearly orthogonal rows a handful of products with `W` do; where `iterations` do not, an LU factorization follows."""

    word: ClassVar[str] = "conjugate-gradients"

    iterations: int = eqx.field(static=True, default=12)

    def __check_init__(self):
        check_positive(self, "iterations")

    def apply(self, state, weight, v):
        x, converged = _conjugate_gradients(weight, v, self.iterations)
        return lax.cond(converged, lambda: x, lambda: solve_columns(weight, v.T).T)


class Automatic(Inverse):
    """The fastest of the others for the shapes at hand: `LUSolve` for narrow layers, `Woodbury` for layers much wider than
    the batch, else `ConjugateGradients`. `limit` as in `Woodbury`."""

    word: ClassVar[str] = "automatic"

    limit: float = 0.1

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


def woodbury(matrix: Weight, step: Weight, x: Float[Array, "batch n"]) -> Weight:
    """The inverse of `W + P`, with `matrix` that of `W` and `P` the part of `step` whose rows lie in the span of those of
    `x`."""
    basis = orthonormal_columns(x.T)
    left = matrix @ (step @ basis)
    right = basis.T @ matrix
    small = jnp.eye(basis.shape[1], dtype=matrix.dtype) + basis.T @ left
    return matrix - left @ solve_columns(small, right)


def robust_sherman_morrison(
    weight: Weight, matrix: Weight, u: Float[Array, " n"], v: Float[Array, " n"], threshold: Any
) -> tuple[Weight, Weight, Float[Array, ""]]:
    """`W + beta u v^T`, its inverse and `beta`, with `matrix` the inverse of `W`: `beta` is 1, or what makes the denominator
    of Sherman and Morrison `beta threshold` where that would be nearer to 0 than `threshold` (Meulemans 2019, equation
    4.80)."""
    mu, vm = matrix @ u, v @ matrix
    d = v @ mu
    robust = jnp.abs(1 + d) >= threshold
    beta = jnp.where(robust, 1, 1 / (threshold - jnp.where(robust, 0, d)))
    return weight + beta * jnp.outer(u, v), matrix - jnp.outer(mu, vm) / jnp.where(robust, 1 + d, threshold), beta


def drift(matrix: Weight, weight: Weight) -> Float[Array, ""]:
    """`||M W - I||_F / sqrt(n)`: 0 for the inverse, 1 for the zero matrix."""
    n = weight.shape[0]
    return jnp.linalg.norm(matrix @ weight - jnp.eye(n, dtype=weight.dtype)) / n**0.5


def _kept(weight: Weight) -> Kept:
    probe = jax.random.normal(jax.random.key(0), (weight.shape[0], 4), jnp.float32).astype(weight.dtype)
    return Kept(inverse(weight), probe / jnp.linalg.norm(probe, axis=0))


def _repaired(state: Kept, weight: Weight, limit: Any) -> Kept:
    """The state with a new inverse where the old one has drifted too far, and with a sharper probe."""
    drifted = state.matrix @ (weight @ state.probe) - state.probe
    sizes = jnp.linalg.norm(drifted, axis=0)
    matrix = lax.cond(
        jnp.max(sizes) <= limit,  # false where the drift is not finite
        lambda: state.matrix,
        lambda: inverse(weight),
    )
    sharper = (sizes > 0) & jnp.isfinite(sizes)
    return Kept(matrix, jnp.where(sharper, drifted / jnp.where(sharper, sizes, 1), state.probe))


def _refined(matrix: Weight, weight: Weight, v: Float[Array, "batch n"]) -> Float[Array, "batch n"]:
    """`W^{-1} v` by refinement of `M v` until the residual stops halving; by an LU factorization where that is not near the
    rounding level."""
    tolerance = 4 * jnp.finfo(v.dtype).eps

    def residual(x):
        left = v - x @ weight.T
        return left, jnp.linalg.norm(left)

    def going(carry):
        _, _, size, last, count = carry
        return (size > tolerance * goal) & (size < last / 2) & (count < ITERATIONS)

    def refine(carry):
        x, left, size, _, count = carry
        x = x + left @ matrix.T
        return x, *residual(x), size, count + 1

    goal = jnp.linalg.norm(v)
    first = v @ matrix.T
    left, size = residual(first)
    x, _, size, _, _ = lax.while_loop(going, refine, (first, left, size, jnp.inf * jnp.ones_like(size), 0))
    close = size <= 1e3 * tolerance * goal
    return lax.cond(close, lambda: x, lambda: solve_columns(weight, v.T).T)


def _conjugate_gradients(
    weight: Weight, v: Float[Array, "batch n"], iterations: int
) -> tuple[Float[Array, "batch n"], Bool[Array, ""]]:
    """`W^{-1} v` for each row, and whether all residuals fell to the rounding level."""
    tolerance = 8 * jnp.finfo(v.dtype).eps
    scale = 1 / jnp.sum(weight**2, axis=1)
    goal = jnp.sum(v**2, axis=1)

    def over(a, b):
        return jnp.where(b > 0, a / jnp.where(b > 0, b, 1), 0)[:, None]

    def there(left):
        return jnp.all(jnp.sum(left**2, axis=1) <= tolerance**2 * goal)

    def going(carry):
        _, left, _, _, count = carry
        return ~there(left) & (count < iterations)

    def advance(carry):
        x, left, direction, size, count = carry
        moved = direction @ weight
        length = over(size, jnp.sum(moved**2, axis=1))
        x, left = x + length * moved, left - length * (moved @ weight.T)
        scaled = scale * left
        new_size = jnp.sum(left * scaled, axis=1)
        return x, left, scaled + over(new_size, size) * direction, new_size, count + 1

    start = (jnp.zeros_like(v), v, scale * v, jnp.sum(v * scale * v, axis=1), 0)
    x, left, *_ = lax.while_loop(going, advance, start)
    return x, there(left)


# --- all layers of a network ----------------------------------------------------------------------------------------


def init_inverses(method: Inverse, network: Network, onto: bool = True) -> tuple[Any, ...]:
    """The states for the layers 2 .. L. Raises `ConfigError` where one cannot be inverted."""
    return tuple(method.init(dense.weight) for dense in inverted_layers(network, onto))


def inverse_displacement(
    method: Inverse, state: Any, layer: LayerLike, point: Point, da: Float[Array, "batch n"]
) -> Float[Array, "batch ..."]:
    """How the layer's input must move for its pre-activation to move by `da`, in the shape of the input; auxiliary units
    stay."""
    dense = _dense(layer)
    dx = method.apply(state, dense.weight, da)
    auxiliary = point.x.reshape(point.x.shape[0], -1).shape[1] - dx.shape[1]
    return jnp.pad(dx, ((0, 0), (0, auxiliary))).reshape(point.x.shape)


def update_inverses(
    method: Inverse, before: Network, after: Network, states: tuple[Any, ...], trace: Trace
) -> tuple[Network, tuple[Any, ...]]:
    """The network and the states once the optimizer has led it from `before` to `after` on the batch of `trace`."""
    moved = []
    for old, new, state, point in zip(before.layers[1:], after.layers[1:], states, trace.points[1:], strict=True):
        x = point.x.reshape(point.x.shape[0], -1)[:, : _dense(old).weight.shape[1]]
        moved.append(method.update(state, _dense(old).weight, _dense(new).weight, x))
    weights, states = zip(*moved, strict=True) if moved else ((), ())
    network = eqx.tree_at(lambda net: [_dense(layer).weight for layer in net.layers[1:]], after, list(weights))
    return network, states


def _dense(layer: LayerLike) -> Dense:
    found = as_layer(layer).inverted_part()
    assert found is not None  # `inverted_layers` saw to it
    return found
