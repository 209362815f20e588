"""What each rule costs: time per joint step against a hand-written jitted backpropagation step, in one interleaved run."""

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

from .losses import ErrorRate, SoftmaxCrossEntropy
from .network import Dense, mlp
from .precision import precision
from .rules import GENERAL, RULES
from .train.loggers import ProgressBar
from .train.optimizers import Adam
from .train.program import step
from .train.state import Hyperparameters, Task, initial_state


@dataclasses.dataclass(frozen=True)
class Cost:
    """Milliseconds per joint step, its ratio to the hand-written step (medians over rounds), seconds to compile, and the
    memory of temporaries in MiB."""

    rule: str
    ms: float
    ratio_to_bp: float
    compile_seconds: float
    temporary_mib: float


Program = Callable[[Any, Array], Any]


def measure(
    sizes: Sequence[int] = (784, 256, 256, 256, 256, 256, 10),
    batch: int = 128,
    dtype: str = "float32",
    rules: Sequence[str] = GENERAL,
    *,
    rounds: int = 20,
    steps: int = 25,
    progress: bool = True,
) -> list[Cost]:
    """Time every rule on a tanh network with softmax cross-entropy. The first entry is the hand-written step.

    In each of `rounds` rounds every program runs `steps` steps, one after the other, so that a slow moment of the machine
    meets all of them; the ratio is the median over rounds of the ratio within a round.
    """
    with precision(dtype):
        key = jax.random.key(0)
        x = jax.random.normal(key, (batch, sizes[0]), dtype)
        y = jax.random.randint(key, (batch,), 0, sizes[-1])
        programs = {"hand-written bp": _hand_written(sizes, x, y)}
        programs |= {name: _rule_program(name, sizes, x, y) for name in rules}
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


def _rule_program(name: str, sizes: Sequence[int], x: Array, y: Array) -> tuple[Program, Any]:
    rule = RULES[name]()
    hyperparameters = Hyperparameters(rule, 0.1, Adam(), Adam())
    network = mlp(sizes, key=jax.random.key(0), dtype=x.dtype)
    task = Task(SoftmaxCrossEntropy(), ErrorRate(), x.shape[0])

    def program(state, steps):
        dynamic, static = eqx.partition(state, eqx.is_array)

        def body(i, dynamic):
            key = jax.random.fold_in(jax.random.key(1), i)
            after = step(task, hyperparameters, eqx.combine(dynamic, static), x, y, key, joint=True)
            return eqx.filter(after, eqx.is_array)

        return eqx.combine(lax.fori_loop(0, steps, body, dynamic), static)

    return program, initial_state(network, hyperparameters, jnp.uint32(0))


def _hand_written(sizes: Sequence[int], x: Array, y: Array) -> tuple[Program, Any]:
    layers = mlp(sizes, key=jax.random.key(0), dtype=x.dtype).layers
    weights: Any = [(layer.weight, layer.bias) for layer in layers if isinstance(layer, Dense)]
    adam = optax.adam(1e-3)

    def loss(weights):
        h = x
        for weight, bias in weights[:-1]:
            h = jnp.tanh(h @ weight.T + bias)
        weight, bias = weights[-1]
        return optax.softmax_cross_entropy_with_integer_labels(h @ weight.T + bias, y).mean()

    def program(state, steps):
        def body(_, state):
            weights, moments = state
            updates, moments = adam.update(jax.grad(loss)(weights), moments)
            return optax.apply_updates(weights, updates), moments

        return lax.fori_loop(0, steps, body, state)

    return program, (weights, adam.init(weights))
