"""Transposes and pseudo-inverses of wide random matrices: Meulemans et al. 2020, Theorem S12, for
rows of equal and of unequal norm.
"""

import jax.numpy as jnp
import numpy as np
import pytest

from targetprop.feedback.gauss_newton import PseudoInverse
from targetprop.networks.activations import Identity
from targetprop.networks.layers import Dense
from targetprop.networks.network import Network
from targetprop.rules import Backprop, GaussNewtonTargets
from targetprop.rules.contract import Minibatch

GNT = GaussNewtonTargets(PseudoInverse())
EQUAL, UNEQUAL = (1.0, 1.0, 1.0, 1.0), (1.0, 0.9, 0.6, 0.3)
M = len(EQUAL)
ROWS = pytest.mark.parametrize("norms", [EQUAL, UNEQUAL], ids=["equal", "unequal"])


def rows_of(norms, rng, n: int) -> np.ndarray:
    """Rows of the given norms in random directions."""
    rows = rng.normal(size=(len(norms), n))
    return np.array(norms)[:, None] * rows / np.linalg.norm(rows, axis=1, keepdims=True)


def rows_of_the_ball(rng, n: int) -> np.ndarray:
    """Rows that are uniform in the unit ball: their norms are `U^(1/n)`."""
    return rows_of(rng.random(M) ** (1 / n), rng, n)


def defect(b: np.ndarray) -> float:
    return float(np.linalg.norm(b @ b.T @ b - b) ** 2)


def expected_defect(norms, n: int) -> float:
    """`E ||B B^T B - B||_F^2`. With inner products `g_il` of the rows, row `i` of the difference is
    `(r_i^2 - 1) x_i + sum_l g_il x_l`; `E g_il^2 = r_i^2 r_l^2 / n`, and for three different rows
    `E g_il g_ik g_lk = r_i^2 r_l^2 r_k^2 / n^2`.
    """
    total = 0.0
    for i, r in enumerate(np.square(norms)):
        others = np.delete(np.square(norms), i)
        pairs = np.sum(others) ** 2 - np.sum(others**2)
        total += r * (1 - r) ** 2 + np.sum(r * others * (2 * (r - 1) + others)) / n + r * pairs / n**2
    return total


@ROWS
def test_theorem_s12_the_transpose_of_a_wide_random_matrix_nears_its_pseudo_inverse(norms):
    """With equal norms as `m (m - 1) / n`. With unequal ones the defect stays above `sum r_i^2 (1 -
    r_i^2)^2`, however wide the layer is. The proof assumes it, under (158): a larger `epsilon`.
    """
    rng = np.random.default_rng(0)
    floor = sum(r**2 * (1 - r**2) ** 2 for r in norms)
    for n in (100, 1000):
        matrices = [rows_of(norms, rng, n) for _ in range(300)]
        found = np.mean([defect(b) for b in matrices])
        assert found == pytest.approx(expected_defect(norms, n), rel=0.2 if norms is EQUAL else 0.02)
        assert np.mean([defect(b.T) for b in matrices]) == pytest.approx(found)  # the second condition is the first
        assert abs(found - floor) < 2 * M**2 / n
    assert (floor == 0) == (norms is EQUAL)


def test_theorem_s12_rows_of_the_unit_ball_have_nearly_equal_norms():
    """The theorem's own rows, divided by their largest norm: the discrepancy `c_i` falls as `1 /
    n`, and the rest is that of unit rows.
    """
    rng = np.random.default_rng(1)
    for n in (100, 1000):
        matrices = [rows_of_the_ball(rng, n) for _ in range(300)]
        scaled = [a / np.max(np.linalg.norm(a, axis=1)) for a in matrices]
        assert np.mean([defect(b) for b in scaled]) == pytest.approx(M * (M - 1) / n, rel=0.2)
        floors = [np.sum(r * (1 - r) ** 2) for r in (np.sum(b**2, axis=1) for b in scaled)]
        assert np.mean(floors) < 40 * M / n**2


@pytest.mark.parametrize("scale", [1.0, 0.5])
def test_equation_159_the_largest_norm_belongs_above_the_line(scale):
    """Rows of one norm `s` with all inner products just below `t`, and equation (152) below
    `epsilon / 2`: right is `t < sqrt(epsilon / 2) s^2 / ((m - 1) sqrt(m))`. The printed `K_2` has
    `s^2` below the line. With `s = 1/2` it allows a defect above `epsilon`.
    """
    epsilon, m = 1e-4, M
    right = np.sqrt(epsilon / 2) * scale**2 / ((m - 1) * np.sqrt(m))
    printed = np.sqrt(epsilon) / (m * np.sqrt(m - 1) * scale**2)

    def with_inner_products(t):
        gram = np.full((m, m), t) + np.diag(np.full(m, scale**2 - t))
        return defect(np.linalg.cholesky(gram) / scale)

    assert with_inner_products(0.999 * right) < epsilon
    assert (with_inner_products(0.999 * printed) < epsilon) == (scale == 1)


@ROWS
def test_theorem_s12_targets_of_wide_layers_align_with_the_gradient(norms):
    """For a unit vector `v` the cosine of `J^T v` and `J^† v` is `1 / sqrt((v^T R v) (v^T R^{-1}
    v))` with `R = J J^T`. For rows of equal norm `R = I + E` with entries of variance `1 / n` off
    the diagonal: the squared sine is `||E v||^2 - (v^T E v)^2` to first order, its mean over
    isotropic `v` is `(m - 1) / n * m / (m + 2)`. For unequal ones `R` tends to the diagonal matrix
    of `r_i^2`, and the angle stays.
    """
    rng = np.random.default_rng(0)
    for n in (200, 2000):
        sines, limits = [], []
        for _ in range(60):
            j = rows_of(norms, rng, n)
            layers = [Dense(jnp.ones((n, 1)), None, Identity()), Dense(jnp.asarray(j), None, Identity())]
            network, v = Network(layers, 1), rng.normal(size=(8, M))
            trace = network.trace(jnp.ones((8, 1)))
            ours, gradient = (
                np.asarray(rule.target_updates(network, None, Minibatch(trace, jnp.asarray(v)))[0])
                for rule in (GNT, Backprop())
            )
            cosines = np.sum(ours * gradient, axis=1) / np.linalg.norm(ours, axis=1) / np.linalg.norm(gradient, axis=1)
            sines.append(1 - cosines**2)
            square = np.square(norms)
            limits.append(1 - np.sum(v**2, axis=1) ** 2 / (v**2 @ square) / (v**2 @ (1 / square)))
        if norms is EQUAL:
            np.testing.assert_allclose(np.mean(sines), (M - 1) / n * M / (M + 2), rtol=0.2)
        else:
            assert np.mean(limits) > 0.3
            assert abs(np.mean(sines) - np.mean(limits)) < 10 / n
            assert np.max(np.abs(np.subtract(sines, limits))) < 10 / n**0.5
