"""Calls that the library must refuse: functions with arguments that they cannot take."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

import targetprop as tp
from targetprop.data import StudentTeacherTask, TeacherTask
from targetprop.rules import minibatch_step

KEY = jax.random.key(0)
X, Y = np.zeros((8, 4), np.float32), np.arange(8, dtype=np.int32) % 3
SET = tp.Dataset("small", X, Y, X, Y, (4,), 3)
TARGETS = np.zeros((8, 3), np.float32)
REGRESSION = tp.Dataset("regression", X, TARGETS, X, TARGETS, (4,), None)


class Small:
    """A small network with its feedback, made when it is needed."""

    def __getattr__(self, name: str) -> Any:
        network = tp.mlp((4, 3, 3), key=KEY)
        values = {
            "network": network,
            "feedback": tp.dtp().init(network, key=KEY),
            "recipe": tp.Recipe(tp.Backprop(), architecture=tp.MLP((3,)), batch_size=4, schedule=tp.Schedule(1)),
        }
        vars(self).update(values)
        return values[name]


small = Small()


def dataset(**changes: Any) -> tp.Dataset:
    """The small data set with some fields changed."""
    return tp.Dataset(
        **{"name": "s", "train_x": X, "train_y": Y, "test_x": X, "test_y": Y, "shape": (4,), "classes": 3} | changes
    )


def functions(folder: Path) -> Iterator[tuple[str, str, Any]]:
    """Name, argument, and the call. `folder` is an empty folder."""
    yield from _networks()
    yield from _data()
    yield from _steps()


def _networks():
    for sizes in ((6, -1, 3), (6, 0), (6,), (), 5, "643", (6, 2.5), (6, "3"), (4, 2**40), None, ((6, 3), 2)):
        yield f"mlp({sizes})", "sizes", lambda s=sizes: tp.mlp(s, key=KEY)
        yield f"invertible_mlp({sizes})", "sizes", lambda s=sizes: tp.invertible_mlp(s, tp.Tanh(), key=KEY)
    for activation in ("tanh", jnp.tanh, tp.Tanh, 3, (tp.Tanh(),), (tp.Tanh(), "x")):
        yield f"mlp(activation={activation})", "activation", lambda a=activation: tp.mlp((4, 3, 2), a, key=KEY)
    for initializer in ("xavier", 3, [None], [jax.nn.initializers.zeros]):
        yield (
            f"mlp(initializer={initializer})",
            "initializer",
            lambda i=initializer: tp.mlp((4, 3, 2), initializer=i, key=KEY),
        )
    for key in (0, None, "key", jnp.zeros(3), np.uint32(3)):
        yield f"mlp(key={key!r})", "key", lambda k=key: tp.mlp((4, 3), key=k)
    for dtype in ("int32", 7, jnp.int32):
        yield f"mlp(dtype={dtype})", "dtype", lambda d=dtype: tp.mlp((4, 3), key=KEY, dtype=d)
    yield "mlp(bias)", "bias", lambda: tp.mlp((4, 3), bias="yes", key=KEY)
    yield "invertible_mlp(activation)", "activation", lambda: tp.invertible_mlp((4, 3), "tanh", key=KEY)
    weight, bias = jnp.ones((3, 4)), jnp.zeros(3)
    for name, args in {
        "weight ints": (jnp.ones((3, 4), int), bias, tp.Tanh()),
        "weight numpy ints": (np.ones((3, 4), int), bias, tp.Tanh()),
        "weight list": ([[1.0]], None, tp.Tanh()),
        "weight vector": (bias, bias, tp.Tanh()),
        "weight string": ("w", bias, tp.Tanh()),
        "weight complex": (weight * 1j, bias, tp.Tanh()),
        "bias length": (weight, jnp.zeros(4), tp.Tanh()),
        "bias matrix": (weight, jnp.zeros((3, 1)), tp.Tanh()),
        "bias number": (weight, 0.0, tp.Tanh()),
        "bias ints": (weight, jnp.zeros(3, int), tp.Tanh()),
        "activation function": (weight, bias, jnp.tanh),
        "activation class": (weight, bias, tp.Tanh),
        "activation none": (weight, bias, None),
    }.items():
        yield f"Dense({name})", name.split()[0], lambda a=args: tp.Dense(*a)
    kernels = jnp.ones((2, 1, 3, 3))
    for name, args in {
        "weight matrix": (weight, bias, tp.Tanh()),
        "weight ints": (kernels.astype(int), jnp.zeros(2), tp.Tanh()),
        "weight even": (jnp.ones((2, 1, 4, 4)), jnp.zeros(2), tp.Tanh()),
        "bias length": (kernels, jnp.zeros(3), tp.Tanh()),
        "activation function": (kernels, jnp.zeros(2), jnp.tanh),
    }.items():
        yield f"ConvPool({name})", name.split()[0], lambda a=args: tp.ConvPool(*a)
    dense = tp.Dense(weight, bias, tp.Tanh())
    for name, args in {
        "layers empty": ([], 4),
        "layers one": (dense, 4),
        "layers none": (None, 4),
        "layers numbers": ([3], 4),
        "layers matrix": ([weight], 4),
        "layers strings": (["dense"], 4),
        "input_shape negative": ([dense], (2, -2, -1)),
        "input_shape zero": ([dense], 0),
        "input_shape float": ([dense], 4.0),
        "input_shape string": ([dense], "4"),
        "input_shape none": ([dense], None),
        "inputs": ([dense], 5),
    }.items():
        yield f"Network({name})", name.split()[0], lambda a=args: tp.Network(*a)
    yield "Network call shape", "shape", lambda: small.network(jnp.zeros((2, 5)))
    yield "Network call list", "inputs", lambda: small.network([1.0])
    yield "Network trace list", "inputs", lambda: small.network.trace([[1.0] * 4])
    yield "Network trace number", "inputs", lambda: small.network.trace(3.0)
    yield "Network trace no batch", "inputs", lambda: small.network.trace(jnp.zeros(4))
    for name, args in {"module": (3,), "then": (jnp.sin, "tanh"), "before": (jnp.sin, (), 3)}.items():
        yield f"PerSample({name})", name, lambda a=args: tp.PerSample(*a)
    for model in (None, 3, "mlp", small.network, []):
        yield f"from_equinox({type(model).__name__})", "model", lambda m=model: tp.from_equinox(m, 4)
    yield "to_equinox(network)", "network", lambda: tp.to_equinox(3, 3)
    yield "to_equinox(model)", "model", lambda: tp.to_equinox(small.network, 3)
    for name, value in {
        "activation": jnp.tanh,
        "uncertainty": 3,
        "inputs": (1.0, 2.0),
        "slope": "1",
    }.items():
        yield f"neuron_uncertainty({name})", name, lambda n=name, v=value: tp.neuron_uncertainty(**{n: v})
    for slope in (0.0, math.nan, math.inf):
        yield f"neuron_uncertainty(slope={slope})", "slope", lambda s=slope: tp.neuron_uncertainty(slope=s)
    yield "neuron_uncertainty(relu)", "slope", lambda: tp.neuron_uncertainty(tp.ReLU(), slope=0)
    yield "Uncertainty density", "density", lambda: tp.neuron_uncertainty(uncertainty=tp.Uncertainty(lambda y: y * 7))
    yield "Moments", "variance", lambda: tp.neuron_uncertainty(inputs=tp.Moments(0.0, -1.0))


def _data():
    for name, changes in {
        "shape": [(2, -3, -1), (0,), (4.0,), 4, "4", (5,), (-4,), None],
        "train_x": [[[0.0]], X.astype(float), X[:, :3], X[:0], X * math.nan, np.zeros(4, np.float32), None],
        "train_y": [Y.astype(float), Y[:3], Y + 3, Y - 1, None, Y[:, None]],
        "test_x": [X[:3], X.astype(int), X * math.inf],
        "test_y": [Y.astype(np.int64), Y[:3]],
        "classes": [0, -1, 2.5, "3", True],
        "validation": [1.5, "1", 9, math.nan],
        "name": [3, None, ""],
        "labels": [("a",), "ab", 3],
    }.items():
        for value in changes:
            text = getattr(value, "shape", value)
            yield f"Dataset({name}={text})", name, lambda n=name, v=value: dataset(**{n: v})
    masked = np.ma.masked_array(X, mask=X == 0)
    for name, (x, y, options) in {
        "x masked": (masked, Y, {}),
        "y masked": (X, np.ma.masked_array(Y, mask=Y == 0), {"classify": True}),
        "x strings": ([["a"]] * 8, Y, {}),
        "x none": (None, Y, {}),
        "x complex": (X * 1j, Y, {}),
        "x empty": (X[:0], Y[:0], {}),
        "x infinite": (X + math.inf, Y, {}),
        "x ragged": ([[1.0], [1.0, 2.0]], [0, 1], {}),
        "y length": (X, Y[:3], {}),
        "y nan": (X, Y * math.nan, {"classify": False}),
        "test one": (X, Y, {"test": X}),
        "test shape": (X, Y, {"test": (X[:, :2], Y)}),
        "test_size share": (X, Y, {"test_size": 1.5}),
        "test_size negative": (X, Y, {"test_size": -1}),
        "test_size string": (X, Y, {"test_size": "a"}),
        "test_size nan": (X, Y, {"test_size": math.nan}),
        "validation": (X, Y, {"validation": 100}),
        "validation float": (X, Y, {"validation": 1.5}),
        "seed": (X, Y, {"seed": 1.5}),
        "seed negative": (X, Y, {"seed": -1}),
        "channels": (X, Y, {"channels": "middle"}),
        "classify": (X, Y, {"classify": "yes"}),
        "name": (X, Y, {"name": 3}),
        "colour": (X, Y, {"colour": 3}),
    }.items():
        yield f"from_arrays({name})", name.split()[0], lambda x=x, y=y, o=options: tp.Dataset.from_arrays(x, y, **o)
    for name in (3, None, ["digits"], Path("digits")):
        yield f"load({name!r})", "name", lambda n=name: tp.load(n)
    yield "load(digits, seed)", "seed", lambda: tp.load("digits", seed=3)
    for task in (TeacherTask, StudentTeacherTask):
        for name, values in {
            "sizes": [(6,), (6, 0), (6, 2.5), "66", 6],
            "train": [0, 2.5, "10", 10**18],
            "test": [-1, 10**15],
            "seed": [-1, 0.5],
        }.items():
            for value in values:
                yield f"{task.__name__}({name}={value!r})", name, lambda t=task, n=name, v=value: t(**{n: v})


def _steps():
    loss, rule = tp.SoftmaxCrossEntropy(), tp.Backprop()
    for bad in ("dtp", tp.Backprop, tp.dtp, None, 3):
        yield f"value_and_grad(rule={bad})", "rule", lambda b=bad: tp.value_and_grad(b, loss)
        yield f"trained_parameters(rule={bad})", "rule", lambda b=bad: tp.trained_parameters(b, small.network, None)
        example = tp.Example(loss, X, Y)
        yield f"assign(rule={bad})", "rule", lambda b=bad, e=example: tp.assign(b, small.network, None, e)
        yield f"minibatch_step(rule={bad})", "rule", lambda b=bad, e=example: minibatch_step(b, small.network, None, e)
    for bad in ("mse", tp.SquaredError, None, 3):
        yield f"value_and_grad(loss={bad})", "loss", lambda b=bad: tp.value_and_grad(rule, b)
        yield f"assign(loss={bad})", "loss", lambda b=bad: tp.assign(rule, small.network, None, tp.Example(b, X, Y))
    for bad in (-1.0, math.nan, math.inf, "1", None, 1j, np.array([-1.0])):
        yield f"value_and_grad(stepsize={bad})", "stepsize", lambda b=bad: tp.value_and_grad(rule, loss, stepsize=b)
        yield (
            f"minibatch_step(stepsize={bad})",
            "stepsize",
            lambda b=bad: minibatch_step(rule, small.network, None, tp.Example(loss, X, Y, b)),
        )
    for bad in ((0,), (1, 1), (), (3,), (1.0,), 1, "1"):
        yield (
            f"value_and_grad(trainable={bad})",
            "trainable",
            lambda b=bad: tp.value_and_grad(rule, loss, trainable=b)(small.network, None, X, Y),
        )
        yield (
            f"trained_parameters(trainable={bad})",
            "trainable",
            lambda b=bad: tp.trained_parameters(rule, small.network, None, b),
        )
        yield (
            f"init_state(trainable={bad})",
            "trainable",
            lambda b=bad: tp.init_state(small.recipe.replace(trainable=b), small.network),
        )
    yield "value_and_grad(penalty)", "penalty", lambda: tp.value_and_grad(rule, loss, penalty=0.1)
    gradients = tp.value_and_grad(tp.dtp(), loss)
    good = (small.network, small.feedback, X, Y)
    for name, args, key in (
        ("network", ("net", *good[1:]), KEY),
        ("network", (None, *good[1:]), KEY),
        ("inputs", (*good[:2], X[:, :3], Y), KEY),
        ("inputs", (*good[:2], None, Y), KEY),
        ("inputs", (*good[:2], X.tolist(), Y), KEY),
        ("target", (*good[:2], X, Y[:3]), KEY),
        ("target", (*good[:2], X, None), KEY),
        ("target", (*good[:2], X, Y.tolist()), KEY),
        ("key", good, None),
        ("key", good, 0),
        ("key", good, "key"),
    ):
        yield f"value_and_grad()({name}) {args[2:]} {key}"[:60], name, lambda a=args, k=key: gradients(*a, key=k)
    squared = tp.SquaredError()
    for shape in ((8, 1), (1, 3), (3,), (8, 4), (8,), ()):
        target = np.zeros(shape, np.float32)
        yield (
            f"SquaredError target {shape}",
            "target",
            lambda t=target: tp.value_and_grad(rule, squared)(small.network, None, X, t),
        )
        yield (
            f"output_update target {shape}",
            "target",
            lambda t=target: tp.output_update(squared, jnp.zeros((8, 3)), t, 1.0),
        )
        yield (
            f"minibatch_step target {shape}",
            "target",
            lambda t=target: minibatch_step(rule, small.network, None, tp.Example(squared, X, t)),
        )
    yield (
        "minibatch_step(feedback)",
        "feedback",
        lambda: minibatch_step(tp.dtp(), small.network, None, tp.Example(loss, X, Y)),
    )
    yield (
        "minibatch_step(noise)",
        "noise",
        lambda: minibatch_step(tp.dtp(), small.network, small.feedback, tp.Example(loss, X, Y, noise=3)),
    )
    yield "minibatch_step(example)", "example", lambda: minibatch_step(rule, small.network, None, (X, Y))
    yield "assign(example)", "example", lambda: tp.assign(rule, small.network, None, (X, Y))
    yield "assign(network)", "network", lambda: tp.assign(rule, None, None, tp.Example(loss, X, Y))
    for bad in ("dtp", None, tp.Backprop()):
        yield f"init_state(recipe={bad})", "recipe", lambda b=bad: tp.init_state(b, small.network)
    for bad in (None, "net", tp.MLP()):
        yield f"init_state(network={bad})", "network", lambda b=bad: tp.init_state(small.recipe, b)
    for bad in (-1, 1.5, "0", 2**32, None, True):
        yield f"init_state(seed={bad})", "seed", lambda b=bad: tp.init_state(small.recipe, small.network, seed=b)
    yield "step(state)", "state", lambda: tp.step(None, (X, Y))
    yield "step(batch)", "batch", lambda: tp.take_step(tp.init_state(small.recipe, small.network), X)
    yield "mask_updates(mask)", "mask", lambda: tp.mask_updates("one", small.network, KEY)
    yield "local_gradients(network)", "network", lambda: tp.local_gradients(None, None, ())
    yield "local_gradients(updates)", "updates", lambda: tp.local_gradients(small.network, small.network.trace(X), ())
    for name, args in {
        "network": (None, X, TARGETS, tp.Tikhonov()),
        "output_error": (small.network, X, TARGETS[:3], tp.Tikhonov()),
        "output_error list": (small.network, X, [1.0], tp.Tikhonov()),
        "solver": (small.network, X, TARGETS, "lu"),
        "inputs": (small.network, X[:, :2], TARGETS, tp.Tikhonov()),
    }.items():
        yield f"gauss_newton_update({name})", name.split()[0], lambda a=args: tp.gauss_newton_update(*a)
    yield "OptaxOptimizer(numbers)", "numbers", lambda: tp.OptaxOptimizer(optax.sgd(0.1), 3)
