"""The published configurations of *GAIT-prop* (Ahmad, van Gerven and Ambrogioni 2020).

The values stand in `recipes.json`. Names are `DATASET/METHOD` for four hidden layers, `DATASET/METHOD/depth-N` for another
number, `DATASET/METHOD/tower` for the network of shrinking width (section 6), `DATASET/METHOD/linear` for Fig. 2C, and
`DATASET/METHOD/grid/LR/STRENGTH` for the cells of Tables 1 to 3. Weights are orthogonal, Xavier normal where the strength
of the penalty is 0 (appendix B.1); in linear networks orthogonal throughout, as in the published code, which reverses that
rule. `itp` has the values of `gait`.

Differences that stay: the published runs take the samples in a fixed order and start the last two layers from the same
weights.
"""

import functools
import itertools

from ..._packaged import beside, read_json
from ...errors import ConfigError
from ...losses import SquaredError
from ...networks.activations import Identity, LeakyReLU
from ...networks.architectures import SquareMLP, TowerMLP
from ...rules import ITP, Backprop, GAITProp, TargetPropExact
from ...training.optimizers import UncorrectedAdam
from ...training.penalties import OrthogonalityPenalty
from ...training.recipe import Recipe
from ...training.schedule import Schedule

DEPTH = 4


@functools.cache
def published() -> dict:
    """The published values."""
    return read_json(beside(__name__, "recipes.json"))


@functools.cache
def names() -> tuple[str, ...]:
    """The configurations of the figures that can be run."""
    kinds = ("", *(f"/depth-{n}" for n in published()["depths"] if n != DEPTH), "/tower", "/linear")
    products = itertools.product(published()["datasets"], (*published()["methods"], "itp"), kinds)
    return tuple(f"{dataset}/{method}{kind}" for dataset, method, kind in products)


def grid_names(method: str) -> tuple[str, ...]:
    """The cells of the grid search of a method on MNIST, row by row."""
    grid = published()["grid"]
    return tuple(f"mnist/{method}/grid/{lr}/{strength}" for lr in grid["lr"] for strength in grid["strength"])


def recipe(name: str) -> Recipe:
    """The recipe of a configuration, for example `mnist/gait/depth-6`. Raises `ConfigError` for an unknown one."""
    dataset, method, *kind = name.split("/")
    if name not in (*names(), *grid_names(method)):
        raise ConfigError(f"gait2020 has no configuration {name!r}.")
    shared, values = published()["shared"], published()["methods"]["gait" if method == "itp" else method]
    lr, strength = (float(text) for text in kind[1:]) if len(kind) == 3 else (values["lr"], values["strength"])
    linear, tower = kind == ["linear"], kind == ["tower"]
    strength = 0.0 if linear else strength
    activation = Identity() if linear else LeakyReLU(shared["slope"])
    initializer = "orthogonal" if strength or linear else "xavier-normal"
    depth = int(kind[0].removeprefix("depth-")) if len(kind) == 1 and kind[0].startswith("depth-") else DEPTH
    return Recipe(
        rule=_rule(method, shared["gamma"]),
        dataset=dataset,
        architecture=TowerMLP(tuple(published()["tower"]), activation, initializer=initializer)
        if tower
        else SquareMLP(depth, activation, initializer=initializer),
        loss=SquaredError(),
        optimizer=UncorrectedAdam(lr, shared["b1"], shared["b2"], shared["epsilon"]),
        penalty=OrthogonalityPenalty(strength) if strength else None,
        schedule=Schedule(shared["epochs"]),
        batch_size=shared["batch"],
        validation=0,
    )


def _rule(method: str, gamma: float):
    rules = {"bp": Backprop(), "tp-exact": TargetPropExact(), "itp": ITP(gamma=gamma), "gait": GAITProp(gamma=gamma)}
    return rules[method]
