"""The losses from which feedback mappings learn, and their gradients.

A loss is a squared norm, summed over the layer and averaged over the batch. The loss of layer `i`
trains only the parameters of `g_i`. The other mappings count as constants.

Noise is a displacement, and is never added to an activity. So float32 loses nothing at a small
`sigma`.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ..networks.layers import Activity, Layer, evaluate, split_parameters
from ..networks.network import Network, Trace
from .maps import Path
from .noise import LayerNoise, NoiseLoop
from .regularizers import NO_DECAY, Decay, Regularizer


class FeedbackStep(NamedTuple):
    """What the feedback learns from a minibatch.

    **Arguments:**

    - `gradients`: the gradients, in the structure of the parameters of the feedback.
    - `losses`: the loss of each mapping, shape `(mappings,)`.
    """

    gradients: Any
    losses: Float[Array, " mappings"]


def perturbed(trace: Trace, noise: LayerNoise) -> list[Activity]:
    """The activities of the hidden layers, each with its noise: `h_i + noise[i - 1]`."""
    return [h + eps for h, eps in zip(trace.h[1:-1], noise, strict=True)]


def layerwise_reconstruction(
    network: Network, maps: Sequence[Layer], activities: Sequence[Activity], decay: Decay = NO_DECAY
) -> FeedbackStep:
    """`||g_i(f_{i+1}(x_i)) - x_i||^2` for each hidden layer, with weight decay.

    - Noisy activities (`perturbed`): Meulemans et al. 2020, equation 39.
    - Activities of the forward pass, or white noise: Meulemans 2019, equation 4.91. With weight
      decay: equation 4.97.

    **Arguments:**

    - `network`: the network.
    - `maps`: the mappings.
    - `activities`: `activities[i - 1]` is `x_i`.
    - `decay`: the weight decay. Default: none.

    **Returns:** the gradients and losses.
    """

    def loss(g, layer, x):
        rebuilt = g.at(evaluate(layer, x).h).h
        return jnp.sum((rebuilt - x) ** 2) / x.shape[0] + decay.penalty(g, None, None)

    return _collect(_own_gradient(loss)(*each) for each in zip(maps, network.layers[1:], activities, strict=True))


def activity_reconstruction(
    maps: Sequence[Layer], sources: Sequence[Activity], goals: Sequence[Activity], decay: Decay = NO_DECAY
) -> FeedbackStep:
    """`||g_i(x) - y||^2` for each hidden layer, with weight decay.

    If `x` and `y` are the activities `h_{i+1}` and `h_i` at an equilibrium, this is Meulemans
    2019, equations 6.24 and 6.26, whose learning rate is twice ours.

    **Arguments:**

    - `maps`: the mappings.
    - `sources`: `sources[i - 1]` is `x`.
    - `goals`: `goals[i - 1]` is `y`.
    - `decay`: the weight decay. Default: none.

    **Returns:** the gradients and losses.
    """

    def loss(g, source, goal):
        return jnp.sum((g.at(source).h - goal) ** 2) / goal.shape[0] + decay.penalty(g, None, None)

    return _collect(_own_gradient(loss)(*each) for each in zip(maps, sources, goals, strict=True))


def direct_reconstruction(paths: Sequence[Path], loop: NoiseLoop, sigma: Any, regularizer: Regularizer) -> FeedbackStep:
    """The difference reconstruction loss of mappings that read the output.

    Meulemans et al. 2020, equation 9.
    """

    def step(path, moved, noise):
        reading = path.reading
        probe = None if loop.probe is None else reading.displacement(loop.probe)
        incoming = reading.displacement(moved)
        return _own_gradient(_difference_loss)(path.g, reading.activity, (incoming, noise, probe), sigma, regularizer)

    return _collect(step(*each) for each in zip(paths, loop.moved, loop.noise, strict=True))


def chained_reconstruction(paths: Sequence[Path], loop: NoiseLoop, sigma: Any, regularizer: Regularizer) -> FeedbackStep:
    """The difference reconstruction loss of layer-wise mappings.

    Meulemans et al. 2020, equation 9. All layers are computed in one backward pass. The
    displacements for all lower layers pass through each mapping as one batch.
    """
    noise, moved, probe = loop
    steps = []
    for i in range(len(paths), 0, -1):
        g, above = paths[i - 1].g, paths[i - 1].reading.activity
        steps.append(_own_gradient(_difference_loss)(g, above, (moved[i - 1], noise[i - 1], probe), sigma, regularizer))
        if i > 1:
            point = g.at(above)
            moved = g.difference(point, moved[: i - 1])
            probe = None if probe is None else g.difference(point, probe)
    return _collect(reversed(steps))


def _difference_loss(g, above, displacements, sigma, regularizer):
    incoming, noise, probe = displacements
    point = g.at(above)
    error = g.difference(point, incoming) - noise
    arrived = None if probe is None else g.difference(point, probe)
    return jnp.sum(error**2) / (sigma**2 * above.shape[0]) + regularizer.penalty(g, arrived, sigma)


def uncorrected_reconstruction(paths: Sequence[Path], trace: Trace, loop: NoiseLoop, decay: Decay) -> FeedbackStep:
    """`||g_i(f(h_i + noise_i)) - (h_i + noise_i)||^2`, with `f` from layer `i` to the output.

    For mappings that read the output. There is no difference correction and no `1/sigma^2`
    (Meulemans et al. 2020, Algorithm 5).
    """

    def loss(g, reading, clean, noise, moved):
        error = (g.at(reading.activity + reading.displacement(moved)).h - clean) - noise
        return jnp.sum(error**2) / clean.shape[0] + decay.penalty(g, None, None)

    return _collect(
        _own_gradient(loss)(path.g, path.reading, clean, noise, moved)
        for path, clean, noise, moved in zip(paths, trace.h[1:-1], loop.noise, loop.moved, strict=True)
    )


def _own_gradient(loss: Callable) -> Callable:
    """Value and gradient with respect to the parameters of the first argument."""

    def value_and_gradient(g, *rest):
        trained, kept = split_parameters(g)
        return jax.value_and_grad(lambda trained: loss(eqx.combine(trained, kept), *rest))(trained)

    return value_and_gradient


def _collect(steps) -> FeedbackStep:
    losses, gradients = zip(*steps, strict=True)
    return FeedbackStep(gradients, jnp.stack(losses))
