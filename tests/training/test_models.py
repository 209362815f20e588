"""Networks in files: the same network comes back, other readers find its weights, and a file makes
nothing but parts of targetprop.
"""

import json
import struct
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import targetprop as tp
from targetprop import _files as files
from targetprop.networks.normalization import BatchNormalized
from targetprop.rules import RULES, Requirement

KEY = jax.random.key(0)


def small_network(rule) -> tp.Network:
    if Requirement.INVERTIBLE_LAYERS in rule.requires:
        return tp.invertible_mlp((6, 5, 4), tp.LeakyReLU(0.3), key=KEY)
    return tp.mlp((6, 5, 4, 3), (tp.LeakyReLU(0.3), tp.Identity()), key=KEY)


@pytest.mark.parametrize("name", RULES)
def test_network_feedback_and_rule_come_back(name, tmp_path):
    rule = RULES[name]()
    network = small_network(rule)
    feedback = rule.init(network, key=jax.random.key(1))
    tp.save_model(tmp_path / "model", network, feedback, rule=rule)
    loaded = tp.load_model(tmp_path / "model")
    assert eqx.tree_equal(loaded.network, network)
    assert eqx.tree_equal(loaded.feedback, feedback)
    assert jax.tree.structure(loaded.feedback) == jax.tree.structure(feedback)
    assert loaded.rule == rule


LAYERS = {
    "convolutions": lambda: tp.CNN((2, 3), (4,), tp.Softplus(), kernel=3).build((1, 6, 6), 2, key=KEY, dtype=jnp.float32),
    "no bias": lambda: tp.mlp((3, 4, 2), tp.Sigmoid(), bias=False, key=KEY),
    "normalized": lambda: tp.Network([BatchNormalized(tp.mlp((3, 2), key=KEY).layers[0])], 3),
    "NumPy": lambda: jax.tree.map(np.asarray, tp.mlp((3, 4, 2), tp.ReLU(), key=KEY)),
}


@pytest.mark.parametrize("build", LAYERS.values(), ids=LAYERS.keys())
def test_layers_of_every_kind_come_back(build, tmp_path):
    network = build()
    tp.save_model(tmp_path / "model", network)
    loaded = tp.load_model(tmp_path / "model")
    assert (loaded.feedback, loaded.rule) == (None, None)
    x = jax.random.normal(KEY, (5, *network.input_shape))
    assert np.array_equal(loaded.network(x), network(x))
    assert [type(layer) for layer in loaded.network.layers] == [type(layer) for layer in network.layers]


def test_float64_remains(tmp_path):
    with jax.enable_x64(True):
        network = tp.mlp((3, 4, 2), key=KEY, dtype=jnp.float64)
    tp.save_model(tmp_path / "model", network)
    weights = [layer.weight for layer in tp.load_model(tmp_path / "model").network.layers]
    assert [weight.dtype for weight in weights] == [np.float64] * 2
    assert all(np.array_equal(a, layer.weight) for a, layer in zip(weights, network.layers, strict=True))


def test_other_readers_find_the_weights_by_name(tmp_path):
    network = tp.mlp((6, 5, 3), key=KEY)
    feedback = tp.dtp().init(network, key=KEY)
    tp.save_model(tmp_path / "model", network, feedback)
    tp.export_weights(tmp_path / "weights", network)
    names = {"layers.0.weight", "layers.0.bias", "layers.1.weight", "layers.1.bias"}
    stored = load_file(tmp_path / "model")
    assert set(stored) == names | {"feedback.0.dense.weight", "feedback.0.dense.bias"}
    exported = load_file(tmp_path / "weights")
    assert set(exported) == names
    for i, layer in enumerate(network.layers):
        for file in (stored, exported):
            assert np.array_equal(file[f"layers.{i}.weight"], layer.weight)
            assert np.array_equal(file[f"layers.{i}.bias"], layer.bias)
    assert np.array_equal(stored["feedback.0.dense.weight"], feedback[0].dense.weight)


class Scale(tp.Layer):
    """A layer of one's own."""

    gain: jax.Array

    def at(self, x):
        return tp.Point(x, x * self.gain, x * self.gain)

    def difference(self, point, dx):
        return dx * self.gain


def own_network(gain) -> tp.Network:
    below, above = tp.mlp((3, 4, 2), key=KEY).layers
    return tp.Network([below, Scale(gain * jnp.ones(4)), jnp.tanh, above], 3)


def test_a_network_with_layers_of_ones_own_needs_another_like_it(tmp_path):
    network, like = own_network(2.0), own_network(0.0)
    feedback = tp.dtp().init(network, key=KEY)
    tp.save_model(tmp_path / "model", network, feedback)
    with pytest.raises(
        tp.ConfigError, match=r"test_models\.Scale, which is not a part .*tp\.load_model\(path, like=network\)"
    ):
        tp.load_model(tmp_path / "model")
    loaded = tp.load_model(tmp_path / "model", like=like)
    assert eqx.tree_equal(loaded.network, network)
    assert eqx.tree_equal(loaded.feedback, feedback)


class OwnFeedback(NamedTuple):
    """Feedback of one's own."""

    weight: jax.Array


def test_feedback_of_ones_own_needs_another_like_it(tmp_path):
    network = tp.mlp((3, 4, 2), key=KEY)
    tp.save_model(tmp_path / "model", network, OwnFeedback(jnp.ones(3)))
    with pytest.raises(tp.ConfigError, match=r"OwnFeedback.*like=tp\.Trained\(network, feedback\)"):
        tp.load_model(tmp_path / "model", like=network)
    loaded = tp.load_model(tmp_path / "model", like=tp.Trained(network, OwnFeedback(jnp.zeros(3))))
    assert isinstance(loaded.feedback, OwnFeedback)
    assert np.array_equal(loaded.feedback.weight, np.ones(3))


@pytest.mark.parametrize(
    ("like", "message"),
    [
        (tp.mlp((3, 5, 2), key=KEY), r"holds \(\(4, 3\), 'float32'\) for layers\.0\.weight, and `like` has \(\(5, 3\)"),
        (tp.mlp((3, 4, 2), bias=False, key=KEY), r"holds \(\(4,\), 'float32'\) for layers\.0\.bias, and `like` has nothing"),
        (tp.mlp((3, 4, 2, 2), key=KEY), r"holds nothing for layers\.2\.weight"),
    ],
)
def test_a_network_that_is_not_alike_is_refused(like, message, tmp_path):
    tp.save_model(tmp_path / "model", tp.mlp((3, 4, 2), key=KEY))
    with pytest.raises(tp.ConfigError, match=message):
        tp.load_model(tmp_path / "model", like=like)


def with_header(path, change) -> None:
    """Change the description of the network in a file."""
    tensors = load_file(path)
    content = path.read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    structure = json.loads(json.loads(content[8 : 8 + length])["__metadata__"]["targetprop"])
    change(structure)
    save_file(tensors, path, {"targetprop": json.dumps(structure)})


@pytest.mark.parametrize(
    "layer",
    [
        {"type": "Popen", "fields": {"args": "ls"}},
        {"type": "subprocess.Popen", "fields": {"args": "ls"}},
        {"type": "Network.__init__", "fields": {}},
        {"type": "Path", "fields": {}},
    ],
)
def test_a_file_makes_nothing_but_parts_of_targetprop(layer, tmp_path):
    path = tmp_path / "model"
    tp.save_model(path, tp.mlp((3, 2), key=KEY))
    with_header(path, lambda structure: structure["network"]["fields"]["layers"]["tuple"].append(layer))
    with pytest.raises(tp.ConfigError):
        tp.load_model(path)


@pytest.mark.parametrize(
    "network",
    [
        None,
        3,
        {},
        {"tuple": [1, 2]},
        {"type": "Network", "fields": {"layers": {"tuple": []}, "input_shape": 3}},
        {"type": "Network", "fields": {"layers": {"array": "no.such"}, "input_shape": 3}},
        {"type": "Network", "fields": 3},
        {"type": "Tanh", "fields": {"slope": 3}},
        {"bag": []},
    ],
)
def test_a_damaged_description_is_an_error_of_the_user(network, tmp_path):
    path = tmp_path / "model"
    tp.save_model(path, tp.mlp((3, 2), key=KEY))
    with_header(path, lambda structure: structure.update(network=network))
    with pytest.raises(tp.ConfigError, match="is damaged"):
        tp.load_model(path)


def test_other_files_are_refused(tmp_path):
    network = tp.mlp((3, 2), key=KEY)
    with pytest.raises(tp.ConfigError, match="There is no file"):
        tp.load_model(tmp_path / "model")
    tp.export_weights(tmp_path / "weights", network)
    with pytest.raises(tp.ConfigError, match="does not say how its network is built"):
        tp.load_model(tmp_path / "weights")
    tp.save_model(tmp_path / "model", network)
    content = (tmp_path / "model").read_bytes()
    for share in (0, 4, 100, len(content) - 1):
        (tmp_path / "cut").write_bytes(content[:share])
        with pytest.raises(tp.ConfigError, match="is damaged"):
            tp.load_model(tmp_path / "cut")
    with pytest.raises(tp.ConfigError, match="is damaged"):
        tp.load_model(tmp_path)


def test_a_crash_while_writing_leaves_the_old_file(tmp_path, monkeypatch):
    old, new = (tp.mlp((3, width, 2), key=KEY) for width in (4, 5))
    path = tmp_path / "folder" / "model"
    tp.save_model(path, old)

    def fsync(number):
        raise OSError("no space left on the device")

    with monkeypatch.context() as patch:
        patch.setattr(files.os, "fsync", fsync)
        with pytest.raises(OSError, match="no space"):
            tp.save_model(path, new)
    assert eqx.tree_equal(tp.load_model(path).network, old)
    tp.save_model(path, new)
    assert eqx.tree_equal(tp.load_model(path).network, new)
    assert [file.name for file in path.parent.iterdir()] == ["model"]
