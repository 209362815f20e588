"""The parts of the local update of a gradient target.

Farias and Maziero 2018, equations 12 to 16 and Appendix D.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from ..networks.layers import difference
from ..networks.network import Network, Trace
from ..rules import GradientTargets, Minibatch, Updates
from .decomposition import sizes


class HebbianParts(NamedTuple):
    """`dh_i = backprop + hebbian + carried + rest`.

    Each part is a tuple over the hidden layers, of arrays with the shape of the activity.

    **Arguments:**

    - `backprop`: the part that comes from the output alone.
    - `hebbian`: `-h_i` of the layer itself, the second term of (14).
    - `carried`: the Hebbian parts of the layers above, propagated down with the errors. These are
      the other terms of the sum in (51).
    - `rest`: the difference between several steps and one step.
    """

    backprop: Updates
    hebbian: Updates
    carried: Updates
    rest: Updates


def hebbian_parts(rule: GradientTargets, network: Network, batch: Minibatch) -> HebbianParts:
    """The parts of the target updates of a rule with flows of finite time.

    Each flow is integrated for a time `t_i = tau T`.

        backprop_i = t_i J_{i+1}^T backprop_{i+1}, from dh_L down
        hebbian_i = y_i(0) - h_i, which is 0 if the flow starts at the activity
        carried_i = t_i J_{i+1}^T (hebbian_{i+1} + carried_{i+1})

    With one Euler step the rest is zero. The sum is then minus the gradient of (51), with
    `t^{q-l}` and `t^{i-l}` before its terms.

    **Arguments:**

    - `rule`: the rule.
    - `network`: the network.
    - `batch`: the minibatch.

    **Returns:** the parts.

    **Raises:** `ConfigError` if the rule integrates its flows to infinite time. There is no such
    sum then.
    """
    trace, output_update = batch.trace, batch.output_update
    nothing = jnp.zeros_like(output_update)
    backprop, hebbian, carried = [output_update], [nothing], [nothing]
    for i in range(network.depth - 1, 0, -1):
        pullback, time = trace.pullbacks[i], rule.integrator.time(i)
        backprop.append(time * pullback(backprop[-1])[1])
        carried.append(time * pullback(hebbian[-1] + carried[-1])[1])
        hebbian.append(rule.start.displacement(trace.h[i]))
    first, second, third = (tuple(reversed(part[1:])) for part in (backprop, hebbian, carried))
    updates = rule.target_updates(network, None, batch)
    rest = tuple(dh - (b + h + c) for dh, b, h, c in zip(updates[:-1], first, second, third, strict=True))
    return HebbianParts(first, second, third, rest)


def target_residuals(network: Network, trace: Trace, updates: Updates) -> Float[Array, "hidden batch"]:
    """The distance of layer `i + 1` from its target if layer `i` reaches its own, as a share.

    `||dh_{i+1} - (f_{i+1}(h_i + dh_i) - f_{i+1}(h_i))|| / ||dh_{i+1}||` for the hidden layers `i`.
    Below 1, targets are closer to the optimum than activities, as the paper claims (section 3.1).
    """
    layers = zip(network.layers[1:], trace.points[1:], updates[:-1], updates[1:], strict=True)
    left = tuple(above - difference(layer, point, dh) for layer, point, dh, above in layers)
    return sizes(left) / sizes(updates[1:])
