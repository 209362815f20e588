"""The networks that a run returns: those whose errors it reports, the same after an interruption,
and again from its folder.
"""

import dataclasses

import equinox as eqx
import jax
import numpy as np
import optax
import pytest

import targetprop as tp
from targetprop.training import models
from targetprop.training.checkpoint import CheckpointError, save_checkpoint

SEEDS = [0, 1, 2]


def go(recipe, data, folder=None, **options):
    return tp.train(recipe, data, seeds=SEEDS, out=folder, progress=False, **options)


def leaves(trained) -> list[np.ndarray]:
    """The arrays of a network and its feedback."""
    return [np.asarray(leaf) for leaf in jax.tree.leaves((trained.network, trained.feedback)) if hasattr(leaf, "dtype")]


def same(one, other) -> bool:
    if one is None or other is None:
        return one is other
    pairs = list(zip(leaves(one), leaves(other), strict=True))
    return bool(pairs) and all(a.dtype == b.dtype and np.array_equal(a, b) for a, b in pairs)


def assert_same_networks(one, other):
    for mine, others in ((one.best, other.best), (one.last, other.last)):
        assert [same(a, b) for a, b in zip(mine, others, strict=True)] == [True] * len(SEEDS)


@pytest.fixture(scope="module")
def eager(dtp) -> tp.Recipe:
    """Three epochs with a large learning rate, so that the best epoch is not always the last."""
    return dtp.replace(optimizer=tp.Adam(0.1), schedule=tp.Schedule(3, pretraining=1, between=1))


@pytest.fixture(scope="module")
def unbroken(eager, toy, tmp_path_factory):
    """The folder and the result of a run with seeds whose best epoch is early and late."""
    folder = tmp_path_factory.mktemp("unbroken")
    result = go(eager, toy, folder)
    assert {seed.best_epoch == 3 for seed in result.seeds} == {True, False}
    return folder, result


def test_the_best_network_is_the_last_one_of_a_run_that_ends_there(unbroken, eager, toy):
    for epoch in {seed.best_epoch for seed in unbroken[1].seeds}:
        shorter = go(eager.replace(schedule=tp.Schedule(epoch, 1, 1)), toy)
        for i, seed in enumerate(unbroken[1].seeds):
            if seed.best_epoch == epoch:
                assert same(unbroken[1].best[i], shorter.last[i])


SHORT = tp.Schedule(2)
TEACHER = tp.load("teacher", sizes=(4, 10, 1), train=80, test=30)
SQUARE = tp.SquareMLP(1)

# A recipe, or one for each seed, and its data, from `bp`, `dtp` and `toy`.
KINDS = {
    "feedback": lambda bp, dtp, toy: (dtp, toy),
    "no validation": lambda bp, dtp, toy: (bp.replace(validation=0), toy),
    "one recipe for each seed": lambda bp, dtp, toy: ([bp.replace(stepsize=step) for step in (0.1, 1.0, 2.0)], toy),
    "float64": lambda bp, dtp, toy: (dtp.replace(dtype="float64"), toy),
    "convolutions": lambda bp, dtp, toy: (
        dtp.replace(architecture=tp.CNN((3,), (4,), kernel=3)),
        dataclasses.replace(toy, shape=(2, 2, 2)),
    ),
    "regression": lambda bp, dtp, toy: (bp.replace(optimizer=tp.Adam(0.03)), TEACHER),
    "auxiliary outputs": lambda bp, dtp, toy: (
        bp.replace(rule=tp.GAITProp(), architecture=SQUARE, loss=tp.SquaredError(), schedule=SHORT),
        toy,
    ),
    "schedule": lambda bp, dtp, toy: (bp.replace(optimizer=tp.Adam(0.1, schedule=tp.CosineDecay(), warmup=0.2)), toy),
    "random hidden layer": lambda bp, dtp, toy: (dtp.replace(rule=tp.ddtp_rhl(width=16)), toy),
    "stored inverses": lambda bp, dtp, toy: (
        bp.replace(rule=tp.TargetPropExact(tp.Woodbury()), architecture=SQUARE, schedule=SHORT),
        toy,
    ),
}


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS.keys())
def test_a_network_has_exactly_the_error_that_is_reported(kind, toy, bp, dtp, tmp_path):
    """In memory, from the folder of the run, and from the file of the network."""
    recipe, data = kind(bp, dtp, toy)
    result = go(recipe, data, tmp_path)
    run = tp.load_run(tmp_path)
    assert_same_networks(result, run)
    assert run.result.seeds == result.seeds
    assert run.config.recipes == (tuple(recipe) if isinstance(recipe, list) else (recipe,) * 3)
    assert run.result.unit == result.unit
    for i, seed in enumerate(result.seeds):
        stored = tp.load_model(tmp_path / "models" / f"seed{seed.seed}.safetensors")
        assert same(stored, result.best[i])
        assert stored.rule == run.config.recipes[i].rule
    loss = run.config.recipes[0].loss
    for networks, epochs in (
        (run.best, [seed.best_epoch for seed in result.seeds]),
        (run.last, [len(seed.history) for seed in result.seeds]),
    ):
        found = tp.evaluate_together([trained.network for trained in networks], data, loss)
        for assessment, trained, seed, epoch in zip(found, networks, result.seeds, epochs, strict=True):
            reported = seed.history[epoch - 1]
            assert assessment == tp.Assessment(reported["test_loss"], reported["test_error"], result.unit)
            alone = tp.evaluate(trained.network, data, loss)
            assert alone.error == pytest.approx(assessment.error, rel=0 if result.unit == "%" else 1e-6)


def test_a_network_of_a_run_of_one_seed_has_exactly_the_reported_numbers(bp, tmp_path):
    """Mean squared errors on few samples, whose last digit depends on the program."""
    result = tp.train(bp.replace(optimizer=tp.Adam(0.1)), TEACHER, out=tmp_path, progress=False)
    run, (seed,) = tp.load_run(tmp_path), result.seeds
    assert tp.evaluate(run.best[0].network, TEACHER).error == seed.test_error
    assert tp.evaluate(run.last[0].network, TEACHER).loss == seed.history[-1]["test_loss"]


@pytest.mark.parametrize("number", [1, 4, 7, 8, 16])
def test_an_interrupted_run_gives_its_networks_so_far_and_resumes_to_the_same(
    unbroken, eager, toy, tmp_path, interrupt_at, number
):
    """6 passes (pretraining, joint, feedback, joint, feedback, joint) of 3 runs of steps each."""
    interrupt_at(number)
    broken = go(eager, toy, tmp_path)
    assert broken.interrupted
    run = tp.load_run(tmp_path)
    assert run.result.interrupted
    assert_same_networks(broken, run)
    for i, seed in enumerate(broken.seeds):
        if seed.history:
            assert tp.evaluate(run.best[i].network, toy).error == seed.test_error
            assert tp.evaluate(run.last[i].network, toy).error == seed.last_test_error
        else:
            assert run.best[i] is None
    assert not (tmp_path / "models").exists()
    assert_same_networks(go(eager, toy, tmp_path, resume=True), unbroken[1])
    assert_same_networks(tp.load_run(tmp_path), unbroken[1])


def test_a_finished_run_resumed_returns_the_same_networks(unbroken, eager, toy):
    assert_same_networks(go(eager, toy, unbroken[0], resume=True), unbroken[1])


def test_a_killed_run_is_loaded_from_its_last_checkpoint(unbroken, eager, toy, tmp_path, monkeypatch):
    """All that is loaded belongs to the checkpoint, though later metrics are on the disk."""

    def crash(path, tree, header):
        if header["records"] and header["records"][-1]["epoch"] == 3:
            raise KeyboardInterrupt
        save_checkpoint(path, tree, header)

    monkeypatch.setattr("targetprop.training.loop.save_checkpoint", crash)
    with pytest.raises(KeyboardInterrupt):
        go(eager, toy, tmp_path)
    run = tp.load_run(tmp_path)
    assert [len(history) for history in run.history] == [2, 2, 2]
    for i, seed in enumerate(run.result.seeds):
        assert seed.status == "interrupted"
        assert tp.evaluate(run.best[i].network, toy).error == seed.test_error
    assert not (tmp_path / "result.json").exists()


def test_a_run_with_an_optimizer_of_optax_is_loaded_with_its_recipe(bp, toy, tmp_path):
    recipe = bp.replace(optimizer=optax.lion(1e-2))
    result = go(recipe, toy, tmp_path)
    with pytest.raises(tp.ConfigError, match=r"recipe\.optimizer\.transformation is .*give the recipe itself"):
        tp.load_run(tmp_path)
    assert_same_networks(tp.load_run(tmp_path, recipe), result)


def test_a_run_of_a_network_is_loaded_with_its_recipe(dtp, toy, tmp_path):
    network = tp.from_equinox(eqx.nn.MLP(8, 3, 5, 1, jax.nn.tanh, key=jax.random.key(0)))
    recipe = dtp.replace(architecture=network)
    result = go(recipe, toy, tmp_path)
    with pytest.raises(tp.ConfigError, match=r"recipe\.architecture is a finished network.*tp\.load_run\(folder, recipe\)"):
        tp.load_run(tmp_path)
    assert_same_networks(tp.load_run(tmp_path, recipe), result)
    assert same(tp.load_model(tmp_path / "models" / "seed1.safetensors", like=network), result.best[1])


def test_overwriting_a_run_removes_the_networks_of_its_seeds(bp, toy, tmp_path):
    go(bp, toy, tmp_path)
    tp.train(bp, toy, seeds=[7], out=tmp_path, overwrite=True, progress=False)
    assert [path.name for path in models.model_files(tmp_path)] == ["seed7.safetensors"]


def test_a_folder_without_networks_says_what_to_do(unbroken, tmp_path):
    (tmp_path / "config.json").write_text((unbroken[0] / "config.json").read_text())
    with pytest.raises(CheckpointError, match=r"There is no checkpoint at .*: correct the path, or train the run again"):
        tp.load_run(tmp_path)
