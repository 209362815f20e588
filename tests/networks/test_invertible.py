"""Losses and scores on the first units of an output with auxiliary ones, and training with
them.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import targetprop as tp
from targetprop.data import Dataset
from targetprop.losses import ErrorRate, LossOnFirstUnits, ScoreOnFirstUnits, SoftmaxCrossEntropy
from targetprop.training.ensemble import Ensemble
from targetprop.training.schedule import Pass


def test_auxiliary_outputs_carry_no_loss():
    loss, numbers = LossOnFirstUnits(SoftmaxCrossEntropy(), 3), np.random.default_rng(0)
    h, v = (jnp.asarray(numbers.normal(size=(4, 5)), jnp.float32) for _ in range(2))
    labels = jnp.array([0, 2, 1, 1])
    other = h.at[:, 3:].set(50.0)
    np.testing.assert_array_equal(loss.value(other, labels), SoftmaxCrossEntropy().value(h[:, :3], labels))
    np.testing.assert_array_equal(loss.prediction(other), np.argmax(h[:, :3], axis=1))
    np.testing.assert_array_equal(ScoreOnFirstUnits(ErrorRate(), 3)(other, labels), ErrorRate()(h[:, :3], labels))
    assert ScoreOnFirstUnits(ErrorRate(), 3).unit == "%"
    gradient = jax.grad(lambda h: jnp.sum(loss.value(h, labels)))
    np.testing.assert_allclose(loss.error(h, labels), gradient(h), atol=1e-6)
    curvature = jax.jvp(gradient, (h,), (v,))[1]
    np.testing.assert_allclose(loss.hessian_product(h, labels, v), curvature, atol=1e-6)


def blobs() -> Dataset:
    """Four classes of points around four corners."""
    numbers = np.random.default_rng(0)
    labels = (np.arange(240) % 4).astype(np.int32)
    x = (numbers.normal(size=(240, 6)) * 0.2 + 2 * np.eye(6)[labels]).astype(np.float32)
    return Dataset("blobs", x[:160], labels[:160], x[160:], labels[160:], shape=(6,), classes=4, validation=0)


@pytest.mark.parametrize("architecture", [tp.SquareMLP(2), tp.ShrinkingMLP((6, 5))], ids=["square", "tower"])
def test_gait_and_bp_learn_alike(architecture):
    """From orthogonal weights and with the penalty, GAIT-prop follows backpropagation."""
    losses = {}
    for rule in (tp.Backprop(), tp.GAITProp()):
        recipe = tp.Recipe(
            rule,
            architecture=architecture,
            loss=tp.SquaredError(),
            optimizer=tp.Adam(5e-3),
            penalty=tp.OrthogonalityPenalty(),
            batch_size=20,
            validation=0,
        )
        ensemble = Ensemble([recipe], [0], blobs())
        ensemble.advance(Pass(0, 0, True, False), 0, 8)
        start = float(ensemble.member(0).state.totals.loss)
        ensemble.advance(Pass(9, 0, True, False), 0, 8)
        losses[rule.name] = (start, float(ensemble.member(0).state.totals.loss))
    gains = {name: start - end for name, (start, end) in losses.items()}
    assert gains["bp"] > 0.1 * losses["bp"][0]
    assert gains["gait"] == pytest.approx(gains["bp"], rel=0.1)


def test_too_few_outputs_are_an_error():
    class Narrow(tp.Architecture):
        def build(self, input_shape, outputs, *, key, dtype):
            return tp.mlp((6, 3), key=key, dtype=dtype)

    with pytest.raises(tp.ConfigError, match="has 3 outputs, but blobs needs 4"):
        Ensemble([tp.Recipe(tp.Backprop(), architecture=Narrow(), batch_size=20)], [0], blobs())
