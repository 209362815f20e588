"""The settings of the student-teacher regression of Meulemans 2019, sections 5.1.3 and 5.2.2.

The values stand in `recipes.json` as published. Here is how they are converted:

- The thesis's output loss is `||h_L - t||^2`, ours half of that, so its output stepsize and BP's gradient are twice ours:
  the stepsize is `2 * stepsize` for target propagation and 2 for BP.
- Algorithms A.8 and A.9 leave out the factor 2 of the gradient of the inverse loss, ours has it: half the learning rate.
- The original TP and DTP are `TP` and `DTP` without noise, with the nonlinearity of the forward layer.

`randomized/...` is the same with one random layer learning at a time.

In `targetprop train` the networks start at random, as all do; the reproduction of the thesis's figures starts each student
at its distance from a teacher of its own.
"""

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any

from ..._packaged import beside, read_json
from ...feedback.inverses import RobustShermanMorrison
from ...networks.activations import LeakyReLU
from ...networks.architectures import MLP
from ...papers.thesis2019 import dendrite_recipes as dendrites
from ...rules import Backprop, InverseSlopes, Rule, TargetPropExact, dtp, dtp_ai, tp, tp_ai
from ...training.masks import OneRandomLayer
from ...training.optimizers import DecayingSGD
from ...training.recipe import Recipe
from ...training.schedule import Schedule

RANDOMIZED, DENDRITES = "randomized/", "dendrites"


@functools.cache
def published() -> Mapping[str, Any]:
    """The published values: `shared`, `tasks` by name, `recipes` by `TASK/METHOD`."""
    return read_json(beside(__name__, "recipes.json"))


@dataclasses.dataclass(frozen=True)
class RegressionTask:
    """A student-teacher task: widths from the input to the output, minibatches in an epoch, samples of the test set, the
    negative slope of the nonlinearity, and the student's distance from the teacher at the start."""

    sizes: tuple[int, ...]
    batches: int
    test: int
    negative_slope: float
    distance: float


def task(name: str) -> RegressionTask:
    """A task by name: `equal`, `contracting`, `deep`, or `exact`, that of the exact inverses."""
    row, shared = published()["tasks"][name], published()["shared"]
    return RegressionTask(tuple(row["sizes"]), row["batches"], shared["test"], shared["negative_slope"], shared["distance"])


def names() -> tuple[str, ...]:
    """The configurations that can be run."""
    plain = [name for name in published()["recipes"] if RANDOMIZED not in name]
    random = [
        f"{place}/{RANDOMIZED}{method}" for place, method in (n.split("/") for n in plain) if not method.startswith("bp")
    ]
    return (*plain, *random, *(f"{DENDRITES}/{name}" for name in dendrites.names()))


def recipe(name: str) -> Recipe:
    """The recipe of a method on a task, for example `equal/dtp-ai`, `equal/randomized/dtp-ai` or, of chapter 6,
    `dendrites/digits/two-phase`."""
    place, _, method = name.partition("/")
    if place == DENDRITES:
        return dendrites.recipe(method)
    base = method.removeprefix(RANDOMIZED)
    rows, shared, schedule = (published()[part] for part in ("recipes", "shared", "tasks"))
    row, schedule, sizes = rows.get(name) or rows[f"{place}/{base}"], schedule[place], task(place).sizes
    rule = _rule(base, shared)
    steps = schedule["epochs"] * schedule["batches"]
    return Recipe(
        rule,
        dataset="student-teacher" if sizes == (6, 6, 6) else f"student-teacher-{place}",
        architecture=MLP(sizes[1:-1], LeakyReLU(shared["negative_slope"]), bias=False),
        stepsize=2.0 if isinstance(rule, Backprop) else 2 * shared["stepsize"],
        optimizer=DecayingSGD(row["lr"], shared["last_rate"], steps),
        feedback_optimizer=DecayingSGD(row.get("lr_fb", 0.0) / 2, shared["last_rate"], steps),
        schedule=Schedule(schedule["epochs"]),
        batch_size=schedule.get("batch_size", shared["batch_size"]),
        validation=0,
        trainable=(len(sizes) - 1,) if base == "bp-fixed" else None,
        update_mask=OneRandomLayer() if base != method else None,
    )


def _rule(method: str, shared: Mapping[str, Any]) -> Rule:
    slope, noise = LeakyReLU(shared["negative_slope"]), {"sigma": shared["sigma"], "strength": shared["lambda"]}
    exact = TargetPropExact(RobustShermanMorrison(shared["threshold"]))
    rules = {
        "tp-ai": tp_ai(**noise),
        "dtp-ai": dtp_ai(**noise),
        "original-tp": tp(sigma=0.0, feedback_activation=slope),
        "original-dtp": dtp(sigma=0.0, feedback_activation=slope),
        "tp-ei": exact,
        "mtp-ei": InverseSlopes(exact),
    }
    return rules.get(method, Backprop())
