"""The settings of the student-teacher regression of Meulemans 2019, sections 5.1.3 and 5.2.2.

The values are in `recipes.json` as published. They are converted as follows:

- The output loss of the thesis is `||h_L - t||^2`, ours is half of it. So its output stepsize and
  the gradient of BP are twice ours. The stepsize is `2 * stepsize` for target propagation and 2
  for BP.
- Algorithms A.8 and A.9 do not have the factor 2 of the gradient of the inverse loss, ours have
  it. So the learning rate is halved.
- In Algorithms A.10 to A.13, and in the code of the author, `Q` learns after the step of the
  network, through the new weights: `FeedbackAfterStep`. In A.14 to A.17 it learns from the
  activities of the forward pass, which are those from before the step.
- `mtp` is Algorithm A.1 with exact inverses, `mtp-ai` with learned ones. `randomized/mtp` and
  `randomized/mtp-ai` are Algorithm A.3.
- The original TP and DTP are `tp` and `dtp` without noise, with the nonlinearity of the forward
  layer.

`randomized/...` is the same, with one random layer learning at a time.

In `targetprop train` the networks start at random, as all networks do. In the figures of the
thesis each student starts at a given distance from its own teacher.
"""

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any, final

from ..._packaged import beside, read_json
from ...experiments.sources import RecipeSource
from ...feedback.inverses import RobustShermanMorrison
from ...networks.activations import LeakyReLU
from ...networks.architectures import MLP, Normalized
from ...rules import Backprop, FeedbackAfterStep, InverseSlopes, Rule, TargetPropExact
from ...rules.presets import dtp, dtp_ai, tp, tp_ai
from ...training.masks import OneRandomLayer
from ...training.optimizers import SGD
from ...training.rates import LinearDecay
from ...training.recipe import Recipe
from ...training.schedule import Schedule
from .dendrite_recipes import dendrite_configurations, dendrite_recipe

RANDOMIZED, DENDRITES = "randomized/", "dendrites"


@functools.cache
def published_settings() -> Mapping[str, Any]:
    """The published values: `shared`, `tasks` by name, `recipes` by `TASK/METHOD`."""
    return read_json(beside(__name__, "recipes.json"))


@dataclasses.dataclass(frozen=True)
class RegressionTask:
    """A student-teacher task.

    - `sizes`: widths from the input to the output.
    - `batches`: the number of minibatches in an epoch.
    - `test`: the number of test samples.
    - `negative_slope`: that of the leaky ReLU.
    - `distance`: the distance of the student from the teacher at the start.
    """

    sizes: tuple[int, ...]
    batches: int
    test: int
    negative_slope: float
    distance: float


def regression_task(name: str) -> RegressionTask:
    """A task by name: `equal`, `contracting`, `deep`, or `exact`, which is for exact inverses."""
    row, shared = published_settings()["tasks"][name], published_settings()["shared"]
    return RegressionTask(tuple(row["sizes"]), row["batches"], shared["test"], shared["negative_slope"], shared["distance"])


@final
class ThesisRecipes(RecipeSource):
    """The regressions as `TASK/METHOD`, randomized ones as `TASK/randomized/METHOD`.

    The networks in continuous time of chapter 6 are named `dendrites/TASK/METHOD`.
    """

    def configurations(self) -> tuple[str, ...]:
        plain = [name for name in published_settings()["recipes"] if RANDOMIZED not in name]
        pairs = [name.split("/") for name in plain]
        random = [f"{place}/{RANDOMIZED}{method}" for place, method in pairs if not method.startswith("bp")]
        return (*plain, *random, *(f"{DENDRITES}/{name}" for name in dendrite_configurations()))

    def build(self, name: str) -> Recipe:
        self.check_name(name)
        place, _, method = name.partition("/")
        return dendrite_recipe(method) if place == DENDRITES else _regression_recipe(place, method)


RECIPES = ThesisRecipes()


def _regression_recipe(place: str, method: str) -> Recipe:
    base = method.removeprefix(RANDOMIZED)
    rows, shared, schedule = (published_settings()[part] for part in ("recipes", "shared", "tasks"))
    row = rows.get(f"{place}/{method}") or rows[f"{place}/{base}"]
    schedule, sizes = schedule[place], regression_task(place).sizes
    rule = _rule(base, shared)
    dense = MLP(sizes[1:-1], LeakyReLU(shared["negative_slope"]), bias=False)
    steps, decay = schedule["epochs"] * schedule["batches"], LinearDecay(shared["last_rate"])
    return Recipe(
        rule,
        dataset="student-teacher" if sizes == (6, 6, 6) else f"student-teacher-{place}",
        architecture=Normalized(dataclasses.replace(dense, bias=True)) if row.get("normalized") else dense,
        stepsize=2.0 if isinstance(rule, Backprop) else 2 * shared["stepsize"],
        optimizer=SGD(row["lr"], schedule=decay, steps=steps),
        feedback_optimizer=SGD(row.get("lr_fb", 0.0) / 2, schedule=decay, steps=steps),
        schedule=Schedule(schedule["epochs"]),
        batch_size=schedule.get("batch_size", shared["batch_size"]),
        validation=0,
        trainable=(len(sizes) - 1,) if base.startswith("bp-fixed") else None,
        update_mask=OneRandomLayer() if base != method else None,
    )


def _rule(method: str, shared: Mapping[str, Any]) -> Rule:
    slope, noise = LeakyReLU(shared["negative_slope"]), {"sigma": shared["sigma"], "strength": shared["lambda"]}
    exact = TargetPropExact(RobustShermanMorrison(shared["threshold"]))
    rules = {
        "tp-ai": FeedbackAfterStep(tp_ai(**noise)),
        "dtp-ai": FeedbackAfterStep(dtp_ai(**noise)),
        "original-tp": tp(sigma=0.0, feedback_activation=slope),
        "original-dtp": dtp(sigma=0.0, feedback_activation=slope),
        "tp-ei": exact,
        "mtp-ei": InverseSlopes(exact),
        "mtp": InverseSlopes(TargetPropExact()),
        "mtp-ai": FeedbackAfterStep(InverseSlopes(tp_ai(**noise))),
    }
    return rules.get(method, Backprop())
