"""The toy experiments of Meulemans et al. 2020: what they measure where the answer is known, and
their reports.
"""

import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import targetprop as tp
from targetprop.cli import main
from targetprop.feedback.gauss_newton import PseudoInverse
from targetprop.networks.network import mlp
from targetprop.papers.meulemans2020 import null_space
from targetprop.papers.meulemans2020.null_space import NullSpace, random_share
from targetprop.papers.meulemans2020.output_space import directions


@pytest.mark.parametrize(("size", "outputs"), [(6, 2), (4, 3)])
def test_share_of_a_random_direction(size, outputs):
    directions = np.random.default_rng(0).standard_normal((200_000, size))
    share = np.linalg.norm(directions[:, outputs:], axis=1) / np.linalg.norm(directions, axis=1)
    assert random_share(size, outputs) == pytest.approx(share.mean(), abs=5 * share.std() / np.sqrt(len(share)))


def test_direct_feedback_leaves_the_null_space_of_the_last_hidden_layer():
    """The output is linear in `h_2`, so one matrix serves all samples, and DRL makes it the
    pseudo-inverse (Theorem 4).
    """
    rule = tp.ddtp_linear(sigma=0.01)
    recipe = dataclasses.replace(null_space.null_space_recipe(rule, 4), feedback_optimizer=tp.Adam(3e-3))
    steps = []
    first, second = (metrics["share"] for metrics in NullSpace(recipe, 400).run([0, 1], steps.append))
    assert steps == [1] * 4
    assert np.shape(first) == (2, 5)
    for shares in (first, second):
        assert shares[1][0] > 0.4
        assert shares[1][-1] < 0.2
    assert NullSpace(dataclasses.replace(recipe, schedule=tp.Schedule(1, 1)), 400).run([1, 0], steps.append)[0] == {
        "share": [layer[:2] for layer in second]
    }


@pytest.fixture
def linear():
    network = mlp([4, 4, 4, 2], tp.Identity(), bias=False, key=jax.random.key(0))
    return network, jax.random.normal(jax.random.key(1), (5, 4)), jax.random.normal(jax.random.key(2), (5, 2))


def test_updates_of_gauss_newton_targets_move_a_linear_output_straight_to_its_target(linear):
    """With `J_i J_i^† = I` every layer adds a multiple of `-e_L` (Theorem 5)."""
    network, x, y = linear
    moved = directions(network, tp.GaussNewtonTargets(PseudoInverse()), x, y)
    sizes = sum(jnp.sum(h**2, axis=1) for h in network.trace(x).h[:-1])
    np.testing.assert_allclose(moved, -sizes[:, None] * (network(x) - y), rtol=1e-4, atol=1e-4)


def test_updates_of_backpropagation_move_a_linear_output_by_the_tangent_kernel(linear):
    network, x, y = linear
    moved = directions(network, tp.Backprop(), x, y)
    w2, w3 = (np.asarray(layer.weight, float) for layer in network.layers[1:])
    h = [np.asarray(entry, float) for entry in network.trace(x).h]
    kernels = [np.eye(2), w3 @ w3.T, w3 @ w2 @ w2.T @ w3.T]
    for n, change in enumerate(np.asarray(moved)):
        error = h[3][n] - np.asarray(y[n])
        expected = -sum(h[2 - i][n] @ h[2 - i][n] * kernel @ error for i, kernel in enumerate(kernels))
        np.testing.assert_allclose(change, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("name", "rows"), [("fig2", ["DTP (pre-trained)", "DDTP-linear"]), ("fig-s2", ["GNT", "BP"])])
def test_item_from_the_command_line(name, rows, tmp_path, capfd):
    command = ["reproduce", "meulemans2020", name, "--seeds", "2", "--epochs", "1", "--results", str(tmp_path), "--json"]
    assert main(command) == 0
    document = json.loads(capfd.readouterr().out)
    assert (document["source"], document["item"]) == ("meulemans2020", name)
    assert list(dict.fromkeys(cell["row"] for cell in document["cells"])) == rows
    for cell in document["cells"]:
        assert cell["published"] is None
        assert cell["ours"]["n"] == 2
        assert cell["ours"]["mean"] > 0
    folder = tmp_path / "meulemans2020" / "report-epochs-1"
    assert (folder / f"{name}.png").read_bytes()[:4] == b"\x89PNG"
    assert rows[0] in (folder / f"{name}.md").read_text()
    assert main([*command[:3], "--results", str(tmp_path), "--show", "--json"]) == 0  # the full figure is not there
    assert json.loads(capfd.readouterr().out)["cells"][0]["ours"] is None
