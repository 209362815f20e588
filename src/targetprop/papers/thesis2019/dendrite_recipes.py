"""Recipes for networks in continuous time, for target propagation and for backpropagation.

The tasks are student-teacher regression, digits and MNIST (Meulemans 2019, chapter 6). The thesis
trains none of these networks, so no value here is published.

- Networks of any widths have the numbers that were tuned on digits for each rule. These learning
  rates are too large for MNIST, where they are 1e-3 for all rules.
- On the regression all rules have the same numbers.
- Square networks with exact inverses have the same numbers for all rules too. The penalty of
  GAIT-prop keeps their weights close to orthogonal ones.
"""

import dataclasses

from ...experiments.defaults import tuned_values
from ...feedback.learners import NoLearning
from ...feedback.mappings import ExactInverses, Layerwise
from ...networks.activations import LeakyReLU
from ...networks.architectures import MLP, Architecture, SquareMLP
from ...rules import RULES, Rule, SinglePhase, TargetPropExact, TwoPhase
from ...rules.presets import dtp, multiplexing, tp
from ...training.optimizers import Adam
from ...training.penalties import OrthogonalityPenalty
from ...training.recipe import Recipe
from ...training.schedule import Schedule
from ...training.values import set_values

SQUARE = "square-"  # of the names of methods in square networks
LEARNED = ("bp", "tp", "dtp", "single-phase", "two-phase", "multiplexing")
EXACT = ("bp", "tp-exact", "single-phase", "two-phase", "multiplexing")
METHODS = (*LEARNED, *(SQUARE + method for method in EXACT))
SLOPE = LeakyReLU(0.5)

# data set, widths of the hidden layers, width of the square layers, epochs, batch size
TASKS: dict[str, tuple[str, tuple[int, ...], int, int, int]] = {
    "digits": ("digits", (64, 64, 64), 64, 40, 32),
    "mnist": ("mnist", (256, 256, 256), 128, 10, 128),
    "student-teacher": ("student-teacher-deep", (6, 6, 6, 6), 6, 40, 32),
}


def dendrite_configurations() -> tuple[str, ...]:
    """The configurations, as `TASK/METHOD`."""
    return tuple(f"{task}/{method}" for task in TASKS for method in METHODS)


def dendrite_recipe(name: str) -> Recipe:
    """The recipe of a method on a task.

    **Arguments:**

    - `name`: for example `digits/two-phase` or, with exact inverses, `digits/square-two-phase`.
    """
    task, _, method = name.partition("/")
    dataset, hidden, width, epochs, batch = TASKS[task]
    square, rule = method.startswith(SQUARE), method.removeprefix(SQUARE)
    found = Recipe(
        RULES[rule](),
        dataset=dataset,
        architecture=_architecture(task, hidden, width, square),
        schedule=Schedule(epochs, pretraining=0 if square else 5, between=0 if square else 1),
        batch_size=batch,
    )
    if square:
        found = found.replace(rule=_with_exact_inverses(rule), stepsize=0.1, penalty=OrthogonalityPenalty(0.1))
    if task == "student-teacher":
        learned = found.rule if square else _of_leaky_layers(rule)
        return found.replace(rule=learned, stepsize=0.02, optimizer=Adam(5e-3), feedback_optimizer=Adam(2e-3))
    if square:
        return found.replace(optimizer=Adam(1e-3))
    tuned = set_values(found, tuned_values(rule))
    return tuned if task == "digits" else tuned.replace(optimizer=Adam(1e-3), feedback_optimizer=Adam(1e-3))


def _architecture(task: str, hidden: tuple[int, ...], width: int, square: bool) -> Architecture:
    if task == "student-teacher":
        return MLP(hidden, SLOPE, initializer="orthogonal")
    return SquareMLP(len(hidden), SLOPE, width=width) if square else MLP(hidden)


def _of_leaky_layers(rule: str) -> Rule:
    """A rule whose mappings have the same nonlinearity as the layers of the network."""
    rules = {
        "tp": tp(feedback_activation=SLOPE),
        "dtp": dtp(feedback_activation=SLOPE),
        "single-phase": SinglePhase(mappings=Layerwise(SLOPE)),
        "two-phase": TwoPhase(mappings=Layerwise(SLOPE)),
        "multiplexing": multiplexing(feedback_activation=SLOPE),
    }
    return rules.get(rule, RULES[rule]())


def _with_exact_inverses(rule: str) -> Rule:
    exact = {"mappings": ExactInverses(), "learner": NoLearning()}
    rules = {
        "tp-exact": TargetPropExact(),
        "single-phase": SinglePhase(**exact),
        "two-phase": TwoPhase(**exact),
        "multiplexing": dataclasses.replace(multiplexing(), **exact),
    }
    return rules.get(rule, RULES[rule]())
