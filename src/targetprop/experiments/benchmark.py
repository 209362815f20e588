"""What each rule costs: the time per joint step, beside a hand-written step of backpropagation."""

import abc
import dataclasses
import functools
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any, final

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jax import lax
from jaxtyping import Array

from ..dynamics.equilibria import Integration
from ..errors import ConfigError, check_positive
from ..losses import ErrorRate, LossOnFirstUnits, ScoreOnFirstUnits, SoftmaxCrossEntropy, SquaredError
from ..networks.activations import LeakyReLU
from ..networks.initializers import orthogonal
from ..networks.invertible import DenseOnFirstUnits, invertible_mlp
from ..networks.layers import Dense, parameters, split_parameters
from ..networks.network import Network, mlp
from ..rules import GENERAL, RULES, Backprop, Rule, TwoPhase
from ..training.bars import ProgressBar
from ..training.optimizers import Adam
from ..training.penalties import OrthogonalityPenalty, Penalty
from ..training.precision import precision
from ..training.state import Hyperparameters, Task, initial_parts
from ..training.step import State, take_step, value_and_grad


@dataclasses.dataclass(frozen=True)
class Cost:
    """What one rule costs.

    - `rule`: its name.
    - `ms`: milliseconds per joint step, the median over rounds.
    - `ratio_to_bp`: its ratio to the hand-written step, the median over rounds.
    - `compile_seconds`: the time to compile.
    - `temporary_mib`: the memory of temporary arrays in MiB.
    """

    rule: str
    ms: float
    ratio_to_bp: float
    compile_seconds: float
    temporary_mib: float


RATE = 1e-4
Program = Callable[[Any, Array], Any]


class Setting(abc.ABC):
    """What is trained in a benchmark.

    **Arguments:**

    - `sizes`: widths of the layers, input and output included, three or more.
    - `batch`: the number of samples in a minibatch.
    - `penalty`: a penalty on the weights, or `None`.
    - `rules`: the names of the rules that can be measured in it.

    **Raises:** `ConfigError` for invalid values.
    """

    sizes: Sequence[int]
    batch: int
    penalty: Penalty | None
    rules: Sequence[str]

    def __post_init__(self):
        check_positive(self, "batch")
        if len(self.sizes) < 3 or min(self.sizes) < 1:
            name, widths = type(self).__name__, " ".join(map(str, self.sizes))
            raise ConfigError(f"{name} takes no sizes = {widths}: give 3 or more widths of 1 or more.")

    @abc.abstractmethod
    def network(self, dtype: Any) -> Network:
        """A network of the given `sizes`."""

    @abc.abstractmethod
    def task(self) -> Task:
        """What it learns. Labels are below `classes`."""

    @property
    @abc.abstractmethod
    def classes(self) -> int:
        """The number of classes."""


@final
@dataclasses.dataclass(frozen=True)
class TanhMLP(Setting):
    """A tanh network with softmax cross-entropy."""

    sizes: Sequence[int] = (784, 256, 256, 256, 256, 256, 10)
    batch: int = 128
    penalty: Penalty | None = None
    rules: Sequence[str] = GENERAL

    def network(self, dtype):
        return mlp(self.sizes, key=jax.random.key(0), dtype=dtype)

    def task(self):
        return Task(SoftmaxCrossEntropy(), ErrorRate(), self.batch)

    @property
    def classes(self):
        return self.sizes[-1]


@final
@dataclasses.dataclass(frozen=True)
class InvertibleMLP(Setting):
    """The network of GAIT-prop: leaky ReLU, orthogonal weights, and the orthogonality penalty.

    The loss is the squared error of the first ten outputs.

    Source: Ahmad, van Gerven and Ambrogioni 2020.
    """

    sizes: Sequence[int] = (784,) * 6
    batch: int = 60
    penalty: Penalty | None = OrthogonalityPenalty()
    rules: Sequence[str] = tuple(RULES)

    def network(self, dtype):
        return invertible_mlp(self.sizes, LeakyReLU(0.1), initializer=orthogonal(), key=jax.random.key(0), dtype=dtype)

    def task(self):
        loss, score = LossOnFirstUnits(SquaredError(), self.classes), ScoreOnFirstUnits(ErrorRate(), self.classes)
        return Task(loss, score, self.batch)

    @property
    def classes(self):
        return min(10, self.sizes[-1])


@final
@dataclasses.dataclass(frozen=True)
class Timing:
    """How often a step is timed.

    **Arguments:**

    - `rounds`: in each round every program runs once.
    - `steps`: the number of steps in a run.

    **Raises:** `ConfigError` for numbers below 1.
    """

    rounds: int = 20
    steps: int = 25

    def __post_init__(self):
        check_positive(self, "rounds", "steps")


def measure(
    setting: Setting | None = None,
    dtype: str = "float32",
    rules: Sequence[str] | None = None,
    *,
    timing: Timing | None = None,
    progress: bool = True,
) -> list[Cost]:
    """Time the steps of rules and of hand-written backpropagation.

    In each round all programs run one after the other, so that a slow moment of the machine
    affects all of them. The ratio to backpropagation is taken within each round.

    **Arguments:**

    - `setting`: what is trained. `None` is `TanhMLP()`.
    - `dtype`: the floating-point type, `float32` or `float64`.
    - `rules`: names of rules, or of `VARIANTS`. `None` is all rules of the setting.
    - `timing`: how often each step is timed. `None` is `Timing()`.
    - `progress`: whether a bar is shown on standard error.

    **Returns:** what each program costs. The first entry is the hand-written step.
    """
    setting, timing = setting or TanhMLP(), timing or Timing()
    with precision(dtype):
        key = jax.random.key(0)
        x = jax.random.normal(key, (setting.batch, setting.sizes[0]), dtype)
        y = jax.random.randint(key, (setting.batch,), 0, setting.classes)
        programs = {"hand-written bp": _hand_written(setting, x, y)}
        for name in rules or setting.rules:
            make = VARIANTS.get(name) or functools.partial(_rule_program, RULES[name]())
            programs[name] = make(setting, x, y)
        compiled = {name: _compile(program, state) for name, (program, state) in programs.items()}
        times: dict[str, list[float]] = {name: [] for name in programs}
        with ProgressBar("benchmark", timing.rounds * len(programs), shown=progress) as bar:
            for _ in range(timing.rounds):
                for name, (_, state) in programs.items():
                    began = time.perf_counter()
                    jax.block_until_ready(compiled[name][0](state, timing.steps))
                    times[name].append((time.perf_counter() - began) / timing.steps * 1000)
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
    """The compiled program, the seconds to compile it, and the MiB of its temporary arrays."""
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


def _rule_program(rule: Rule, setting: Setting, x: Array, y: Array) -> tuple[Program, Any]:
    hyperparameters = Hyperparameters(rule, 0.1, Adam(RATE), Adam(), setting.penalty)
    network, task = setting.network(x.dtype), setting.task()

    def program(state, steps):
        dynamic, static = eqx.partition(state, eqx.is_array)

        def body(_, dynamic):
            after, _ = take_step(eqx.combine(dynamic, static), (x, y))
            return eqx.filter(after, eqx.is_array)

        return eqx.combine(lax.fori_loop(0, steps, body, dynamic), static)

    parts, numbers = initial_parts(network, hyperparameters, jnp.uint32(0))._asdict(), hyperparameters
    count, key = jnp.zeros((), jnp.int32), jax.random.key(1)
    return program, State(**parts, count=count, key=key, hyperparameters=numbers, objective=task.objective)


def _own_loop(setting: Setting, x: Array, y: Array) -> tuple[Program, Any]:
    """Backpropagation by `value_and_grad`, in a loop of one's own."""
    network, rule, adam = setting.network(x.dtype), Backprop(), optax.adam(RATE)
    gradients = value_and_grad(rule, setting.task().loss, penalty=setting.penalty)

    def program(state, steps):
        _, rest = split_parameters(network)

        def body(_, state):
            trained, moments = state
            _, grads = gradients(eqx.combine(trained, rest), None, x, y)
            updates, moments = adam.update(grads.network, moments)
            return eqx.apply_updates(trained, updates), moments

        return lax.fori_loop(0, steps, body, state)

    trained = parameters(network)
    return program, (trained, adam.init(trained))


# measured only where they are asked for by name
VARIANTS: dict[str, Callable[[Setting, Array, Array], tuple[Program, Any]]] = {
    "bp-own-loop": _own_loop,
    "two-phase-integrated": lambda *task: _rule_program(TwoPhase(solver=Integration()), *task),
}


def _hand_written(setting: Setting, x: Array, y: Array) -> tuple[Program, Any]:
    denses = [layer.dense if isinstance(layer, DenseOnFirstUnits) else layer for layer in setting.network(x.dtype).layers]
    weights: Any = [(dense.weight, dense.bias) for dense in denses if isinstance(dense, Dense)]
    activations = [dense.activation for dense in denses if isinstance(dense, Dense)]
    adam, output_loss = optax.adam(RATE), setting.task().loss

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
