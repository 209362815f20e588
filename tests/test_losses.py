import jax
import jax.numpy as jnp
import numpy as np
import pytest

from targetprop.losses import ErrorRate, MeanSquaredError, SoftmaxCrossEntropy, SquaredError

H = np.array([[0.3, -1.2, 2.0, 0.1], [4.0, 4.0, -3.0, 0.0], [-0.5, 0.2, 0.4, 7.0]])
LABELS = np.array([2, 0, 1])
VECTORS = np.array([[0.0, 1.0, 0.5, -2.0], [1.0, 0.0, 0.0, 0.0], [0.2, 0.2, -0.2, 3.0]])
CASES = pytest.mark.parametrize(
    ("loss", "target"),
    [(SquaredError(), VECTORS), (SquaredError(), LABELS), (SoftmaxCrossEntropy(), LABELS)],
    ids=["squared-vectors", "squared-labels", "cross-entropy"],
)


@CASES
@pytest.mark.usefixtures("float64")
def test_error_is_the_gradient_of_each_sample(loss, target):
    h, target = jnp.asarray(H), jnp.asarray(target)
    gradient = jax.grad(lambda h: jnp.sum(loss.value(h, target)))(h)
    np.testing.assert_allclose(loss.error(h, target), gradient, rtol=1e-12, atol=1e-15)


@CASES
@pytest.mark.usefixtures("float64")
def test_hessian_product_is_the_derivative_of_the_error(loss, target):
    h, target, v = jnp.asarray(H), jnp.asarray(target), jnp.asarray(VECTORS[::-1].copy())
    _, derivative = jax.jvp(lambda h: loss.error(h, target), (h,), (v,))
    np.testing.assert_allclose(loss.hessian_product(h, target, v), derivative, rtol=1e-11, atol=1e-14)


@pytest.mark.usefixtures("float64")
def test_values_are_those_of_the_definitions():
    h, labels, vectors = jnp.asarray(H), jnp.asarray(LABELS), jnp.asarray(VECTORS)
    onehot = np.eye(4)[LABELS]
    surprise = -np.log(np.exp(H)[np.arange(3), LABELS] / np.exp(H).sum(axis=1))
    np.testing.assert_allclose(SoftmaxCrossEntropy().value(h, labels), surprise, rtol=1e-13)
    np.testing.assert_allclose(SquaredError().value(h, vectors), ((H - VECTORS) ** 2).sum(axis=1) / 2, rtol=1e-14)
    np.testing.assert_allclose(SquaredError().value(h, labels), ((H - onehot) ** 2).sum(axis=1) / 2, rtol=1e-14)


def certain(margin: float) -> np.ndarray:
    """Outputs of a network that is right by `margin`, and of one that is wrong by it."""
    right = np.array([0.3 + margin, 0.3, 0.1, -1.7])
    return np.stack([right, right[::-1]]).astype(np.float32)


@pytest.mark.parametrize("margin", [20.0, 40.0, 60.0, 80.0])
def test_cross_entropy_keeps_its_relative_precision_when_certain(margin):
    # Rounding the differences of outputs near `margin` costs up to 80 * 2^-24 = 5e-6 of a
    # probability.
    loss, h, labels = SoftmaxCrossEntropy(), certain(margin), np.array([0, 0])
    value, error = loss.value(jnp.asarray(h), jnp.asarray(labels)), loss.error(jnp.asarray(h), jnp.asarray(labels))
    others = np.exp(h[:, 1:].astype(np.float64) - h[:, :1]).sum(axis=1)
    wide = h.astype(np.float64)
    odds = np.exp(wide - wide[:, :1])
    probability = odds / odds.sum(axis=1, keepdims=True)
    expected = np.concatenate([-others[:, None] / (1 + others[:, None]), probability[:, 1:]], axis=1)
    np.testing.assert_allclose(value, np.log1p(others), rtol=1e-5)
    np.testing.assert_allclose(error, expected, rtol=1e-5)


@pytest.mark.parametrize("margin", [20.0, 40.0, 60.0])
def test_hessian_product_keeps_its_relative_precision_when_certain(margin):
    loss, h, labels = SoftmaxCrossEntropy(), certain(margin)[:1], np.array([0])
    v = np.array([[0.3, 1.5, -0.7, 2.0]], np.float32)
    product = loss.hessian_product(jnp.asarray(h), jnp.asarray(labels), jnp.asarray(v))
    # H 1 = 0, so v may be shifted until its entry of the true class is 0; then nothing cancels.
    odds = np.exp(h.astype(np.float64) - h[:, :1])
    p, shifted = odds / odds.sum(), v.astype(np.float64) - v[:, :1]
    np.testing.assert_allclose(product, p * (shifted - (p * shifted).sum()), rtol=1e-5)


def test_predictions_and_scores():
    h, labels, vectors = jnp.asarray(H, jnp.float32), jnp.asarray(LABELS), jnp.asarray(VECTORS, jnp.float32)
    np.testing.assert_array_equal(SoftmaxCrossEntropy().prediction(h), [2, 0, 3])
    np.testing.assert_array_equal(SquaredError().prediction(h), h)
    np.testing.assert_array_equal(ErrorRate()(h, labels), [0.0, 0.0, 100.0])
    np.testing.assert_allclose(MeanSquaredError()(h, vectors), ((H - VECTORS) ** 2).mean(axis=1), rtol=1e-6)
