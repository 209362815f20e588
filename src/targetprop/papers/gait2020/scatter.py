"""Fig. 1, right: the first updates of TP, ITP and GAIT-prop, beside those of backpropagation."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

from ...data import load
from ...experiments.experiment import Experiment, ExperimentPart, extrapolated
from ...experiments.item import Item, Options, Picture, Report, plus_minus, report_cell
from ...feedback.inverses import LUSolve
from ...figures import GRAY, canvas, grid, note, rule_style
from ...losses import LossOnFirstUnits, SquaredError
from ...networks.architectures import InitializerName, SquareMLP
from ...networks.network import Network
from ...rules import ITP, Backprop, GAITProp, Rule, TargetPropExact
from ...rules.by_numbers import minibatch_step
from ...rules.contract import Example
from ...training.result import Summary

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BATCH, DEPTH, GAMMA, SHOWN = 60, 4, 1e-3, 400
RULES: dict[str, Callable[[float], Rule]] = {
    "TP": lambda gamma: TargetPropExact(inverse=LUSolve()),
    "ITP": lambda gamma: ITP(gamma=gamma, inverse=LUSolve()),
    "GAIT": lambda gamma: GAITProp(gamma=gamma, inverse=LUSolve()),
}
KEYS = {"TP": "tp-exact", "ITP": "itp", "GAIT": "gait"}
WEIGHTS: dict[str, InitializerName] = {"random": "xavier-normal", "orthogonal": "orthogonal"}


@dataclasses.dataclass(frozen=True)
class FirstUpdates(Experiment):
    """The weight gradients of an untrained square network on one minibatch of MNIST.

    Metrics for each rule: the cosine of each layer's gradient to that of BP, the ratio of their
    norms, and some entries of the hidden layers, divided by the root mean square of the layer.

    **Arguments:**

    - `initializer`: how the weights are drawn.
    - `depth`: the number of hidden layers.
    - `batch`: the number of samples.
    - `gamma`: the strength of the target, for ITP and GAIT-prop.
    - `shown`: the number of entries.
    """

    initializer: InitializerName
    depth: int
    batch: int
    gamma: float
    shown: int

    @property
    def steps(self) -> int:
        return 1

    def run(self, seeds: Sequence[int], advance: Callable[[int], None]) -> list[dict[str, Any]]:
        found = [self._one(seed) for seed in seeds]
        advance(1)
        return found

    def seconds(self, seeds: Sequence[int]) -> float:
        return extrapolated(lambda: self._one(seeds[0]), len(seeds))

    def _one(self, seed: int) -> dict[str, Any]:
        data, rng = load("mnist"), np.random.default_rng(seed)
        picked = rng.choice(len(data.train_x), self.batch, replace=False)
        x = jnp.asarray(np.asarray(data.train_x)[picked].reshape(self.batch, -1), jnp.float32)
        y = jnp.asarray(np.asarray(data.train_y)[picked])
        architecture = SquareMLP(self.depth, initializer=self.initializer)
        network = architecture.build(data.shape, data.outputs, key=jax.random.key(seed), dtype=jnp.float32)
        loss = LossOnFirstUnits(SquaredError(), data.outputs)
        reference = self._gradients(Backprop(), network, loss, x, y)
        found: dict[str, Any] = {}
        entries = [rng.choice(g.size, self.shown // self.depth, replace=False) for g in reference[:-1]]
        found["BP"] = {"entries": _sampled(reference, entries)}
        for name, rule in RULES.items():
            own = self._gradients(rule(self.gamma), network, loss, x, y)
            pairs = list(zip(own, reference, strict=True))
            found[name] = {
                "cosines": [round(float(a @ b / np.linalg.norm(a) / np.linalg.norm(b)), 6) for a, b in pairs],
                "ratios": [float(f"{np.linalg.norm(a) / np.linalg.norm(b):.4g}") for a, b in pairs],
                "entries": _sampled(own, entries),
            }
        return found

    def _gradients(self, rule: Rule, network: Network, loss, x, y) -> list[np.ndarray]:
        feedback = rule.init(network, key=jax.random.key(0))
        gradients = minibatch_step(rule, network, feedback, Example(loss, x, y)).gradients
        return [np.asarray(leaf, np.float64).ravel() for leaf in jax.tree.leaves(gradients) if leaf.ndim == 2]


def _sampled(gradients: Sequence[np.ndarray], entries: Sequence[np.ndarray]) -> list[float]:
    scaled = [g[chosen] / np.sqrt(np.mean(g**2)) for g, chosen in zip(gradients[:-1], entries, strict=True)]
    return np.round(np.concatenate(scaled), 3).tolist()


class ScatterFigure(Item[Options]):
    """Updates of TP, ITP and GAIT-prop beside those of BP, before training, for two kinds of
    weights.
    """

    source, name = "gait2020", "fig1-right"
    title = "Fig. 1, right: first updates of TP, ITP and GAIT-prop against BP's"
    defaults = Options(seeds=5)

    def parts(self, options: Options) -> list[ExperimentPart]:
        folder = options.results / self.source / self.name
        return [
            ExperimentPart(weights, "cosine to BP", FirstUpdates(initializer, DEPTH, BATCH, GAMMA, SHOWN), folder / weights)
            for weights, initializer in WEIGHTS.items()
        ]

    def report(self, options: Options) -> Report:
        found = {part.row: list(part.found().values()) for part in self.parts(options)}
        cells, rows = [], []
        for weights, seeds in found.items():
            for rule in RULES:
                for i in range(DEPTH):
                    cosine = Summary(tuple(metrics[rule]["cosines"][i] for metrics in seeds))
                    ratio = Summary(tuple(metrics[rule]["ratios"][i] for metrics in seeds))
                    cells.append(report_cell(f"{rule}, {weights} weights", f"layer {i + 1}", cosine))
                    size = f"{ratio.mean:.3g}" if ratio.values else "-"
                    rows.append((rule, weights, str(i + 1), plus_minus(cosine, 4), size, str(len(seeds))))
        text = (
            f"Gradients of the weights on one minibatch of {BATCH} MNIST digits, {DEPTH} hidden layers and the output 784 "
            f"wide, leaky ReLU with slope 0.1, gamma {GAMMA:g}, float32; mean ± SD over seeds. The update of the output "
            "layer is that of BP for all rules. In the picture every update is divided by its root mean square; the paper "
            "prints no numbers."
        )
        titles = ("rule", "weights", "layer", "cosine to BP", "norm / BP's", "seeds")
        done = {weights: seeds[0] for weights, seeds in found.items() if seeds}
        return Report(cells, titles, rows, (Picture(lambda: _draw(done)),) if done else (), text)


def _draw(found: dict[str, dict[str, Any]]) -> "Figure":
    figure = canvas(10.5, 3.5 * len(found) + 0.6)
    panels = figure.subplots(len(found), len(RULES), sharex=True, sharey=True, squeeze=False)
    for line, (weights, metrics) in zip(panels, found.items(), strict=True):
        for axes, rule in zip(line, RULES, strict=True):
            axes.axline((0, 0), slope=1, color=GRAY, linewidth=0.8)
            color = rule_style(KEYS[rule]).color
            axes.scatter(metrics["BP"]["entries"], metrics[rule]["entries"], s=8, color=color, linewidths=0)
            axes.set(title=f"{rule}, {weights} weights", xlim=(-4, 4), ylim=(-4, 4), aspect="equal")
        line[0].set_ylabel("update / root mean square")
    grid(panels.flat)
    for axes in panels[-1]:
        axes.set_xlabel("update of BP / root mean square")
    note(figure, f"1 seed, {SHOWN} weights of the hidden layers")
    return figure
