"""The published configurations of *A Theoretical Framework for Target Propagation* (Meulemans et
al. 2020).

The values are in `recipes.json` as published. Their meaning depends on how the published code
scales its losses, so they are converted here, once. `B` is the batch size, `n` the size of the
layer that a mapping reconstructs, `sigma` the noise level, and `eta` the listed target stepsize.

- The listed learning rate is the product of Adam's learning rate and `eta`. So Adam gets `lr /
  eta`.
- The published output target moves by `eta / B` per sample, and its local loss has no factor 1/2.
  So its gradients are `2 / B` times ours with stepsize `eta`. Adam divides this factor out, except
  for its epsilon: with linear feedback ours is `epsilon * B / 2`.
- With nonlinear feedback the size of the step matters. There the stepsize is `eta / B`, and Adam's
  epsilon is `epsilon / 2`.
- The local losses of the convolutions in the CNN are also means over their `m` pooled activities.
  There the published gradients are `2 / (B m)` times ours, and epsilon has another factor `m`. For
  BP they are the gradients of the loss.
- The published reconstruction losses are means over the layer, ours are sums: a factor `n`. Both
  divide the difference reconstruction loss by `sigma^2`, and neither divides the loss of
  DDTP-control. The published loss of plain DTP is divided by `max(sigma, 0.02)^2`, ours is not.
- Let `c` be the product of these factors, `n`, or `n max(sigma, 0.02)^2` for DTP. Our feedback
  gradients are `c` times the published ones. So epsilon is `epsilon_fb * c`, and the weight decay
  is `feedback_wd * c / 2`, because the gradient of `strength ||Q||^2` is `2 strength Q`. In the
  CNN `n` differs from layer to layer, and so do these numbers.

Frozen MNIST is MNIST where only the forward parameters of the first layer are trained.

These differences remain:

- The published runs of DDTP-linear and DFA have no bias in the last hidden layer.
- Those of the CNN have no feedback biases in the convolutions.
- All of them use the incomplete last minibatch of an epoch.
- The published file for DDTP-control on CIFAR-10 trains DDTP-linear. `cifar10/ddtp-control` has
  its values and trains DDTP-control, so it matches no published run. The values of a real control
  are in `cifar10/ddtp-control/alignment`.
"""

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import final

from ..._packaged import beside, read_json
from ...experiments.sources import RecipeSource
from ...feedback.regularizers import WeightDecayPerUnit
from ...networks.architectures import CNN, MLP, Architecture
from ...rules import Backprop, Rule
from ...rules.presets import ddtp_control, ddtp_linear, ddtp_rhl, ddtp_rhl_rec, dfa, dtp, dtpdrl
from ...training.optimizers import Adam, Optimizer, PerLayer
from ...training.recipe import Recipe
from ...training.schedule import Schedule

BATCH = 128


@dataclasses.dataclass(frozen=True)
class _Task:
    """What is learned, and by which network.

    - `dataset`, `architecture`: the data set and the network.
    - `sizes`: the sizes of the hidden activities.
    - `averaged`: for each layer, the number of units over which its published local loss is
      averaged. 1 for a sum.
    - `trainable`: the layers that learn, or `None` for all.
    """

    dataset: str
    architecture: Architecture
    sizes: tuple[int, ...]
    averaged: tuple[int, ...]
    trainable: tuple[int, ...] | None = None


def _dense(dataset: str, hidden: tuple[int, ...], trainable: tuple[int, ...] | None = None) -> _Task:
    return _Task(dataset, MLP(hidden), hidden, (1,) * (len(hidden) + 1), trainable)


POOLED = (32 * 16 * 16, 64 * 8 * 8)

TASKS = {
    "mnist": _dense("mnist", (256,) * 5),
    "frozen-mnist": _dense("mnist", (256,) * 5, trainable=(1,)),
    "fashion-mnist": _dense("fashion-mnist", (256,) * 5),
    "cifar10": _dense("cifar10", (1024,) * 3),
    "cifar10-cnn": _Task("cifar10", CNN(), (*POOLED, 512), (*POOLED, 1, 1)),
}


@functools.cache
def _published() -> dict[str, dict]:
    return read_json(beside(__name__, "recipes.json"))["recipes"]


@dataclasses.dataclass(frozen=True)
class AngleSettings:
    """How the angle figures compare the updates of a configuration with others during training.

    - `every`: steps between two comparisons.
    - `dampings`: the damping of the Gauss-Newton targets for each hidden layer. `None` for
      backpropagation, for which the paper gives no damping.
    """

    every: int
    dampings: tuple[float, ...] | None


@final
class TheoreticalFrameworkRecipes(RecipeSource):
    """The published configurations, as `DATASET/METHOD` and `DATASET/METHOD/..`."""

    def published(self) -> dict[str, dict]:
        """The published values by name, for example `mnist/ddtp-linear`.

        Entries that end in `/train-loss` belong to Table 2. Those that end in `/alignment` belong
        to the angle figures and Table S7.
        """
        return _published()

    def configurations(self) -> tuple[str, ...]:
        return tuple(name for name in _published() if name.split("/")[0] in TASKS and name.split("/")[1] in _METHODS)

    def angles(self, name: str) -> AngleSettings:
        """The settings of the angle figures for a name such as `mnist/ddtp-linear/alignment`."""
        row = _published()[name]
        return AngleSettings(row["angles_every"], tuple(row["gn_dampings"]) if "gn_dampings" in row else None)

    def build(self, name: str) -> Recipe:
        self.check_name(name)
        row = _published()[name]
        place, key = name.split("/")[:2]
        task, method = TASKS[place], _METHODS[key]
        scale, stepsize = method.feedback_scale(row), row["target_stepsize"]
        return Recipe(
            rule=method.rule(row, scale),
            dataset=task.dataset,
            architecture=task.architecture,
            stepsize=stepsize * method.stepsize_scale,
            optimizer=_optimizer(row, [method.epsilon_scale(averaged) for averaged in task.averaged]),
            feedback_optimizer=_feedback_optimizer(row, [scale * size for size in task.sizes]),
            schedule=Schedule(row["epochs"], row["epochs_fb"], row["extra_fb_epochs"]),
            batch_size=BATCH,
            validation=None if row["validation"] else 0,
            trainable=task.trainable,
        )


RECIPES = TheoreticalFrameworkRecipes()


def _optimizer(row: dict, scales: Sequence[float]) -> Optimizer:
    rates, epsilons = (_per_layer(row[name], len(scales)) for name in ("lr", "epsilon"))
    return _joined(
        [
            Adam(rate / row["target_stepsize"], row["beta1"], row["beta2"], epsilon * scale)
            for rate, epsilon, scale in zip(rates, epsilons, scales, strict=True)
        ]
    )


def _feedback_optimizer(row: dict, scales: Sequence[float]) -> Optimizer:
    if "lr_fb" not in row:
        return Adam()
    return _joined([Adam(row["lr_fb"], row["beta1_fb"], row["beta2_fb"], row["epsilon_fb"] * scale) for scale in scales])


def _per_layer(value: float | list[float], layers: int) -> list[float]:
    return value if isinstance(value, list) else [value] * layers


def _joined(optimizers: list[Adam]) -> Optimizer:
    """One optimizer for all layers if they are the same for all layers."""
    return optimizers[0] if all(one == optimizers[0] for one in optimizers) else PerLayer(tuple(optimizers))


def _learning(rule: Callable[..., Rule], **values: str) -> Callable[[dict, float], Rule]:
    """The rule with the noise and the weight decay of a row.

    `values` are further fields of the rule, each with the entry of the row that it has.
    """

    def create(row: dict, scale: float) -> Rule:
        more = {field: row[entry] for field, entry in values.items()}
        return rule(sigma=row["sigma"], regularizer=WeightDecayPerUnit(row["feedback_wd"] * scale / 2), **more)

    return create


@dataclasses.dataclass(frozen=True)
class _Method:
    """How the rows of a method are read.

    - `rule`: makes the rule from a row and from `feedback_scale`.
    - `stepsize_scale`: the factor of the output stepsize.
    - `epsilon_scale`: the factor of Adam's epsilon, for a layer whose local loss is averaged over
      the given number of units.
    - `feedback_scale`: the factor of our feedback gradients, without the factor `n`.
    """

    rule: Callable[[dict, float], Rule]
    stepsize_scale: float = 1.0
    epsilon_scale: Callable[[int], float] = lambda averaged: averaged * BATCH / 2
    feedback_scale: Callable[[dict], float] = lambda row: 1.0


def _nonlinear(rule: Callable[[dict, float], Rule], feedback_scale: Callable[[dict], float] = lambda row: 1.0) -> _Method:
    return _Method(rule, 1 / BATCH, lambda averaged: averaged / 2, feedback_scale)


def _layerwise_scale(row: dict) -> float:
    return max(row["sigma"], 0.02) ** 2


_RHL = _nonlinear(_learning(ddtp_rhl, width="size_hidden_fb"))
_RHL_REC = _nonlinear(_learning(ddtp_rhl_rec, width="size_hidden_fb"))
_DTP = _nonlinear(_learning(dtp), _layerwise_scale)

_METHODS = {
    "bp": _Method(lambda row, scale: Backprop(), epsilon_scale=lambda averaged: 1.0),
    "dfa": _Method(lambda row, scale: dfa()),
    "dtp": _DTP,
    "dtp-pretrained": _DTP,
    "dtpdrl": _nonlinear(_learning(dtpdrl)),
    "ddtp-linear": _Method(_learning(ddtp_linear)),
    "ddtp-control": _Method(_learning(ddtp_control)),
    "ddtp-rhl": _RHL,
    "ddtp-rhl-extra": _RHL,
    "ddtp-rhl-rec": _RHL_REC,
    "ddtp-rhl-rec-extra": _RHL_REC,
}
