"""The published configurations of *GAIT-prop* (Ahmad, van Gerven and Ambrogioni 2020).

The values are in `recipes.json`. These are the names:

- `DATASET/METHOD`: four hidden layers.
- `DATASET/METHOD/depth-N`: another number of hidden layers.
- `DATASET/METHOD/tower`: the network of shrinking width (section 6).
- `DATASET/METHOD/linear`: the linear network of Fig. 2C.
- `DATASET/METHOD/grid/LR/STRENGTH`: the cells of Tables 1 to 3.

Weights are orthogonal, or Xavier normal if the strength of the penalty is 0 (appendix B.1). In
linear networks they are always orthogonal, as in the published code, which does the opposite of
that rule. `itp` has the values of `gait`.

Two differences remain. The published runs use the samples in a fixed order, and they start the
last two layers with the same weights.
"""

import functools
import itertools
from typing import final

from ..._packaged import beside, read_json
from ...experiments.sources import RecipeSource
from ...losses import SquaredError
from ...networks.activations import Identity, LeakyReLU
from ...networks.architectures import Architecture, ShrinkingMLP, SquareMLP
from ...rules import ITP, Backprop, GAITProp, Rule, TargetPropExact
from ...training.optimizers import AdamWithoutBiasCorrection
from ...training.penalties import OrthogonalityPenalty
from ...training.recipe import Recipe
from ...training.schedule import Schedule

DEPTH = 4


@functools.cache
def published_values() -> dict:
    """What `recipes.json` holds."""
    return read_json(beside(__name__, "recipes.json"))


@functools.cache
def _figure_configurations() -> tuple[str, ...]:
    values = published_values()
    kinds = ("", *(f"/depth-{n}" for n in values["depths"] if n != DEPTH), "/tower", "/linear")
    products = itertools.product(values["datasets"], (*values["methods"], "itp"), kinds)
    return tuple(f"{dataset}/{method}{kind}" for dataset, method, kind in products)


@final
class GAITPropRecipes(RecipeSource):
    """The configurations of the figures, and the cells of the grid search of Tables 1 to 3."""

    def configurations(self) -> tuple[str, ...]:
        """The configurations of the figures; those of the grid search are not among them."""
        return _figure_configurations()

    def grid(self, method: str) -> tuple[str, ...]:
        """The configurations of the grid search of a method on MNIST, row by row."""
        grid = published_values()["grid"]
        return tuple(f"mnist/{method}/grid/{lr}/{strength}" for lr in grid["lr"] for strength in grid["strength"])

    def build(self, name: str) -> Recipe:
        """The recipe of a configuration of `configurations()` or `grid(method)`.

        Raises `ConfigError` for an unknown name.
        """
        if "/grid/" not in name or name not in self.grid(name.split("/")[1]):
            self.check_name(name)
        dataset, method, *kind = name.split("/")
        shared, methods = published_values()["shared"], published_values()["methods"]
        values = methods["gait" if method == "itp" else method]
        lr, strength = (float(text) for text in kind[1:]) if len(kind) == 3 else (values["lr"], values["strength"])
        strength = 0.0 if kind == ["linear"] else strength
        return Recipe(
            rule=_rule(method, shared["gamma"]),
            dataset=dataset,
            architecture=_architecture(kind, bool(strength), shared["slope"]),
            loss=SquaredError(),
            optimizer=AdamWithoutBiasCorrection(lr, shared["b1"], shared["b2"], shared["epsilon"]),
            penalty=OrthogonalityPenalty(strength) if strength else None,
            schedule=Schedule(shared["epochs"]),
            batch_size=shared["batch"],
            validation=0,
        )


RECIPES = GAITPropRecipes()


def _architecture(kind: list[str], penalized: bool, slope: float) -> Architecture:
    linear = kind == ["linear"]
    activation = Identity() if linear else LeakyReLU(slope)
    initializer = "orthogonal" if penalized or linear else "xavier-normal"
    if kind == ["tower"]:
        return ShrinkingMLP(tuple(published_values()["tower"]), activation, initializer=initializer)
    depth = int(kind[0].removeprefix("depth-")) if len(kind) == 1 and kind[0].startswith("depth-") else DEPTH
    return SquareMLP(depth, activation, initializer=initializer)


def _rule(method: str, gamma: float) -> Rule:
    rules = {"bp": Backprop(), "tp-exact": TargetPropExact(), "itp": ITP(gamma=gamma), "gait": GAITProp(gamma=gamma)}
    return rules[method]
