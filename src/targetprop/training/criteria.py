"""What a network is judged by on a data set: the output loss and the score."""

import math

import jax
import jax.numpy as jnp

from ..data import Dataset
from ..errors import ConfigError
from ..losses import (
    ErrorRate,
    Loss,
    LossOnFirstUnits,
    MeanSquaredError,
    Score,
    ScoreOnFirstUnits,
    SoftmaxCrossEntropy,
    SquaredError,
)
from ..networks.network import Network


def output_loss(loss: Loss | None, dataset: Dataset) -> Loss:
    """`loss`. `None` stands for cross-entropy for labels, and squared error for regression.

    **Raises:** `ConfigError` for cross-entropy without labels.
    """
    classify = dataset.classes is not None
    loss = loss or (SoftmaxCrossEntropy() if classify else SquaredError())
    if isinstance(loss, SoftmaxCrossEntropy) and not classify:
        raise ConfigError(f"Cross-entropy needs labels, but {dataset.name} has real targets: use the squared-error `loss`.")
    return loss


def loss_and_score(loss: Loss, network: Network, dataset: Dataset) -> tuple[Loss, Score]:
    """The loss and the score. If the output has auxiliary units, they use its first units only.

    **Raises:** `ConfigError` if the output has too few units.
    """
    score = MeanSquaredError() if dataset.classes is None else ErrorRate()
    width = math.prod(network.shapes[-1])
    if width < dataset.outputs:
        raise ConfigError(
            f"The network has {width} outputs, but {dataset.name} needs {dataset.outputs}: make its last layer wider."
        )
    if width == dataset.outputs:
        return loss, score
    return LossOnFirstUnits(loss, dataset.outputs), ScoreOnFirstUnits(score, dataset.outputs)


def training_arrays(dataset: Dataset, dtype: jnp.dtype) -> tuple[jax.Array, jax.Array]:
    """Inputs and targets of the training samples, on the device."""
    return _arrays(dataset, dataset.train_x, dataset.train_y, dtype)


def test_arrays(dataset: Dataset, dtype: jnp.dtype) -> tuple[jax.Array, jax.Array]:
    """Inputs and targets of the test samples, on the device."""
    return _arrays(dataset, dataset.test_x, dataset.test_y, dtype)


def _arrays(dataset: Dataset, x, y, dtype: jnp.dtype) -> tuple[jax.Array, jax.Array]:
    return jnp.asarray(x, dtype), jnp.asarray(y, dtype if dataset.classes is None else None)
