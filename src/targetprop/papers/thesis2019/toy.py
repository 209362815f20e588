"""Figs 5.2 to 5.4: the path of two weights to those of a teacher, by three methods."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

from ...experiments.experiment import Experiment, ExperimentPart, extrapolated
from ...experiments.item import Item, Options, Picture, Report, plus_minus, report_cell
from ...feedback.gauss_newton import PseudoInverse, gauss_newton_update
from ...figures import BLACK, canvas, note, rule_style
from ...losses import SquaredError
from ...networks.activations import Activation, Identity, LeakyReLU
from ...networks.layers import Dense
from ...networks.network import Network
from ...rules import Backprop, InverseSlopes, Rule, TargetPropExact
from ...rules.by_numbers import minibatch_step
from ...rules.contract import Example
from ...training.result import Summary

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

START, TEACHER = (1.6, 2.0), (-1.2, -0.4)
OUTPUT_WEIGHTS = ((1.3, 0.4), (-0.3, 0.6))
STEPS = 60
REACHED = 0.01
GAUSS_NEWTON = "Gauss-Newton"
COLORED = {GAUSS_NEWTON: "gnt", "BP": "bp"}  # the rule whose color a method has; the others that of `tp-exact`


@dataclasses.dataclass(frozen=True)
class Method:
    """How the hidden weights learn.

    - `name`: the name of the method.
    - `rule`: the rule. `None` is the Gauss-Newton step.
    - `stepsize`: the published output stepsize of the rule.
    - `batch`: the number of samples in a minibatch.
    - `published`: the published number of steps to the optimum, or `None`.
    - `normalized`: whether the input of a minibatch is normalized to mean 0 and variance 1.
    """

    name: str
    rule: Rule | None
    stepsize: float
    batch: int
    published: int | None = None
    normalized: bool = False


def toy_network(weights: Float[Array, " 2"], activation: Activation) -> Network:
    """A network with one input, two hidden units and two linear outputs with fixed weights.

    **Arguments:**

    - `weights`: the hidden weights.
    - `activation`: the nonlinearity of the hidden units.

    Source: Meulemans 2019, Fig. 5.1.
    """
    output = jnp.asarray(OUTPUT_WEIGHTS, weights.dtype)
    return Network([Dense(weights[:, None], None, activation), Dense(output, None, Identity())], 1)


def step(method: Method, network: Network, x: Float[Array, "batch 1"], y: Float[Array, "batch 2"]) -> Float[Array, " 2"]:
    """The step of the hidden weights on a minibatch, with a learning rate of 1.

    **Arguments:**

    - `method`: how they learn.
    - `network`: the network, of `toy_network`.
    - `x`, `y`: inputs and targets of the minibatch.
    """
    if method.rule is None:
        found = gauss_newton_update(network, x, network(x) - y, PseudoInverse())
        return _hidden(found)
    feedback = method.rule.init(network, key=jax.random.key(0))
    found = minibatch_step(method.rule, network, feedback, Example(SquaredError(), x, y, method.stepsize))
    return -_hidden(found.gradients)


def _hidden(tree: Network) -> Float[Array, " 2"]:
    first = tree.layers[0]
    assert isinstance(first, Dense)
    return first.weight[:, 0]


@dataclasses.dataclass(frozen=True)
class Walk(Experiment):
    """The path of the hidden weights, step by step. Inputs are standard normal, drawn anew in each
    step.
    """

    method: Method
    activation: Activation

    @property
    def steps(self) -> int:
        return STEPS

    def run(self, seeds: Sequence[int], advance: Callable[[int], None]) -> list[dict[str, Any]]:
        with jax.enable_x64(True):
            teacher = toy_network(jnp.array(TEACHER), self.activation)

            def one(weights, key):
                x = jax.random.normal(key, (self.method.batch, 1))
                x = (x - jnp.mean(x)) / jnp.std(x) if self.method.normalized else x
                moved = weights + step(self.method, toy_network(weights, self.activation), x, teacher(x))
                return moved, moved

            def walk(seed):
                return lax.scan(one, jnp.array(START), jax.random.split(jax.random.key(seed), STEPS))[1]

            paths = np.asarray(jax.jit(lambda seeds: lax.map(walk, seeds))(jnp.asarray(seeds)))
        advance(STEPS)
        return [_metrics(np.concatenate([[START], path])) for path in paths]

    def seconds(self, seeds: Sequence[int]) -> float:
        return extrapolated(lambda: self.run(seeds, lambda steps: None), 1)


def _metrics(path: np.ndarray) -> dict[str, Any]:
    distance = np.linalg.norm(path - TEACHER, axis=1)
    outside = np.flatnonzero(~(distance < REACHED * distance[0]))
    reached = int(outside[-1]) + 1
    return {"steps": reached if reached <= STEPS else None, "path": np.round(path, 4).tolist()}


@dataclasses.dataclass(frozen=True)
class ToyFigure(Item[Options]):
    """Paths of the hidden weights over the contours of the loss, and the number of steps to the
    optimum.
    """

    name: str
    title: str
    caption: str
    remark: str
    activation: Activation
    methods: tuple[Method, ...]

    source = "thesis2019"
    defaults = Options(seeds=20)

    def parts(self, options: Options) -> list[ExperimentPart]:
        folder = options.results / self.source / self.name
        return [
            ExperimentPart(
                method.name,
                "steps",
                Walk(method, self.activation),
                folder / method.name.lower().replace(" ", "-"),
            )
            for method in self.methods
        ]

    def report(self, options: Options) -> Report:
        cells, rows, found = [], [], {}
        for method, part in zip(self.methods, self.parts(options), strict=True):
            seeds = found[method.name] = list(part.found().values())
            arrived = Summary(tuple(float(metrics["steps"]) for metrics in seeds if metrics["steps"] is not None))
            cells.append(report_cell(method.name, "steps", arrived, method.published))
            theirs = "-" if method.published is None else str(method.published)
            rows.append((method.name, theirs, plus_minus(arrived, 1), f"{len(arrived.values)} of {len(seeds)}"))
        text = (
            f"Steps until the weights stay within {REACHED:.0%} of their first distance to the teacher's, over runs with "
            f"inputs of their own, among those that arrive in {STEPS} steps. The thesis does not give the weights of its "
            "example; these are chosen so that a run starts where both hidden units answer to positive inputs and the "
            f"teacher's to negative ones. {self.remark}".rstrip()
        )
        pictures = (Picture(lambda: self._draw(found)),) if all(found.values()) else ()
        return Report(cells, ("method", "published steps", "our steps", "arrived"), rows, pictures, text)

    def _draw(self, found: dict[str, list[dict[str, Any]]]) -> "Figure":
        figure = canvas(min(11, 4.2 * len(found) + 0.4), 4.4)
        panels = figure.subplots(1, len(found), sharex=True, sharey=True, squeeze=False)[0]
        walks = [np.array(seeds[0]["path"]) for seeds in found.values()]
        low, high = (end(np.concatenate([*walks, [TEACHER]]), axis=0) for end in (np.min, np.max))
        for axes, walked, name in zip(panels, walks, found, strict=True):
            self._contours(axes, low - 0.6, high + 0.6)
            color = rule_style(COLORED.get(name, "tp-exact")).color
            axes.plot(*walked.T, ".-", color=color, linewidth=1, markersize=7, label="weights, step by step")
            axes.plot(*TEACHER, "+", color=BLACK, markersize=12, markeredgewidth=2, label="teacher")
            axes.set(title=name, xlabel="first hidden weight")
        panels[0].set_ylabel("second hidden weight")
        panels[0].legend(fontsize=8)
        figure.suptitle(self.caption)
        note(figure, "1 seed; thin: contours of the loss")
        return figure

    def _contours(self, axes: "Axes", low: np.ndarray, high: np.ndarray) -> None:
        xs, ys = (np.linspace(*ends, 121) for ends in zip(low, high, strict=True))
        grid = np.stack(np.meshgrid(xs, ys), axis=-1)
        hidden = 0.0
        for sign in (-1, 1):  # positive homogeneous units: the loss needs one input of each sign
            moved, aim = (np.asarray(self.activation(jnp.asarray(sign * w))) for w in (grid, np.array(TEACHER)))
            hidden = hidden + 0.25 * np.sum(((moved - aim) @ np.array(OUTPUT_WEIGHTS).T) ** 2, axis=-1)
        axes.contour(xs, ys, np.sqrt(hidden), levels=14, colors="#9BB7D4", linewidths=0.7)


LINEAR = ToyFigure(
    "fig-5.2",
    "Fig. 5.2: the linear toy example",
    "Linear: target propagation walks straight to the teacher as Gauss-Newton does; backpropagation takes a bend",
    "Minibatches of 200, with which the path of backpropagation is a bend; the zigzag of the thesis does not show.",
    Identity(),
    (
        Method(GAUSS_NEWTON, None, 1.0, 200, 1),
        Method("TP", TargetPropExact(), 0.8, 200),
        Method("BP", Backprop(), 0.3, 200),
    ),
)

NONLINEAR = ToyFigure(
    "fig-5.3",
    "Fig. 5.3: the nonlinear toy example",
    "Leaky ReLU: target propagation sets out in Gauss-Newton's direction, $h_0^2$ times as far; "
    "where the slope is 0.1 its steps are small",
    "Minibatches of 1: with slopes `D` a first step of target propagation is `h_0^2 D^2` times that of Gauss-Newton.",
    LeakyReLU(0.1),
    (
        Method(GAUSS_NEWTON, None, 1.0, 1, 2),
        Method("TP", TargetPropExact(), 1.0, 1),
        Method("BP", Backprop(), 0.5, 1),
    ),
)

MODIFIED = ToyFigure(
    "fig-5.4",
    "Fig. 5.4: modified target propagation on the nonlinear toy example",
    "With inverse slopes and normalized inputs target propagation arrives in two steps",
    "The two steps need the other half of the modification, normalization over a minibatch, here of 200: one sample alone "
    "leaves `1 - h_0^2` of the way.",
    LeakyReLU(0.1),
    (
        Method("Modified TP", InverseSlopes(TargetPropExact()), 1.0, 200, 2, normalized=True),
        Method("Modified TP, single samples", InverseSlopes(TargetPropExact()), 1.0, 1),
    ),
)
