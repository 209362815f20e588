"""Gradient targets: targets from a gradient flow of the cost of the layer above."""

from typing import ClassVar

from ..dynamics.gradient_flow import AtActivity, Flow, LocalCost, QuadraticCost, Start
from ..dynamics.integrators import Euler, Integrator
from .contract import Credit, Rule


class GradientTargets(Rule):
    """Targets from a gradient flow: `dh_i = y_i(T) - h_i` with `dy_i/dt = -∂C_{i+1}/∂y_i`.

    From the output down (Farias and Maziero 2018, equation 3). The cost of the output layer is the
    squared distance to its target `h_L + dh_L`. So the output loss and the stepsize act only
    through `dh_L`. One Euler step from the activity gives backpropagation, scaled by `tau` in
    every layer.

    **Arguments:**

    - `start`: where the flow starts, `AtActivity()` or `AtZero()`.
    - `integrator`: how the flow is integrated. `Euler(tau, steps)`, `SteadyState()` for its limit
      at infinite time, or `PerLayerIntegrator` with one integrator for each layer.
    - `cost`: the local cost of the hidden layers, `QuadraticCost()` or another `LocalCost`.
    """

    start: Start = AtActivity()
    """Where the flow starts."""
    integrator: Integrator = Euler()
    """How the flow is integrated."""
    cost: LocalCost = QuadraticCost()
    """Local cost of each hidden layer. The flow descends its gradient."""

    name: ClassVar[str] = "gradient-targets"
    family: ClassVar[str] = "gradient targets"
    equation: ClassVar[str] = "dh_i = y_i(T) - h_i, dy_i/dt = -dC_{i+1}/dy_i"
    source: ClassVar[str] = "Farias and Maziero 2018"

    @property
    def iterative(self):
        return True

    def target_updates(self, network, feedback, batch):
        updates = [batch.output_update]
        for i in range(network.depth - 1, 0, -1):
            updates.append(self.integrator.displacement(*self._flow(network, batch.trace, updates[-1], i), i))
        return tuple(reversed(updates))

    def credit(self, network, feedback, batch):
        """Each hidden layer descends its own cost (equation 5).

        With the quadratic cost, the descent is the target update.
        """
        *hidden, last = self.target_updates(network, feedback, batch)
        descents = (self.cost.descent(h, dh) for h, dh in zip(batch.h[1:-1], hidden, strict=True))
        return Credit(batch, batch.trace, (*descents, last), None)

    def advice(self, network, feedback, batch):
        above = batch.output_update
        for i in range(network.depth - 1, 0, -1):
            flow, start = self._flow(network, batch.trace, above, i)
            advice = self.integrator.advice(flow, start, i)
            if advice is not None:
                return [advice]  # the targets of the layers below depend on this one
            above = self.integrator.displacement(flow, start, i)
        return []

    def _flow(self, network, trace, above, i):
        """The flow of hidden layer `i`, and its start.

        `above` is the target update of layer `i + 1`.
        """
        cost = QuadraticCost() if i == network.depth - 1 else self.cost
        return Flow.through(network.layers[i], trace, i, above, cost), self.start.displacement(trace.h[i])
