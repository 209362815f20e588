"""What is said of a seed that diverged: whether it did, and what may be the cause."""

import dataclasses
import math
from collections.abc import Iterator, Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np

from .recipe import Recipe
from .result import SeedResult

FACTOR = 100.0
"""A seed has diverged if its training loss ends above so many times that of the untrained network.

A network that is sure of a wrong class has a large cross-entropy: some ten times that of an
untrained one, with a good test error. Far above that, nothing was learned.
"""


def at_end(result: SeedResult, start: float, recipe: Recipe) -> str | None:
    """How a seed diverged that was trained to its end with finite weights.

    **Arguments:**

    - `result`: its metrics.
    - `start`: the loss of its untrained network.
    - `recipe`: its recipe.

    **Returns:** its status, or `None` if it did not diverge.
    """
    if not result.history:
        return None
    last = result.history[-1]
    epochs = {result.best_epoch: result.test_error, last["epoch"]: result.last_test_error}
    wrong = [epoch for epoch, error in epochs.items() if error is not None and not math.isfinite(error)]
    loss = last["train_loss"]
    if wrong:
        what = f"the test error after epoch {wrong[0]} is not finite"
    elif not math.isfinite(loss):
        what = f"the training loss of epoch {last['epoch']} is not finite"
    elif loss > FACTOR * start > 0:
        what = (
            f"the training loss of epoch {last['epoch']} is {loss:.4g}, "
            f"more than {FACTOR:g} times that of the untrained network, {start:.4g}"
        )
    else:
        return None
    return f"diverged: {what}; {cause(recipe)}"


def cause(recipe: Recipe, in_feedback: bool = False) -> str:
    """What may be the cause, and what to try.

    It names numbers whose squares are 0 or infinite in the precision of the run. Without one, it
    is the learning rate.

    **Arguments:**

    - `recipe`: the recipe.
    - `in_feedback`: whether the feedback diverged first.
    """
    found = [*_extreme(recipe)]
    if found:
        return "; ".join(found)
    return f"try a smaller {'feedback_optimizer.learning_rate' if in_feedback else 'learning rate'}"


def _extreme(recipe: Recipe) -> Iterator[str]:
    limits = jnp.finfo(recipe.dtype)
    small, large = math.sqrt(float(limits.tiny)), math.sqrt(float(limits.max))
    for field in ("stepsize", "optimizer", "feedback_optimizer", "rule", "penalty"):
        for name, value in _numbers(field, getattr(recipe, field)):
            if 0 < abs(value) < small:
                yield f"{name} is {value:g}, whose square is 0 in {recipe.dtype}: use a larger one"
            elif abs(value) > large and name == "optimizer.learning_rate":
                yield "try a smaller learning rate"
            elif large < abs(value) < math.inf:
                yield f"{name} is {value:g}, whose square is infinite in {recipe.dtype}: use a smaller one"


def _numbers(name: str, value: Any) -> Iterator[tuple[str, float]]:
    """The real numbers in a part of a recipe, with their dotted names.

    The `eps` of an optimizer may be as small as one likes.
    """
    if dataclasses.is_dataclass(value):
        value = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        for key, entry in value.items():
            yield from _numbers(f"{name}.{key}", entry)
    elif isinstance(value, tuple | list):
        for entry in value:
            yield from _numbers(name, entry)
    elif _is_real(value) and not name.endswith(".eps"):
        yield from ((name, float(entry)) for entry in np.unique(np.asarray(value, float)))


def _is_real(value: Any) -> bool:
    return isinstance(value, float) or jnp.issubdtype(getattr(value, "dtype", bool), np.floating)
