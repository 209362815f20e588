"""Fig. S2: the direction in which an update moves the output."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ...data import TeacherTask
from ...diagnostics import angle, output_change
from ...experiments.experiment import Experiment, ExperimentPart, extrapolated
from ...experiments.item import EpochOptions, Item, Picture, Report, plus_minus, report_cell
from ...feedback.gauss_newton import PseudoInverse, output_jacobians
from ...figures import BLACK, canvas, curve, grid, legend, rule_style, seeds_note, whole_numbers
from ...losses import SquaredError
from ...networks.architectures import MLP
from ...networks.network import Network
from ...rules import Backprop, GaussNewtonTargets, Minibatch, Rule
from ...rules.contract import output_update
from ...rules.updates import local_gradients
from ...training.ensemble import Ensemble
from ...training.optimizers import SGD
from ...training.recipe import Recipe
from ...training.result import Summary
from ...training.schedule import Schedule

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

RULES: dict[str, tuple[str, Rule]] = {"gnt": ("GNT", GaussNewtonTargets(PseudoInverse())), "bp": ("BP", Backprop())}
EPOCHS = 20
SAMPLES = 400
WIDTH, OUTPUTS = 4, 2
ARROWS = 24


def output_space_recipe(rule: Rule, epochs: int) -> Recipe:
    """A student with two hidden layers of 4 tanh units and 2 linear outputs.

    It is trained one sample at a time.

    **Arguments:**

    - `rule`: the rule.
    - `epochs`: the number of epochs.
    """
    return Recipe(
        rule,
        dataset="teacher",
        architecture=MLP((WIDTH, WIDTH)),
        optimizer=SGD(3e-3),
        schedule=Schedule(epochs),
        batch_size=1,
        validation=0,
    )


@dataclasses.dataclass(frozen=True)
class OutputSpace(Experiment):
    """The directions in which GNT and BP move the output.

    For each sample, an infinitesimal step is made for this sample alone. All metrics are taken at
    initialization and, but for the last one, after each epoch:

    - `angle`: the angle of the movement to the negative gradient in output space, averaged over
      the samples.
    - `condition`: the condition number of `dh_L / dh_1`, the median over the samples.
    - `arrows`: the error `e_L` and the directions themselves, for the first samples.
    """

    recipe: Recipe
    samples: int

    @property
    def steps(self) -> int:
        return self.recipe.schedule.epochs

    def run(self, seeds: Sequence[int], advance: Callable[[int], None]) -> list[dict[str, Any]]:
        data = TeacherTask((WIDTH, *(1000,) * 4, OUTPUTS), train=self.samples, test=1).dataset()
        ensemble = Ensemble([self.recipe] * len(seeds), seeds, data)
        found = [_measure(ensemble)]
        for at in self.recipe.schedule.passes(trains_feedback=False):
            ensemble.advance(at, 0, ensemble.steps)
            found.append(_measure(ensemble))
            advance(1)
        return [_metrics([of[i] for of in found]) for i in range(len(seeds))]

    def seconds(self, seeds: Sequence[int]) -> float:
        short = dataclasses.replace(self, recipe=output_space_recipe(self.recipe.rule, 1))
        return extrapolated(lambda: short.run(seeds, lambda steps: None), self.steps)


class Measurement(NamedTuple):
    """What is measured on a network.

    - `error`: the errors of all samples.
    - `moved`: the directions of all samples, for each rule.
    - `condition`: the median condition number.
    """

    error: np.ndarray
    moved: dict[str, np.ndarray]
    condition: float


def _measure(ensemble: Ensemble) -> list[Measurement]:
    members = (ensemble.member(i).state.network for i in range(len(ensemble.alive)))
    x, y = ensemble.data.x, ensemble.data.y
    found = []
    for network in members:
        error, moved, jacobian = jax.device_get(
            (
                network(x) - y,
                {name: directions(network, rule, x, y) for name, (_, rule) in RULES.items()},
                output_jacobians(network.trace(x))[0],
            )
        )
        found.append(Measurement(error, moved, float(np.median(np.linalg.cond(jacobian)))))
    return found


@eqx.filter_jit
def directions(network: Network, rule: Rule, x: Array, y: Array) -> Float[Array, "samples n_L"]:
    """The direction in which the output of each sample moves under a step for this sample alone.

    **Arguments:**

    - `network`: the network.
    - `rule`: a rule without feedback parameters.
    - `x`, `y`: the samples.

    **Returns:** the directions, shape `(samples, n_L)`.
    """

    def one(x, y):
        trace = network.trace(x[None])
        dh = output_update(SquaredError(), trace.output, y[None], 1.0)
        gradients = local_gradients(network, trace, rule.target_updates(network, None, Minibatch(trace, dh)))
        return output_change(network, x[None], gradients)[0]

    return jax.vmap(one)(x, y)


def _metrics(found: Sequence[Measurement]) -> dict[str, Any]:
    """What is kept of one seed."""
    angles = {name: _rounded([_mean_angle(at.moved[name], at.error) for at in found]) for name in RULES}
    units = {name: moved / np.linalg.norm(moved, axis=1, keepdims=True) for name, moved in found[0].moved.items()}
    arrows = {name: _rounded(values[:ARROWS]) for name, values in {"error": found[0].error, **units}.items()}
    return {"angle": angles, "condition": _rounded([at.condition for at in found]), "arrows": arrows}


def _mean_angle(moved: np.ndarray, error: np.ndarray) -> float:
    return float(jnp.mean(angle(jnp.asarray(moved), -jnp.asarray(error))))


def _rounded(values: Any) -> list:
    return np.round(np.asarray(values, float), 4).tolist()


class OutputSpaceFigure(Item[EpochOptions]):
    """The directions of the updates of GNT and BP in output space, in networks trained by each of
    them.
    """

    source, name = "meulemans2020", "fig-s2"
    title = "Fig. S2: where the updates of GNT and of BP send the output"
    defaults = EpochOptions(seeds=20)

    def parts(self, options: EpochOptions) -> list[ExperimentPart]:
        folder = options.results / self.source / self.name / options.variant
        epochs = options.epochs or EPOCHS
        experiments = {name: OutputSpace(output_space_recipe(rule, epochs), SAMPLES) for name, (_, rule) in RULES.items()}
        return [
            ExperimentPart(f"trained by {RULES[name][0]}", "teacher", experiment, folder / name)
            for name, experiment in experiments.items()
        ]

    def report(self, options: EpochOptions) -> Report:
        parts = zip(RULES, self.parts(options), strict=True)
        found = {name: list(part.found().values()) for name, part in parts}
        cells, rows = [], []
        for trained, seeds in found.items():
            for name, (label, _) in RULES.items():
                values = Summary(tuple(float(np.mean(metrics["angle"][name])) for metrics in seeds))
                column = f"trained by {RULES[trained][0]}"
                cells.append(report_cell(label, column, values))
                rows.append((label, column, plus_minus(values, 1), str(len(seeds))))
        text = (
            "Angle in degrees between the movement of a sample's output, under a step made for that sample alone, and the "
            "negative loss gradient in output space; averaged over the samples and over training (the start and "
            f"{options.epochs or EPOCHS} epochs); mean ± SD over seeds. In a linear network GNT's angle is 0. The paper "
            "draws the directions and gives no numbers."
        )
        if all(found.values()):
            gnt, bp = (np.median([metrics["condition"][-1] for metrics in found[name]]) for name in ("gnt", "bp"))
            text += (
                " The condition number of `dh_L / dh_1` in the end, median over samples and seeds, is "
                f"{gnt:.1f} where GNT trains and {bp:.1f} where BP trains."
            )
        pictures = (Picture(lambda: _draw(found)),) if all(found.values()) else ()
        return Report(cells, ("update", "network", "angle (degrees)", "seeds"), rows, pictures, text, options.variant)


def _draw(found: dict[str, list[dict[str, Any]]]) -> "Figure":
    figure = canvas(11, 4.6)
    left, *panels = figure.subplots(1, 3, width_ratios=(1.1, 1, 1))
    _draw_arrows(left, found["gnt"][0]["arrows"])
    panels[1].sharey(panels[0])
    for axes, trained in zip(panels, RULES, strict=True):
        for name, (label, _) in RULES.items():
            values = np.array([metrics["angle"][name] for metrics in found[trained]])
            curve(axes, np.arange(values.shape[1]), values, style=rule_style(name), label=label)
        axes.set(xlabel="epoch", title=f"network trained by {RULES[trained][0]}")
        whole_numbers(axes)
    grid(panels)
    panels[0].set(ylabel="angle to the negative gradient (degrees)", ylim=(0, None))
    figure.suptitle("GNT sends the output closer to the negative gradient than BP does; where BP trains, only at first")
    legend(figure, (left, *panels), f"left: 1 seed; others: {seeds_note(map(len, found.values()))}")
    return figure


def _draw_arrows(axes: "Axes", arrows: dict[str, list]) -> None:
    """Directions at the samples whose error is longer than an arrow."""
    error = np.array(arrows["error"])
    size = 0.16 * np.abs(error).max()
    shown = np.linalg.norm(error, axis=1) > size
    low, high = (end(np.vstack([error, [[0, 0]]]), axis=0) for end in (np.min, np.max))
    middle, half = (low + high) / 2, 0.5 * np.max(high - low) + size
    xs, ys = (np.linspace(center - half, center + half, 101) for center in middle)
    loss = 0.5 * (xs[None] ** 2 + ys[:, None] ** 2)
    axes.contour(xs, ys, loss, levels=0.5 * (size * np.arange(1, 15)) ** 2, colors="#BBBBBB", linewidths=0.8)
    for name in RULES:
        moved = size * np.array(arrows[name])[shown]
        exact = {"angles": "xy", "scale_units": "xy", "scale": 1}
        axes.quiver(*error[shown].T, *moved.T, color=rule_style(name).color, width=0.006, zorder=3, **exact)
    axes.plot(*error[shown].T, ".", color=BLACK, markersize=4, zorder=4)
    axes.plot(0, 0, "+", color=BLACK, markersize=11, markeredgewidth=2, label="target")
    axes.set(xlabel="$y_1$ - target", ylabel="$y_2$ - target", title="untrained, one point per sample")
    axes.set_aspect("equal")
