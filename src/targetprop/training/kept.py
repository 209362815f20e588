"""The weights of the best and of the last epoch of each seed."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ..networks.network import Network
from .ensemble import Ensemble, one_of
from .recipe import Recipe
from .result import SeedResult, Trained
from .schedule import Pass
from .state import Member


class Weights(NamedTuple):
    """Networks and feedback. Their arrays have the member as leading axis."""

    network: Network
    feedback: Any

    @classmethod
    def of(cls, members: Member) -> "Weights":
        """The weights of the members of an ensemble."""
        return cls(members.state.network, members.state.feedback)


class BestAndLast:
    """The weights of the best and of the last epoch of each seed.

    They are those from which the metrics of the epoch were computed, so their error is the one
    that is reported. Before the first epoch, `last` has the weights after the last pass of
    pretraining.

    **Arguments:**

    - `best`, `last`: the weights.
    - `best_epochs`: for each seed, the epoch of its weights in `best`, or `None`.
    """

    def __init__(self, best: Weights, last: Weights, best_epochs: list[int | None]):
        self.best, self.last, self.best_epochs = best, last, best_epochs

    @classmethod
    def at_start(cls, members: Member) -> "BestAndLast":
        """Those before the first epoch."""
        now = Weights.of(members)
        return cls(now, now, [None] * len(members.seed))

    @classmethod
    def resumed(cls, header: dict, members: Member, best: Weights | None, last: Weights | None) -> "BestAndLast":
        """Those of a checkpoint, from what `to_save` gave.

        **Raises:** `KeyError`, `TypeError` or `ValueError` if the header is damaged.
        """
        now, epochs = Weights.of(members), [None if epoch is None else int(epoch) for epoch in header["best_epochs"]]
        if len(epochs) != len(members.seed):
            raise ValueError(f"best_epochs has {len(epochs)} entries for {len(members.seed)} seeds")
        return cls(best or now, last or now, epochs)

    def record(self, ensemble: Ensemble, results: Sequence[SeedResult], at: Pass) -> None:
        """Keep the weights after a pass. The results have its metrics already."""
        now, alive = Weights.of(ensemble.members), ensemble.alive
        self.last = _picked(alive, now, self.last)
        if at.joint:
            better = alive & [result.best_epoch == at.epoch for result in results]
            self.best = _picked(better, now, self.best)
            self.best_epochs = [
                at.epoch if picked else epoch for picked, epoch in zip(better, self.best_epochs, strict=True)
            ]

    def trained(
        self, recipes: Sequence[Recipe], results: Sequence[SeedResult]
    ) -> tuple[list[Trained | None], list[Trained]]:
        """The networks of the best epochs, with `None` where there is none, and of the last epochs."""
        last = [_trained(self.last, i, recipe) for i, recipe in enumerate(recipes)]
        best = [
            _trained(self.best, i, recipe) if is_best(result, epoch) else None
            for i, (recipe, result, epoch) in enumerate(zip(recipes, results, self.best_epochs, strict=True))
        ]
        return best, last

    def to_save(self, members: Member) -> tuple[dict, tuple[Weights | None, Weights | None]]:
        """What a checkpoint needs besides the members: entries of its header, and weights.

        Weights that the members have too are `None`.
        """
        now = Weights.of(members)
        best, last = (None if _same(kept, now) else kept for kept in (self.best, self.last))
        return {"best": best is not None, "last": last is not None, "best_epochs": self.best_epochs}, (best, last)


def _trained(weights: Weights, index: int, recipe: Recipe) -> Trained:
    network, feedback = one_of(weights, index)
    return Trained(network, feedback, recipe.rule)


def is_best(result: SeedResult, epoch: int | None) -> bool:
    """Whether the weights of `epoch` are those of the best epoch."""
    return epoch is not None and epoch == result.best_epoch


def _same(one: Weights, other: Weights) -> bool:
    return all(a is b for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True))


def _picked(mask: np.ndarray, new: Weights, old: Weights) -> Weights:
    """`new` for the members in `mask`, `old` for the others."""
    if mask.all():
        return new
    return _select(jnp.asarray(mask), new, old) if mask.any() else old


@eqx.filter_jit
def _select(mask: jax.Array, new: Weights, old: Weights) -> Weights:
    def pick(now, before):
        return jnp.where(mask.reshape(-1, *[1] * (now.ndim - 1)), now, before) if eqx.is_array(now) else now

    return jax.tree.map(pick, new, old)
