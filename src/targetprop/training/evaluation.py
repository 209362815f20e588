"""The error and the predictions of a network on a data set, as the trainer computes them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, final

import jax
import jax.numpy as jnp
import numpy as np

from .._checks import check_is
from ..data import Dataset
from ..errors import ConfigError
from ..losses import Loss
from ..networks.network import Network
from . import program
from .arguments import check_data
from .criteria import loss_and_score, output_loss, test_arrays, training_arrays
from .ensemble import stack
from .precision import precision
from .result import shortest
from .state import Task

Part = Literal["test", "train"]


@final
@dataclass(frozen=True)
class Assessment:
    """How good a network is on some samples.

    **Arguments:**

    - `loss`: the mean loss.
    - `error`: the misclassified samples in percent, or the mean squared error.
    - `unit`: the unit of the error, `%` or `MSE`.
    """

    loss: float
    error: float
    unit: str


class Predictions(NamedTuple):
    """What a network predicts for some samples.

    **Arguments:**

    - `outputs`: the outputs of the network, shape `(N, n_L)`, without auxiliary units.
    - `predictions`: the predicted labels, shape `(N,)`. For regression, the outputs.
    - `targets`: the labels or the targets of the data set.
    """

    outputs: np.ndarray
    predictions: np.ndarray
    targets: np.ndarray


def evaluate(network: Network, data: Dataset, loss: Loss | None = None, *, part: Part = "test") -> Assessment:
    """The mean loss and the error of a network on a data set.

    The program is that of the trainer, in the same batches. The error of a network of a run is the
    reported one, to the last digit. In one case it may differ in the last digit: a mean squared
    error, on few samples, of a run with several seeds. There use `evaluate_together`.

    **Arguments:**

    - `network`: the network.
    - `data`: the data set.
    - `loss`: the loss. Default: cross-entropy for labels, squared error for regression.
    - `part`: which samples, `"test"` or `"train"`. The training samples include those for
      validation.

    **Returns:** loss and error.

    **Raises:** `ConfigError` if the network does not fit the data set.
    """
    check_is("network", network, Network)
    return evaluate_together([network], data, loss, part=part)[0]


def evaluate_together(
    networks: Sequence[Network], data: Dataset, loss: Loss | None = None, *, part: Part = "test"
) -> list[Assessment]:
    """`evaluate` for networks of one structure, as one program.

    For all networks of a run, all numbers are those that were reported, to the last digit. XLA
    compiles the program of a single network in another way, so a sum may be rounded differently
    there.

    **Arguments:**

    - `networks`: the networks, with arrays of the same shapes.
    - `data`, `loss`, `part`: as for `evaluate`.

    **Returns:** loss and error of each network.

    **Raises:** `ConfigError` if the networks do not fit the data set.
    """
    check_is("networks", networks, (list, tuple), "give a list of networks")
    if not networks:
        raise ConfigError("`networks` is empty: give one at least.")
    for network in networks:
        check_is("networks", network, Network)
    check_is("loss", loss, (Loss, type(None)))
    x, y = _arrays(networks[0], data, part)
    loss, score = loss_and_score(output_loss(loss, data), networks[0], data)
    with precision(_dtype(networks[0])):
        task = Task(loss, score, batch_size=1)  # the batch size of training plays no role here
        found = program.evaluate_all(task, stack([_on_device(network) for network in networks]), x, y)
    pairs = zip(*(np.asarray(entry) for entry in found), strict=True)
    return [Assessment(shortest(value), shortest(error), score.unit) for value, error in pairs]


def predict(network: Network, data: Dataset, *, part: Part = "test") -> Predictions:
    """The outputs and the predictions of a network for a data set.

    **Arguments:**

    - `network`: the network.
    - `data`: the data set.
    - `part`: which samples, `"test"` or `"train"`.

    **Returns:** one row for each sample.

    **Raises:** `ConfigError` if the network does not fit the data set.
    """
    x, y = _arrays(network, data, part)
    with precision(_dtype(network)):
        outputs = np.asarray(program.outputs(network, x))[:, : data.outputs]
    return Predictions(outputs, outputs if data.classes is None else outputs.argmax(axis=1), np.asarray(y))


def _arrays(network: Network, data: Dataset, part: Part) -> tuple[jax.Array, jax.Array]:
    check_is("network", network, Network)
    if data is None:
        raise TypeError("`data` is None: give a data set.")
    check_data(data)
    inputs = int(np.prod(network.input_shape))
    if inputs != data.inputs:
        raise ConfigError(
            f"The network takes {inputs} inputs, but {data.name} has {data.inputs}: "
            "use the `dataset` that it was trained on."
        )
    if part not in ("test", "train"):
        raise ConfigError(f"`part` is {part!r}: use test or train.")
    dtype = _dtype(network)
    with precision(dtype):
        return (test_arrays if part == "test" else training_arrays)(data, jnp.dtype(dtype))


def _dtype(network: Network) -> str:
    """The type of a network, also where JAX would make float32 of it."""
    types = [leaf.dtype for leaf in jax.tree.leaves(network) if hasattr(leaf, "dtype")]
    return "float64" if np.float64 in types else "float32"


def _on_device(network: Network) -> Network:
    """The network with JAX arrays, also where it was made of NumPy arrays."""
    return jax.tree.map(lambda leaf: jnp.asarray(leaf) if hasattr(leaf, "dtype") else leaf, network)
