"""The two-weight example of Meulemans 2019, section 5.1.1: the analytic steps (5.7) to (5.20) for
given inputs.

(5.20) is printed without its minus sign: a Gauss-Newton step towards `W*` is `-(1/h_0) D^{-1} (s(W
h_0) - s(W* h_0))`. Steps close to the teacher are in `test_near_the_teacher.py`.
"""

import jax.numpy as jnp
import numpy as np
import pytest

from targetprop.networks.activations import Identity, LeakyReLU
from targetprop.papers.thesis2019.toy import (
    LINEAR,
    MODIFIED,
    NONLINEAR,
    OUTPUT_WEIGHTS,
    START,
    TEACHER,
    Walk,
    step,
    toy_network,
)

pytestmark = pytest.mark.usefixtures("float64")

W, AIM, W2 = np.array(START), np.array(TEACHER), np.array(OUTPUT_WEIGHTS)
INPUTS = np.random.default_rng(0).normal(size=(7, 1))


def found(method, activation, x):
    x = jnp.asarray(x)
    return step(method, toy_network(jnp.asarray(W), activation), x, toy_network(jnp.asarray(AIM), activation)(x))


def test_linear_steps():
    """(5.7), (5.9) and (5.11), with the mean over the batch for the expectation."""
    square = np.mean(INPUTS**2)
    expected = {
        "Gauss-Newton": AIM - W,
        "TP": -0.8 * square * (W - AIM),
        "BP": -0.3 * square * W2.T @ W2 @ (W - AIM),
    }
    for method in LINEAR.methods:
        np.testing.assert_allclose(found(method, Identity(), INPUTS), expected[method.name], rtol=1e-9)


@pytest.mark.parametrize("h", [0.7, -1.3])
def test_nonlinear_steps_on_one_sample(h):
    """(5.16), (5.17) and (5.20), and the modified step, which has `D^{-1}` for the `D` of
    (5.17).
    """
    s, slopes = LeakyReLU(0.1), np.where(W * h < 0, 0.1, 1.0)
    error = np.asarray(s(jnp.asarray(W * h)) - s(jnp.asarray(AIM * h)))
    expected = {
        "Gauss-Newton": -error / slopes / h,
        "TP": -h * slopes * error,
        "BP": -0.5 * h * slopes * (W2.T @ W2 @ error),
        "Modified TP": -h * error / slopes,
    }
    for method in (*NONLINEAR.methods, MODIFIED.methods[0]):
        np.testing.assert_allclose(found(method, s, [[h]]), expected[method.name], rtol=1e-9)


def test_steps_on_a_minibatch_of_the_nonlinear_example():
    """(5.16), (5.17) and (5.19)."""
    s = LeakyReLU(0.1)
    slopes = np.where(INPUTS * W < 0, 0.1, 1.0)
    error = np.asarray(s(jnp.asarray(INPUTS * W)) - s(jnp.asarray(INPUTS * AIM)))
    gram = np.mean([h**2 * np.diag(d) @ W2.T @ W2 @ np.diag(d) for h, d in zip(INPUTS[:, 0], slopes, strict=True)], axis=0)
    gradient = np.mean(INPUTS * slopes * (error @ W2.T @ W2), axis=0)
    expected = {
        "Gauss-Newton": -np.linalg.solve(gram, gradient),
        "TP": -np.mean(INPUTS * slopes * error, axis=0),
        "BP": -0.5 * gradient,
    }
    for method in NONLINEAR.methods:
        np.testing.assert_allclose(found(method, s, INPUTS), expected[method.name], rtol=1e-8)


def test_gauss_newton_and_modified_target_propagation_arrive_in_the_published_number_of_steps():
    for figure in (LINEAR, NONLINEAR, MODIFIED):
        method = figure.methods[0]
        walks = Walk(method, figure.activation).run([0, 1, 2], lambda steps: None)
        assert {metrics["steps"] for metrics in walks} == {method.published}
