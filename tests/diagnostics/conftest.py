"""What the tests of diagnostics share: small networks in double precision, and Jacobians written
out in full.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import targetprop as tp
from targetprop.diagnostics import Sample
from targetprop.networks.network import Network, Trace, mlp


class Problem(NamedTuple):
    """A network, a minibatch and its output update."""

    network: Network
    x: jax.Array
    target: jax.Array
    trace: Trace
    output_update: jax.Array

    def sample(self, rule: tp.Rule, feedback: Any) -> Sample:
        example = tp.Example(tp.SquaredError(), self.x, self.target, 0.1, jax.random.key(0))
        return Sample.take(rule, self.network, feedback, example)


def problem(network: Network, batch: int = 4) -> Problem:
    x = jax.random.normal(jax.random.key(1), (batch, *network.input_shape))
    target = jax.random.normal(jax.random.key(2), (batch, *network.shapes[-1]))
    trace = network.trace(x)
    return Problem(network, x, target, trace, tp.output_update(tp.SquaredError(), trace.output, target, 0.1))


@pytest.fixture(scope="module")
def double() -> Iterator[None]:
    with jax.enable_x64(True):
        yield


@pytest.fixture(scope="module")
def dense(double) -> Problem:
    """A tanh network 7-6-5-2 with biases that are not zero, and 4 samples."""
    network = mlp([7, 6, 5, 2], key=jax.random.key(0), dtype=jnp.float64)
    return problem(jax.tree.map(lambda leaf: leaf + 0.1 * jnp.cos(jnp.arange(leaf.size)).reshape(leaf.shape), network))


@pytest.fixture(scope="module")
def linear(double) -> Problem:
    """A linear, contracting network 7-6-5-2 without biases, and a single sample."""
    sizes = [7, 6, 5, 2]
    return problem(mlp(sizes, tp.Identity(), bias=False, key=jax.random.key(0), dtype=jnp.float64), batch=1)


@pytest.fixture(scope="module")
def images(double) -> Problem:
    """A network with a convolution."""
    architecture = tp.CNN(channels=(2,), hidden=(5,), kernel=3)
    return problem(architecture.build((1, 4, 5), 2, key=jax.random.key(0), dtype=jnp.float64))


def layer_jacobians(network: Network, x: jax.Array, layer: int) -> np.ndarray:
    """`dh_L / d(parameters of a layer)` of every sample, shape `(batch, n_L, parameters)`, by
    automatic differentiation.
    """
    blocks = jax.tree.leaves(jax.jacobian(lambda network: network(x))(network).layers[layer - 1])
    return np.concatenate([np.asarray(block).reshape(*block.shape[:2], -1) for block in blocks], axis=2)


def activity_jacobians(problem: Problem, layer: int) -> np.ndarray:
    """`J_i` of every sample, shape `(batch, n_L, n_i)`, by automatic differentiation."""
    rest = Network(problem.network.layers[layer:], problem.network.shapes[layer])
    jacobians = jax.vmap(jax.jacobian(lambda h: rest(h[None])[0]))(problem.trace.h[layer])
    return np.asarray(jacobians).reshape(len(problem.x), problem.trace.output.shape[1], -1)


def single_updates(problem: Problem, updates, layer: int) -> np.ndarray:
    """The update that each sample by itself makes of a layer's parameters: minus the gradient of
    the local loss with the target held fixed, shape `(batch, parameters)`.
    """
    found = []
    for b in range(len(problem.x)):
        below, goal = problem.trace.h[layer - 1][b : b + 1], (problem.trace.h[layer] + updates[layer - 1])[b : b + 1]
        own = problem.network.layers[layer - 1]
        gradient = jax.grad(lambda own, below=below, goal=goal: jnp.sum((own.at(below).h - goal) ** 2) / 2)(own)
        found.append(-np.concatenate([np.asarray(leaf).ravel() for leaf in jax.tree.leaves(gradient)]))
    return np.stack(found)


@pytest.fixture(scope="session")
def oracle():
    """The functions above, by name."""

    class Oracle:
        layer_jacobians = staticmethod(layer_jacobians)
        activity_jacobians = staticmethod(activity_jacobians)
        single_updates = staticmethod(single_updates)

    return Oracle
