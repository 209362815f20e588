"""The first-order parts of target updates that travel through layer-wise mappings.

Meulemans 2019, equations 5.57 and 5.58.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp

from ..networks.layers import Layer
from .contract import FirstOrder, Minibatch


def expand_layerwise(maps: Sequence[Layer], batch: Minibatch) -> FirstOrder:
    """The mappings expanded at the activities of the forward pass.

    `signal_i = J_{g_i} signal_{i+1}`, and
    `reconstruction_i = g_i(h_{i+1}) - h_i + J_{g_i} reconstruction_{i+1}`.

    **Arguments:**

    - `maps`: the mappings `g_1 .. g_{L-1}`.
    - `batch`: the minibatch.

    **Returns:** the parts for the hidden layers.
    """
    signal, error = batch.output_update, jnp.zeros_like(batch.output_update)
    signals, errors = [], []
    for g, below, above in zip(maps[::-1], batch.h[-2:0:-1], batch.h[:1:-1], strict=True):
        rebuilt, signal = jax.jvp(lambda h, g=g: g.at(h).h, (above,), (signal,))
        error = rebuilt - below + jax.jvp(lambda h, g=g: g.at(h).h, (above,), (error,))[1]
        signals.append(signal)
        errors.append(error)
    return FirstOrder(tuple(reversed(signals)), tuple(reversed(errors)))
