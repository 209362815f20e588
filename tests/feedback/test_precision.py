"""What float32 keeps of the feedback gradients when the noise is small."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import targetprop as tp
from targetprop.testing.cases import double

RULES = (tp.dtp, tp.dtpdrl, tp.ddtp_linear, tp.ddtp_rhl, tp.ddtp_rhl_rec)
EXACT = 5e-6


@eqx.filter_jit
def gradients(rule, network, feedback, example):
    return tp.assign(rule, network, feedback, example).feedback.gradients


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_float32_keeps_the_digits_of_the_feedback_gradients_at_any_noise_level(rule):
    """Against float64, relative to the norm of each array.

    The loss of DTP is not one of displacements: it compares activities. So there the noise must
    not be small.
    """
    network = tp.mlp((8, 12, 10, 4), key=jax.random.key(0), dtype=jnp.float32)
    x, y = jax.random.normal(jax.random.key(1), (16, 8), jnp.float32), jnp.arange(16) % 4
    for sigma in (0.05,) if rule is tp.dtp else (0.05, 1e-3, 1e-6):
        made = rule(sigma=sigma)
        feedback = made.init(network, key=jax.random.key(2))
        example = tp.Example(tp.SoftmaxCrossEntropy(), x, y, 0.1, jax.random.key(3))
        single = jax.tree.leaves(gradients(made, network, feedback, example))
        with jax.enable_x64(True):
            wide = double((made, network, feedback, example._replace(key=None)))
            exact = jax.tree.leaves(gradients(*wide[:3], wide[3]._replace(key=example.key)))
        for one, other in zip(single, map(np.asarray, exact), strict=True):
            assert np.linalg.norm(np.float64(one) - other) <= EXACT * np.linalg.norm(other)
