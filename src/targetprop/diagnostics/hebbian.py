"""What the local update of a gradient target is made of (Farias and Maziero 2018, equations 12 to 16 and Appendix D)."""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from ..networks.layers import difference
from ..networks.network import Network, Trace
from ..rules import GradientTargets, Minibatch, Updates
from .decomposition import sizes


class HebbianParts(NamedTuple):
    """`dh_i = backprop + hebbian + carried + rest`, each a tuple over the hidden layers of arrays shaped like the activity.

    `backprop` comes from the output alone; `hebbian` is the layer's own `-h_i`, the second term of (14); `carried` are
    those of the layers above, sent down with the errors, the other terms of the sum in (51); `rest` is what several steps
    add to one.
    """

    backprop: Updates
    hebbian: Updates
    carried: Updates
    rest: Updates


def hebbian_parts(rule: GradientTargets, network: Network, batch: Minibatch) -> HebbianParts:
    """The parts of the target updates of a rule that follows each flow for a time `t_i = tau T`.

    `backprop_i = t_i J_{i+1}^T backprop_{i+1}` down from `dh_L`; `hebbian_i = y_i(0) - h_i`, which is 0 if the flow starts
    at the activity; `carried_i = t_i J_{i+1}^T (hebbian_{i+1} + carried_{i+1})`. With one Euler step nothing is left, and
    the sum is minus the gradient of (51) with `t^{q-l}` and `t^{i-l}` before its terms. Raises `ConfigError` for a rule that
    follows its flows to the end: there is no such sum for the target of infinite time.
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
    """How far layer `i + 1` is from its target when layer `i` is on its own, relative to how far it was:
    `||dh_{i+1} - (f_{i+1}(h_i + dh_i) - f_{i+1}(h_i))|| / ||dh_{i+1}||` for the hidden layers `i`.

    The paper has it that targets are closer to the optimum than activities (section 3.1): below 1 they are.
    """
    layers = zip(network.layers[1:], trace.points[1:], updates[:-1], updates[1:], strict=True)
    left = tuple(above - difference(layer, point, dh) for layer, point, dh, above in layers)
    return sizes(left) / sizes(updates[1:])
