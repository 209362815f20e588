"""Fig. 2: how much of an update cannot move the output."""

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ...data import TeacherTask
from ...diagnostics import null_space_shares
from ...experiments.experiment import Experiment, ExperimentPart, extrapolated
from ...experiments.item import EpochOptions, Item, Picture, Report, plus_minus, report_cell
from ...figures import DASHED, GRAY, canvas, curve, grid, legend, rule_style, seeds_note
from ...losses import SquaredError
from ...networks.architectures import MLP
from ...rules import Minibatch, Rule
from ...rules.contract import output_update
from ...rules.presets import ddtp_linear, dtp
from ...training.ensemble import Ensemble
from ...training.optimizers import Adam
from ...training.recipe import Recipe
from ...training.result import Summary
from ...training.schedule import Schedule
from ...training.state import Member

if TYPE_CHECKING:
    from matplotlib.figure import Figure

METHODS = {"dtp-pretrained": ("DTP (pre-trained)", dtp(sigma=0.01)), "ddtp-linear": ("DDTP-linear", ddtp_linear(sigma=0.01))}
EPOCHS = 30
SAMPLES = 400
WIDTH, OUTPUTS = 6, 2


def null_space_recipe(rule: Rule, epochs: int) -> Recipe:
    """A student with two hidden layers of 6 tanh units and 2 linear outputs.

    Only its feedback learns, one sample at a time.

    **Arguments:**

    - `rule`: the rule that computes the targets.
    - `epochs`: the number of passes.
    """
    return Recipe(
        rule,
        dataset="teacher",
        architecture=MLP((WIDTH, WIDTH)),
        stepsize=0.01,
        feedback_optimizer=Adam(1e-3),
        schedule=Schedule(epochs=1, pretraining=epochs),
        batch_size=1,
        validation=0,
    )


@dataclasses.dataclass(frozen=True)
class NullSpace(Experiment):
    """The share of the updates that cannot change the output, for each hidden layer.

    This is the part of the update of a sample in the null space of `dh_L / dvec(W_i)`, averaged
    over the training samples. It is measured before the feedback learns and after each pass.
    """

    recipe: Recipe
    samples: int

    @property
    def steps(self) -> int:
        return self.recipe.schedule.pretraining

    def run(self, seeds: Sequence[int], advance: Callable[[int], None]) -> list[dict[str, Any]]:
        data = TeacherTask((WIDTH, *(1000,) * 4, OUTPUTS), train=self.samples, test=1).dataset()
        ensemble = Ensemble([self.recipe] * len(seeds), seeds, data)
        found = [_measure(ensemble)]
        for at in self.recipe.schedule.passes(trains_feedback=True):
            if at.joint:
                break
            ensemble.advance(at, 0, ensemble.steps)
            found.append(_measure(ensemble))
            advance(1)
        return [{"share": [[round(float(x), 5) for x in layer] for layer in curves]} for curves in np.stack(found, axis=2)]

    def seconds(self, seeds: Sequence[int]) -> float:
        short = dataclasses.replace(self, recipe=null_space_recipe(self.recipe.rule, 1))
        return extrapolated(lambda: short.run(seeds, lambda steps: None), self.steps)


def _measure(ensemble: Ensemble) -> Float[np.ndarray, "seeds hidden"]:
    members = (ensemble.member(i) for i in range(len(ensemble.alive)))
    return np.stack([_shares(member, ensemble.data.x, ensemble.data.y) for member in members])


@eqx.filter_jit
def _shares(member: Member, x: Array, y: Array) -> Float[Array, " hidden"]:
    network, numbers = member.state.network, member.hyperparameters
    trace = network.trace(x)
    dh = output_update(SquaredError(), trace.output, y, numbers.stepsize)
    updates = numbers.rule.target_updates(network, member.state.feedback, Minibatch(trace, dh))
    return jnp.mean(null_space_shares(network, trace, updates), axis=1)


def random_share(size: int, outputs: int) -> float:
    """The mean of `||P u|| / ||u||` for a random direction `u`.

    `P` is the projection onto `size - outputs` dimensions. The square of the share has a Beta
    distribution.

    **Arguments:**

    - `size`: the number of dimensions.
    - `outputs`: the number of outputs.
    """
    free = size - outputs
    return math.exp(
        math.lgamma((free + 1) / 2) + math.lgamma(size / 2) - math.lgamma(free / 2) - math.lgamma((size + 1) / 2)
    )


class NullSpaceFigure(Item[EpochOptions]):
    """The share of the updates in the null space while only the feedback learns."""

    source, name = "meulemans2020", "fig2"
    title = "Fig. 2: share of the updates that cannot move the output"
    defaults = EpochOptions(seeds=20)

    def parts(self, options: EpochOptions) -> list[ExperimentPart]:
        folder = options.results / self.source / self.name / options.variant
        epochs = options.epochs or EPOCHS
        return [
            ExperimentPart(label, "teacher", NullSpace(null_space_recipe(rule, epochs), SAMPLES), folder / key)
            for key, (label, rule) in METHODS.items()
        ]

    def report(self, options: EpochOptions) -> Report:
        curves = {part.row: [entry["share"] for entry in part.found().values()] for part in self.parts(options)}
        cells, rows = [], []
        for label, found in curves.items():
            for layer in (2, 1):
                values = Summary(tuple(shares[layer - 1][-1] for shares in found))
                cells.append(report_cell(label, f"W_{layer}", values))
                rows.append((label, f"W_{layer}", plus_minus(values, 3), str(len(found))))
        text = (
            "Norm of the null-space component over the norm of the update, one sample at a time, averaged over the samples, "
            f"after {options.epochs or EPOCHS} passes of feedback training beside fixed forward weights; mean ± SD over "
            f"seeds. A random direction has {random_share(WIDTH, OUTPUTS):.2f}. The paper draws `W_2` and gives no numbers."
        )
        complete = all(curves.values())
        titles = ("method", "weights", "share in the null space", "seeds")
        pictures = (Picture(lambda: _draw(curves)),) if complete else ()
        return Report(cells, titles, rows, pictures, text, options.variant)


def _draw(curves: dict[str, list]) -> "Figure":
    figure = canvas(9, 4.3)
    panels = figure.subplots(1, 2, sharey=True)
    looks = (rule_style("dtp")._replace(line=DASHED), rule_style("ddtp-linear"))
    for axes, layer in zip(panels, (2, 1), strict=True):
        for (label, found), style in zip(curves.items(), looks, strict=True):
            values = np.array([shares[layer - 1] for shares in found])
            curve(axes, np.arange(values.shape[1]), values, style=style, label=label)
        axes.axhline(random_share(WIDTH, OUTPUTS), color=GRAY, linestyle=":", label="random direction")
        where = "last hidden layer, $W_2$ (as published)" if layer == 2 else "first hidden layer, $W_1$"
        axes.set(title=where, xlabel="passes of feedback training", ylim=(0, 1))
    grid(panels)
    panels[0].set_ylabel("null-space component / update (norms)")
    figure.suptitle("Learned by DRL, direct feedback keeps the updates where they move the output")
    legend(figure, panels, seeds_note(map(len, curves.values())))
    return figure
