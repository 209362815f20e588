"""What each rule costs: time per joint step against a hand-written jitted backpropagation step, in one interleaved run."""

import abc
import dataclasses
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jax import lax
from jaxtyping import Array

from ..dynamics.equilibria import Integration
from ..errors import ConfigError
from ..losses import ErrorRate, LeadingLoss, LeadingScore, SoftmaxCrossEntropy, SquaredError
from ..networks.activations import LeakyReLU
from ..networks.initializers import orthogonal
from ..networks.invertible import Leading, invertible_mlp
from ..networks.layers import Dense
from ..networks.network import Network, mlp
from ..rules import GENERAL, RULES, Rule, TwoPhase
from ..training.loggers import ProgressBar
from ..training.optimizers import Adam
from ..training.penalties import OrthogonalityPenalty, Penalty
from ..training.precision import precision
from ..training.program import step
from ..training.state import Hyperparameters, Task, initial_state


@dataclasses.dataclass(frozen=True)
class Cost:
    """Milliseconds per joint step, its ratio to the hand-written step (medians over rounds), seconds to compile, and the
    memory of temporaries in MiB."""

    rule: str
    ms: float
    ratio_to_bp: float
    compile_seconds: float
    temporary_mib: float


RATE = 1e-4
VARIANTS: dict[str, Callable[[], Rule]] = {"two-phase-integrated": lambda: TwoPhase(solver=Integration())}
"""Measured only where they are named."""
Program = Callable[[Any, Array], Any]


class Setting(abc.ABC):
    """What is trained in a benchmark. Raises `ConfigError` for `sizes` without a hidden layer, or below 1."""

    sizes: Sequence[int]
    penalty: Penalty | None
    rules: Sequence[str]
    """The rules that can be measured in it."""

    def __post_init__(self):
        if len(self.sizes) < 3 or min(self.sizes) < 1:
            widths = " ".join(map(str, self.sizes))
            raise ConfigError(f"`sizes` {widths} has no hidden layer: give 3 or more widths of 1 or more.")

    @abc.abstractmethod
    def network(self, dtype: Any) -> Network:
        """A network of the given `sizes`."""

    @abc.abstractmethod
    def task(self, batch: int) -> Task:
        """What it learns; labels are below `classes`."""

    @property
    @abc.abstractmethod
    def classes(self) -> int:
        """The number of classes."""


@dataclasses.dataclass(frozen=True)
class TanhMLP(Setting):
    """A tanh network with softmax cross-entropy."""

    sizes: Sequence[int] = (784, 256, 256, 256, 256, 256, 10)
    penalty: Penalty | None = None
    rules: Sequence[str] = GENERAL

    def network(self, dtype):
        return mlp(self.sizes, key=jax.random.key(0), dtype=dtype)

    def task(self, batch):
        return Task(SoftmaxCrossEntropy(), ErrorRate(), batch)

    @property
    def classes(self):
        return self.sizes[-1]


@dataclasses.dataclass(frozen=True)
class InvertibleMLP(Setting):
    """The network of Ahmad, van Gerven and Ambrogioni (2020): leaky ReLU, orthogonal weights, squared error of the first ten
    outputs, the orthogonality penalty."""

    sizes: Sequence[int] = (784,) * 6
    penalty: Penalty | None = OrthogonalityPenalty()
    rules: Sequence[str] = tuple(RULES)

    def network(self, dtype):
        return invertible_mlp(self.sizes, LeakyReLU(0.1), initializer=orthogonal(), key=jax.random.key(0), dtype=dtype)

    def task(self, batch):
        return Task(LeadingLoss(SquaredError(), self.classes), LeadingScore(ErrorRate(), self.classes), batch)

    @property
    def classes(self):
        return min(10, self.sizes[-1])


def measure(
    setting: Setting | None = None,
    batch: int = 128,
    dtype: str = "float32",
    rules: Sequence[str] | None = None,
    *,
    rounds: int = 20,
    steps: int = 25,
    progress: bool = True,
) -> list[Cost]:
    """Time rules, all that the setting takes unless named, on `setting` (`TanhMLP()` unless given). The first entry is the
    hand-written step.

    In each of `rounds` rounds every program runs `steps` steps, one after the other, so that a slow moment of the machine
    meets all of them; the ratio is the median over rounds of the ratio within a round. Raises `ConfigError` for a batch, a
    number of rounds or of steps below 1.
    """
    for name, number in (("batch", batch), ("rounds", rounds), ("steps", steps)):
        if number < 1:
            raise ConfigError(f"`{name}` {number} leaves nothing to measure: use 1 or more.")
    setting = setting or TanhMLP()
    with precision(dtype):
        key = jax.random.key(0)
        x = jax.random.normal(key, (batch, setting.sizes[0]), dtype)
        y = jax.random.randint(key, (batch,), 0, setting.classes)
        programs = {"hand-written bp": _hand_written(setting, x, y)}
        programs |= {name: _rule_program(name, setting, x, y) for name in rules or setting.rules}
        compiled = {name: _compile(program, state) for name, (program, state) in programs.items()}
        times: dict[str, list[float]] = {name: [] for name in programs}
        with ProgressBar("benchmark", rounds * len(programs), shown=progress) as bar:
            for _ in range(rounds):
                for name, (_, state) in programs.items():
                    began = time.perf_counter()
                    jax.block_until_ready(compiled[name][0](state, steps))
                    times[name].append((time.perf_counter() - began) / steps * 1000)
                    bar.advance(1)
    reference = times["hand-written bp"]
    return [
        Cost(
            name,
            statistics.median(measured),
            statistics.median(ours / theirs for ours, theirs in zip(measured, reference, strict=True)),
            *compiled[name][1:],
        )
        for name, measured in times.items()
    ]


def _compile(program: Callable, state: Any) -> tuple[Callable, float, float]:
    """The compiled program, the seconds that took, and the MiB of its temporaries."""
    dynamic, static = eqx.partition(state, eqx.is_array)
    jitted = jax.jit(lambda dynamic, steps: eqx.filter(program(eqx.combine(dynamic, static), steps), eqx.is_array))
    began = time.perf_counter()
    compiled = jitted.lower(dynamic, jnp.int32(0)).compile()
    seconds = time.perf_counter() - began
    analysis = compiled.memory_analysis()
    temporaries = getattr(analysis, "temp_size_in_bytes", 0) / 2**20

    def run(state: Any, steps: int) -> Any:
        return compiled(eqx.filter(state, eqx.is_array), jnp.int32(steps))

    run(state, 2)
    return run, seconds, temporaries


def _rule_program(name: str, setting: Setting, x: Array, y: Array) -> tuple[Program, Any]:
    rule = (VARIANTS | RULES)[name]()
    hyperparameters = Hyperparameters(rule, 0.1, Adam(RATE), Adam(), setting.penalty)
    network, task = setting.network(x.dtype), setting.task(x.shape[0])

    def program(state, steps):
        dynamic, static = eqx.partition(state, eqx.is_array)

        def body(i, dynamic):
            key = jax.random.fold_in(jax.random.key(1), i)
            after = step(task, hyperparameters, eqx.combine(dynamic, static), x, y, key, joint=True)
            return eqx.filter(after, eqx.is_array)

        return eqx.combine(lax.fori_loop(0, steps, body, dynamic), static)

    return program, initial_state(network, hyperparameters, jnp.uint32(0))


def _hand_written(setting: Setting, x: Array, y: Array) -> tuple[Program, Any]:
    denses = [layer.dense if isinstance(layer, Leading) else layer for layer in setting.network(x.dtype).layers]
    weights: Any = [(dense.weight, dense.bias) for dense in denses if isinstance(dense, Dense)]
    activations = [dense.activation for dense in denses if isinstance(dense, Dense)]
    adam, output_loss = optax.adam(RATE), setting.task(x.shape[0]).loss

    def loss(weights):
        h, penalty = x, 0.0
        for (weight, bias), activation in zip(weights, activations, strict=True):
            h = activation(h[:, : weight.shape[1]] @ weight.T + bias)
            penalty += 0.0 if setting.penalty is None else setting.penalty.value(weight)
        return output_loss.value(h, y).mean() + penalty

    def program(state, steps):
        def body(_, state):
            weights, moments = state
            updates, moments = adam.update(jax.grad(loss)(weights), moments)
            return optax.apply_updates(weights, updates), moments

        return lax.fori_loop(0, steps, body, state)

    return program, (weights, adam.init(weights))
