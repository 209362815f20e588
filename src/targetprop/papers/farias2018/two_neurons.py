"""Fig. 2: how the target of one neuron below another one flows."""

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import jax.numpy as jnp
import numpy as np
from jax import lax

from ...dynamics.gradient_flow import Flow, QuadraticCost
from ...experiments.experiment import Experiment, ExperimentPart, extrapolated
from ...experiments.item import Item, Options, Picture, Report, report_cell
from ...figures import BLUE, DASHED, GRAY, VERMILLION, canvas, grid, legend
from ...networks.activations import Sigmoid
from ...networks.layers import Dense
from ...networks.network import Network
from ...training.result import Summary

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TAUS = (1.0, 4.0, 16.0)


@dataclasses.dataclass(frozen=True)
class TwoNeurons(Experiment):
    """The target of a neuron below a sigmoid, after each Euler step.

    Metrics: the target of the first neuron, and the squared error of the second one at this
    target. Nothing is random.

    **Arguments:**

    - `tau`: the size of an Euler step.
    - `weight`: the weight between the neurons.
    - `activity`: the activity of the first neuron.
    - `above`: the target of the second neuron.
    - `length`: the number of Euler steps.
    """

    tau: float
    weight: float = 2.0
    activity: float = 0.2
    above: float = 0.75
    length: int = 60

    @property
    def steps(self) -> int:
        return 1

    @property
    def limit(self) -> float:
        """The target after infinite time. The second neuron then reaches its own (Appendix C)."""
        return math.log(self.above / (1 - self.above)) / self.weight

    def run(self, seeds: Sequence[int], advance: Callable[[int], None]) -> list[dict[str, Any]]:
        layer = Dense(jnp.array([[self.weight]]), None, Sigmoid())
        trace = Network([layer], 1).trace(jnp.array([[self.activity]]))
        flow = Flow.through(layer, trace, 0, self.above - trace.output, QuadraticCost())

        def step(d, _):
            return d + self.tau * flow.velocity(d), (d, flow.value(d))

        _, (d, cost) = lax.scan(step, jnp.zeros((1, 1)), length=self.length + 1)
        advance(1)
        target, error = (np.round(np.ravel(values), 6).tolist() for values in (self.activity + d, 2 * cost))
        return [{"target": target, "error": error}] * len(seeds)

    def seconds(self, seeds: Sequence[int]) -> float:
        return extrapolated(lambda: self.run(seeds, lambda steps: None), 1)


class TwoNeuronsFigure(Item[Options]):
    """The target and the squared error over time, for stable and for unstable step sizes."""

    source, name = "farias2018", "fig2"
    title = "Fig. 2: the target of a neuron flows to where the one above has no error"
    defaults = Options()

    def parts(self, options: Options) -> list[ExperimentPart]:
        folder = options.results / self.source / self.name
        return [ExperimentPart(f"tau = {tau:g}", "two neurons", TwoNeurons(tau), folder / f"tau-{tau:g}") for tau in TAUS]

    def report(self, options: Options) -> Report:
        parts = self.parts(options)
        found = [part.found().get(0) for part in parts]
        cells, rows = [], []
        for part, metrics in zip(parts, found, strict=True):
            for name in ("target", "error"):
                values = Summary((metrics[name][-1],) if metrics else ())
                cells.append(report_cell(part.row, name, values))
                rows.append((part.row, name, f"{values.mean:.4f}" if metrics else "-"))
        toy = TwoNeurons(TAUS[0])
        text = (
            f"A sigmoid with target {toy.above:g} above a neuron of activity {toy.activity:g}, weight {toy.weight:g}, at "
            f"the end of {toy.length} Euler steps. The target of infinite time is {toy.limit:.4f}; near it, Euler's method "
            f"is stable up to tau = {_stable(toy):.1f}. The paper gives no numbers; its caption names equation (5) for (3)."
        )
        complete = [metrics for metrics in found if metrics]
        pictures = (Picture(lambda: _draw(complete, toy)),) if len(complete) == len(found) else ()
        return Report(cells, ("step size", "in the end", "value"), rows, pictures, text)


def _stable(toy: TwoNeurons) -> float:
    """`2 / C''` at the limit, where `C'' = (weight f')^2`."""
    return 2 / (toy.weight * toy.above * (1 - toy.above)) ** 2


def _draw(found: Sequence[dict[str, Any]], toy: TwoNeurons) -> "Figure":
    figure = canvas(11, 3.9)
    panels = figure.subplots(1, len(TAUS), sharey=True)
    for axes, tau, metrics in zip(panels, TAUS, found, strict=True):
        axes.axhline(toy.limit, color=GRAY, linewidth=1, linestyle=DASHED, label="target of infinite time")
        axes.plot(metrics["target"], "o-", color=BLUE, markersize=3, linewidth=0.8, label="target")
        axes.plot(metrics["error"], "^-", color=VERMILLION, markersize=3, linewidth=0.8, label="squared error")
        axes.set(xlabel="Euler steps", title=f"tau = {tau:g}")
    grid(panels)
    panels[0].set_ylabel("target, squared error")
    figure.suptitle("The target settles where the error is zero, unless the steps are too large")
    legend(figure, panels, "one run: nothing is random")
    return figure
