# ruff: noqa: E731 (a table)
"""Calls that the library must refuse: runs, comparisons, searches and files."""

import math
from collections.abc import Iterator
from pathlib import Path

import targetprop as tp
from faults.api_calls_functions import REGRESSION, SET, X, Y, small
from targetprop.experiments import Range


def runs(folder: Path) -> Iterator[tuple]:
    """Name, argument, and the call. `folder` is an empty folder."""
    yield from _runs(folder)
    yield from _experiments(folder)
    yield from _files(folder)


def _runs(folder: Path):
    train = lambda **options: tp.train(
        options.pop("recipe", small.recipe), options.pop("data", SET), progress=False, **options
    )
    for bad in ("bp", tp.Backprop(), None, 3, [], [None], tp.Recipe):
        yield f"train(recipe={bad})"[:50], "recipe", lambda b=bad: train(recipe=b)
    for bad in ("digits", 3, X, (X, Y)):
        yield f"train(data={type(bad).__name__})", "data", lambda b=bad: train(data=b)
    for bad in (
        -1,
        0,
        1.5,
        "3",
        None,
        [],
        [1.5],
        [-1],
        [2**32],
        [1, 1],
        ["1"],
        10**9,
        10**12,
        True,
        math.nan,
    ):
        yield f"train(seeds={bad})", "seeds?", lambda b=bad: train(seeds=b)
    for bad in ("", 3, b"x", ["a"], "a\0b", "x" * 5000):
        yield f"train(out={bad!r})"[:40], "out", lambda b=bad: train(out=b)
    for bad in (0, -1, 1.5, "1", None, math.nan, True):
        yield f"train(checkpoint_every={bad})", "checkpoint_every", lambda b=bad: train(out=folder / "c", checkpoint_every=b)
    for bad in (3, "angle-bp", tp.Probe, [tp.Probe()]):
        yield f"train(probe={bad})"[:50], "probe", lambda b=bad: train(probe=b)
    for bad in (3, [3], tp.Callback(), [tp.Callback], "wandb"):
        yield f"train(callbacks={type(bad).__name__})", "callbacks", lambda b=bad: train(callbacks=b)
    for name in ("resume", "overwrite"):
        yield f"train({name}=str)", name, lambda n=name: train(out=folder / "r", **{n: "yes"})
        yield f"train({name}, no out)", "out", lambda n=name: train(**{n: True})
    yield "train(resume, overwrite)", "resume", lambda: train(out=folder / "r", resume=True, overwrite=True)
    for field, value in (
        ("stepsize", 1e-50),
        ("stepsize", 1e39),
        ("optimizer", tp.Adam(1e-50)),
        ("optimizer", tp.Adam(eps=1e39)),
        ("optimizer", tp.Adam(jnp.array(-1.0)) if False else tp.SGD(1e39)),
        ("feedback_optimizer", tp.Adam(b1=1e-60)),
        ("penalty", tp.OrthogonalityPenalty(1e-50)),
        ("batch_size", 100),
        ("validation", 100),
        ("validation", 8),
        ("trainable", (3,)),
        ("rule", tp.dtp(sigma=1e-50)),
    ):
        name = "learning_rate" if value in (tp.Adam(1e-50), tp.SGD(1e39)) else field
        yield f"train({field}={value})"[:60], name, lambda f=field, v=value: train(recipe=small.recipe.replace(**{f: v}))
    for name, changes in {
        "hidden": {"architecture": tp.MLP((1_000_000, 1_000_000))},
        "depth": {"architecture": tp.SquareMLP(1_000_000_000)},
        "width": {"rule": tp.ddtp_rhl(width=2_000_000_000), "architecture": tp.MLP((3, 3))},
        "samples": {"rule": tp.dtp(samples=2_000_000_000)},
    }.items():
        yield f"train(too large {name})", "memory", lambda c=changes: train(recipe=small.recipe.replace(**c))
    yield "train(too many epochs)", "epochs", lambda: train(recipe=small.recipe.replace(schedule=tp.Schedule(10**18)))
    yield (
        "train(loss and labels)",
        "loss",
        lambda: train(data=REGRESSION, recipe=small.recipe.replace(loss=tp.SoftmaxCrossEntropy())),
    )
    for name, args in {
        "network": ("net", SET),
        "data": (small.network, "digits"),
        "data arrays": (small.network, X),
        "inputs": (small.network, tp.Dataset("w", X[:, :2], Y, X[:, :2], Y, (2,), 3)),
    }.items():
        word = name.split()[0]
        yield f"evaluate({name})", word, lambda a=args: tp.evaluate(*a)
        yield f"predict({name})", word, lambda a=args: tp.predict(*a)
    yield "evaluate(loss)", "loss", lambda: tp.evaluate(small.network, SET, "mse")
    yield "evaluate(part)", "part", lambda: tp.evaluate(small.network, SET, part="validation")
    yield "predict(part)", "part", lambda: tp.predict(small.network, SET, part=3)
    for bad in ([], small.network, None, [3]):
        yield f"evaluate_together({type(bad).__name__})", "networks", lambda b=bad: tp.evaluate_together(b, SET)


def _experiments(folder: Path):
    compare = lambda rules, **options: tp.compare(rules, data=SET, progress=False, **options)
    for bad in (
        [],
        {},
        "",
        [""],
        [3],
        [None],
        3,
        None,
        ["nothing"],
        ["bp", "bp"],
        {"a": 3},
        {3: "bp"},
        {"": "bp"},
        [tp.Backprop],
    ):
        yield f"compare({bad})"[:50], "rule", lambda b=bad: compare(b)
    for bad in ("..", ".", "a\0b"):
        yield f"compare(name={bad!r})", "name", lambda b=bad: compare({b: "bp"}, out=folder / "below" / "c")
    for name, values in {
        "dataset": (3,),
        "seeds": (0, 1.5, "3", None, 10**12),
        "epochs": (0, -1, 1.5, "3"),
        "baseline": ("dtp", 3),
        "out": ("", 3),
    }.items():
        for value in values:
            yield f"compare({name}={value!r})", name, lambda n=name, v=value: tp.compare(["bp"], progress=False, **{n: v})
    yield "compare(data)", "data", lambda: tp.compare(["bp"], data="digits")
    for name, values in {
        "trials": (0, -1, 1.5, "3", None, math.nan),
        "together": (0, 2.5, "8"),
        "seeds": (0, "2", []),
        "space": (
            {},
            {"stepsize": (0.1, 1)},
            {3: Range(0.1, 1)},
            ["stepsize"],
            None,
        ),
        "data": ("digits", 3),
        "out": ("", 3),
        "storage": (3, "nonsense"),
        "name": (3,),
        "prune": ("yes",),
    }.items():
        for value in values:
            yield (
                f"search({name}={value!r})"[:50],
                name,
                lambda n=name, v=value: tp.search(
                    small.recipe.replace(validation=2), **{"data": SET, "progress": False, n: v}
                ),
            )
    for bad in ("bp", None, tp.Backprop()):
        yield f"search(recipe={bad})", "recipe", lambda b=bad: tp.search(b, data=SET)
    for bad in (3, None, "nothing", "", tp.Backprop, tp.Adam()):
        yield f"recipe({bad})", "rule", lambda b=bad: tp.recipe(b)
    for bad in (3, SET):
        yield f"recipe(bp, {type(bad).__name__} {bad!r})"[:40], "data", lambda b=bad: tp.recipe("bp", b)
    for bad in ([], folder / "nothing", [3], None, {"a": None}):
        yield f"compare_runs({type(bad).__name__})", "folder", lambda b=bad: tp.compare_runs(b)


def _files(folder: Path):
    for bad in (3, None, "", folder / "no" / "file\0"):
        yield f"save_model({type(bad).__name__} {str(bad)[:3]})", "path", lambda b=bad: tp.save_model(b, small.network)
        yield (
            f"export_weights({type(bad).__name__} {str(bad)[:3]})",
            "path",
            lambda b=bad: tp.export_weights(b, small.network),
        )
        yield f"load_model({type(bad).__name__} {str(bad)[:3]})", "path", lambda b=bad: tp.load_model(b)
    yield "save_model(network)", "network", lambda: tp.save_model(folder / "m", 3)
    yield "export_weights(network)", "network", lambda: tp.export_weights(folder / "m", None)
    yield "save_model(rule)", "rule", lambda: tp.save_model(folder / "m", small.network, rule="bp")
    yield "load_model(like)", "like", lambda: tp.load_model(folder / "m", like=3)
    for bad in (3, None, ""):
        yield f"load_run({type(bad).__name__})", "folder", lambda b=bad: tp.load_run(b)
