"""The published configurations of *A Theoretical Framework for Target Propagation* (Meulemans et al. 2020).

The values stand in `meulemans2020.json` as published. What they mean depends on how the published code scales its losses,
so they are converted here, once. With `B` the batch size, `n` the width of the hidden layers and `eta` the listed
target stepsize:

- The listed learning rate is the product of Adam's learning rate and `eta`: Adam gets `lr / eta`.
- The published output target moves by `eta / B` per sample, and its local loss has no factor 1/2, so its gradients are
  `2 / B` times ours with stepsize `eta`. Adam divides that factor out but for its epsilon: with linear feedback ours is
  `epsilon * B / 2`. Nonlinear feedback feels the size of the step itself: there the stepsize is `eta / B`, and Adam's
  epsilon `epsilon / 2`.
- The published reconstruction losses are means over the layer, ours are sums: `epsilon_fb * n` and a weight decay of
  `feedback_wd * n / 2` (the gradient of `strength ||Q||^2` is `2 strength Q`). Plain DTP's is moreover divided by
  `max(sigma, 0.02)^2`, ours is not.

Differences that stay: the published runs of DDTP-linear and DFA leave out the bias of the last hidden layer, and all keep
the incomplete last minibatch of an epoch.
"""

import functools
import json
from importlib import resources

from ..feedback.reconstruction import WeightDecay
from ..rules import DTP, DTPDRL, Backprop, DDTPLinear, DirectFeedbackAlignment
from ..train.optimizers import Adam
from ..train.schedule import Schedule
from ._base import MLP, Recipe

BATCH = 128
HIDDEN = {"mnist": (256,) * 5, "fashion-mnist": (256,) * 5, "cifar10": (1024,) * 3}


@functools.cache
def published() -> dict[str, dict]:
    """The published values by name, for example `mnist/ddtp-linear`; entries ending in `/train-loss` belong to Table 2."""
    text = resources.files(__name__.rpartition(".")[0]).joinpath("meulemans2020.json").read_text()
    return json.loads(text)["recipes"]


def names() -> tuple[str, ...]:
    """The configurations that can be run."""
    return tuple(name for name in published() if name.split("/")[0] in HIDDEN and name.split("/")[1] in _RULES)


def recipe(name: str) -> Recipe:
    """The recipe of a published configuration, for example `mnist/ddtp-linear`."""
    row = published()[name]
    dataset, method = name.split("/")[:2]
    hidden = HIDDEN[dataset]
    rule, linear = _RULES[method](row, hidden[0])
    stepsize = row["target_stepsize"]
    scale = 1.0 if method == "bp" else (BATCH / 2 if linear else 1 / 2)
    return Recipe(
        rule=rule,
        dataset=dataset,
        architecture=MLP(hidden),
        stepsize=stepsize if linear else stepsize / BATCH,
        optimizer=Adam(row["lr"] / stepsize, row["beta1"], row["beta2"], row["epsilon"] * scale),
        feedback_optimizer=_feedback_optimizer(row, method, hidden[0]),
        schedule=Schedule(row["epochs"], row["epochs_fb"], row["extra_fb_epochs"]),
        batch_size=BATCH,
        validation=None if row["validation"] else 0,
    )


def _feedback_optimizer(row: dict, method: str, width: int) -> Adam:
    if "lr_fb" not in row:
        return Adam()
    scale = width * (max(row["sigma"], 0.02) ** 2 if method == "dtp" else 1.0)
    return Adam(row["lr_fb"], row["beta1_fb"], row["beta2_fb"], row["epsilon_fb"] * scale)


def _decay(row: dict, width: int) -> WeightDecay:
    return WeightDecay(row["feedback_wd"] * width / 2)


# method -> (rule, whether its feedback is linear), from a published row and the width of the hidden layers
_RULES = {
    "bp": lambda row, width: (Backprop(), True),
    "dfa": lambda row, width: (DirectFeedbackAlignment(), True),
    "dtp": lambda row, width: (DTP(sigma=row["sigma"]), False),
    "dtpdrl": lambda row, width: (DTPDRL(sigma=row["sigma"], regulariser=_decay(row, width)), False),
    "ddtp-linear": lambda row, width: (DDTPLinear(sigma=row["sigma"], regulariser=_decay(row, width)), True),
}
