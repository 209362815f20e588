"""Target propagation close to a teacher: Meulemans 2019, section 5.1.1, equations (5.21) to (5.34).

A network of equally wide layers with exact inverses has the weights of its teacher, but for one
layer `i`, whose weight differs from the teacher's by a small `dW`.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from targetprop.feedback.gauss_newton import PseudoInverse, gauss_newton_update
from targetprop.feedback.inverses import LUSolve
from targetprop.losses import SquaredError
from targetprop.networks.activations import Identity, LeakyReLU
from targetprop.networks.invertible import invertible_mlp
from targetprop.networks.layers import Dense
from targetprop.networks.network import Network
from targetprop.networks.normalization import BatchNormalized
from targetprop.papers.thesis2019.toy import MODIFIED, NONLINEAR, step, toy_network
from targetprop.rules import InverseSlopes, TargetPropExact
from targetprop.rules.by_numbers import minibatch_step
from targetprop.rules.contract import Example
from theory.smooth import Arsinh

N, DEPTH, SAMPLES, STEPSIZE = 3, 4, 6, 0.7
SCALES = (1e-3, 1e-4)
TP = TargetPropExact(LUSolve())
SMOOTH, PIECEWISE = Arsinh(), LeakyReLU(0.3)
ACTIVATIONS = pytest.mark.parametrize("activation", [SMOOTH, PIECEWISE], ids=["smooth", "piecewise"])


class Near:
    """Student and teacher that differ by `scale * direction` in the weight of layer `i`, and the
    matrices of the thesis, sample by sample, in NumPy."""

    def __init__(self, activation, scale: float, i: int = 2):
        self.i, numbers = i, np.random.default_rng(3)
        teacher = invertible_mlp((N,) * (DEPTH + 1), activation, bias=False, key=jax.random.key(1), dtype=jnp.float64)
        self.dw = scale * numbers.normal(size=(N, N))  # W_i - W_i*
        self.network = eqx.tree_at(lambda net: net.layers[i - 1].weight, teacher, teacher.layers[i - 1].weight + self.dw)
        self.x = jnp.asarray(numbers.normal(size=(SAMPLES, N)))
        self.y = teacher(self.x)
        points, goals = self.network.trace(self.x).points, teacher.trace(self.x).points
        self.h = np.asarray(points[i - 1].x)
        self.error = np.asarray(points[-1].h - self.y)
        self.w = [np.asarray(layer.weight) for layer in self.network.layers]
        self.d, self.goal_d = (
            [np.asarray(layer.activation.slope(point.a)) for layer, point in zip(self.network.layers, each, strict=True)]
            for each in (points, goals)
        )

    def step(self, rule) -> np.ndarray:
        """What the rule adds to `W_i` at a learning rate of 1."""
        example = Example(SquaredError(), self.x, self.y, STEPSIZE)
        feedback = rule.init(self.network, key=jax.random.key(0))
        return -np.asarray(minibatch_step(rule, self.network, feedback, example).gradients.layers[self.i - 1].weight)

    def above(self, slopes, b: int) -> np.ndarray:
        """`D_L W_L .. D_{i+1} W_{i+1}` of sample `b`."""
        matrix = np.eye(N)
        for w, d in list(zip(self.w, slopes, strict=True))[self.i :]:
            matrix = d[b][:, None] * (w @ matrix)
        return matrix


def approaches(activation, errors: list[float]) -> None:
    """Relative errors at the two scales: none without curvature, else of first order."""
    if activation is PIECEWISE:  # no unit changes its side
        assert max(errors) < 1e-8
    else:
        assert errors[0] < 0.05
        assert 8 < errors[0] / errors[1] < 12.5


def relative(found, expected) -> float:
    return float(np.linalg.norm(found - expected) / np.linalg.norm(expected))


@ACTIVATIONS
def test_equations_5_21_and_5_22_for_two_weights(activation):
    """On one sample, `-stepsize h_0^2 D D* (W - W*)`, and for Gauss-Newton `-D^{-1} D* (W - W*)`,
    printed without the minus. `D^{-1} D*` goes to the identity.
    """
    h, w, direction = 0.7, np.array([1.6, -2.0]), np.array([0.4, 1.1])
    off = {name: [] for name in ("(5.21)", "(5.22)", "printed", "modified")}
    for scale in SCALES:
        aim = w - scale * direction
        slopes, goals = (np.asarray(activation.slope(jnp.asarray(each * h))) for each in (w, aim))
        network, teacher = (toy_network(jnp.asarray(each), activation) for each in (w, aim))
        x = jnp.array([[h]])
        gauss_newton, tp = (step(method, network, x, teacher(x)) for method in NONLINEAR.methods[:2])
        off["(5.21)"].append(relative(tp, -NONLINEAR.methods[1].stepsize * h**2 * slopes * goals * (w - aim)))
        off["(5.22)"].append(relative(gauss_newton, -goals / slopes * (w - aim)))
        off["printed"].append(relative(gauss_newton, goals / slopes * (w - aim)))
        modified = step(MODIFIED.methods[0], network, x, teacher(x))
        off["modified"].append(relative(modified, -MODIFIED.methods[0].stepsize * h**2 * (w - aim)))
    for name in ("(5.21)", "(5.22)", "modified"):
        approaches(activation, off[name])
    assert min(off["printed"]) > 1.9


@ACTIVATIONS
def test_equations_5_23_to_5_26_the_step_of_target_propagation(activation):
    """(5.24) expands the targets, (5.25) the error, and in (5.26) the paths cancel."""
    off = {name: [] for name in ("(5.24)", "(5.25)", "(5.26)")}
    for scale in SCALES:
        near = Near(activation, scale)
        moved = near.goal_d[near.i - 1] * (near.h @ near.dw.T)  # D*_i (W_i - W_i*) h_{i-1}, per sample
        back = [np.linalg.inv(near.above(near.d, b)) for b in range(SAMPLES)]
        error = [near.above(near.goal_d, b) @ moved[b] for b in range(SAMPLES)]
        expected = {
            "(5.24)": [inverse @ e for inverse, e in zip(back, near.error, strict=True)],
            "(5.25)": [inverse @ e for inverse, e in zip(back, error, strict=True)],
            "(5.26)": moved,
        }
        found = near.step(TP)
        for name, dh in expected.items():
            local = -STEPSIZE * (near.d[near.i - 1] * np.stack(dh)).T @ near.h / SAMPLES
            off[name].append(relative(found, local))
    for errors in off.values():
        approaches(activation, errors)


@ACTIVATIONS
def test_equations_5_27_to_5_33_the_gauss_newton_step_arrives_at_the_teacher(activation):
    """(5.30) is no equality as printed: the Jacobian has the slopes `D` of the student in all
    layers, (5.31) those of the teacher. The difference vanishes with `dW`.
    """
    off = {name: [] for name in ("(5.30)", "(5.31)", "(5.32)", "(5.33)")}
    for scale in SCALES:
        near = Near(activation, scale)
        i, dw, h = near.i, near.dw, near.h
        rows = [np.kron(np.eye(N), h[b]) for b in range(SAMPLES)]  # (5.27): H^T vec(W) = W h
        np.testing.assert_allclose(rows[0] @ near.w[i - 1].ravel(), near.w[i - 1] @ h[0], rtol=1e-12)

        def output(weight, near=near):
            return eqx.tree_at(lambda net: net.layers[near.i - 1].weight, near.network, weight)(near.x)

        jacobian = np.asarray(jax.jacobian(output)(jnp.asarray(near.w[i - 1]))).reshape(SAMPLES, N, N * N)
        d, goal = near.d[i - 1], near.goal_d[i - 1]
        ours = np.stack([near.above(near.d, b) * d[b] @ rows[b] for b in range(SAMPLES)])
        printed = np.stack([near.above(near.goal_d, b) * d[b] @ rows[b] for b in range(SAMPLES)])
        np.testing.assert_allclose(ours, jacobian, rtol=1e-9, atol=1e-12)  # (5.29)
        gram = np.einsum("bki,bkj->ij", jacobian, jacobian)
        gradient = np.einsum("bki,bk->i", jacobian, near.error)
        newton = -np.linalg.solve(gram, gradient).reshape(N, N)  # (5.28)
        library = gauss_newton_update(near.network, near.x, jnp.asarray(near.error), PseudoInverse())
        np.testing.assert_allclose(library.layers[i - 1].weight, newton, rtol=1e-6, atol=1e-9 * scale)
        off["(5.30)"].append(relative(printed, jacobian))
        taught = np.stack([near.above(near.goal_d, b) @ (goal[b] * (dw @ h[b])) for b in range(SAMPLES)])
        off["(5.31)"].append(relative(taught, near.error))
        off["(5.32)"].append(relative(jacobian @ dw.ravel(), near.error))
        off["(5.33)"].append(relative(newton, -dw))
    for errors in off.values():
        approaches(activation, errors)


@ACTIVATIONS
def test_equation_5_34_the_modified_step(activation):
    off = []
    for scale in SCALES:
        near = Near(activation, scale)
        expected = -STEPSIZE * near.dw @ near.h.T @ near.h / SAMPLES
        off.append(relative(near.step(InverseSlopes(TP)), expected))
    approaches(activation, off)


def test_normalized_by_the_deviation_of_the_minibatch_inputs_have_the_correlations_as_second_moment():
    """The thesis after (5.34): entries `rho_jk`, and 1 on the diagonal. Divided by the sample
    deviation, as the published code does, they are smaller by `(B - 1) / B`.
    """
    x = np.random.default_rng(0).normal(size=(SAMPLES, N)) @ np.diag([1.0, 5.0, 30.0]) + 2.0
    layer = BatchNormalized(Dense(jnp.eye(N), None, Identity()))
    ours = np.asarray(Network([layer], N)(jnp.asarray(x)))
    np.testing.assert_allclose(ours.T @ ours / SAMPLES, np.corrcoef(x.T), rtol=1e-4)
    published = (x - x.mean(axis=0)) / x.std(axis=0, ddof=1)
    share = (SAMPLES - 1) / SAMPLES
    np.testing.assert_allclose(published.T @ published / SAMPLES, share * np.corrcoef(x.T), rtol=1e-10)
