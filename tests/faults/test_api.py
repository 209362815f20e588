"""Bad calls of the Python interface: each ends in a message that names the argument."""

import os
import subprocess
import sys

import jax
import jaxtyping
import pytest

import targetprop as tp
from faults.api_calls import calls
from faults.api_calls_functions import functions
from faults.api_calls_runs import runs
from targetprop.cli import main
from targetprop.training.step import init_state, take_step

CALLS = list(calls())


@pytest.fixture(scope="module", autouse=True)
def without_checks_of_tests():
    """Users have no run-time checks of shapes, which the tests switch on."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


def test_there_are_many():
    assert len({call.name for call in CALLS}) > 200


@pytest.mark.filterwarnings("ignore:A JAX array is being set as static")
@pytest.mark.parametrize("call", CALLS, ids=[call.name for call in CALLS])
def test_a_bad_field_is_refused_by_name(call):
    with pytest.raises((tp.UserError, TypeError), match=call.argument):
        call.make()


def test_a_bad_argument_is_refused_by_name(tmp_path):
    wrong = []
    for name, argument, make in [*functions(tmp_path), *runs(tmp_path)]:
        try:
            make()
        except (tp.UserError, TypeError) as error:
            if argument.rstrip("s?").lower() not in str(error).lower():
                wrong.append(f"{name}: {error}")
        else:
            wrong.append(f"{name} is accepted")
    assert not wrong


@pytest.mark.parametrize("name", ["bp", "dtpdrl"])
def test_rules_train_where_promotion_is_forbidden(name):
    x, y = jax.numpy.ones((4, 3)), jax.numpy.arange(4) % 2
    with jax.numpy_rank_promotion("raise"), jax.numpy_dtype_promotion("strict"):
        state = init_state(tp.Recipe(tp.RULES[name]()), tp.mlp((3, 3, 2), key=jax.random.key(0)))
        after, _ = take_step(state, (x, y))
    assert int(after.count) == 1


@pytest.mark.parametrize("words", [["--out", ""], ["--out="], ["--config", ""]])
def test_an_empty_path_is_not_the_present_folder(words, capsys):
    assert main(["train", "bp", *words]) == 2
    assert "is empty" in capsys.readouterr().err


@pytest.mark.parametrize("platform", ["cuda", "nothing"])
def test_a_platform_that_is_not_there_is_one_line(platform):
    command = [sys.executable, "-m", "targetprop", "bench", "--rules", "bp", "--rounds", "1", "--sizes", "2", "2"]
    ended = subprocess.run(command, env=os.environ | {"JAX_PLATFORMS": platform}, capture_output=True, text=True)
    if platform == "nothing" or ended.returncode:  # there may be a GPU
        assert ended.returncode == 2
        assert ended.stderr.splitlines()[-1].startswith("targetprop: JAX finds no platform")


def test_what_cannot_fit_is_said_in_bytes():
    recipe = tp.Recipe(tp.Backprop(), architecture=tp.MLP((1_000_000, 1_000_000)), optimizer=tp.SGD(momentum=0.5))
    parameters = 64 * 10**6 + 10**12 + 10 * 10**6 + 2 * 10**6 + 10
    with pytest.raises(tp.ConfigError, match=f"{2 * 4 * parameters / 2**40:.3g} TiB of memory"):
        tp.train(recipe, progress=False)
