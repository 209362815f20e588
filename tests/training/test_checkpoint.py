import hashlib
import json
import os

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import save_file

from targetprop import _files as files
from targetprop.training import checkpoint
from targetprop.training.checkpoint import Checkpoint, CheckpointError, previous, read_checkpoint, save_checkpoint

HEADER = {"epoch": 3, "name": "π", "history": [0.1, None]}
LATER = {"epoch": 4}


def tree(scale: float = 1.0) -> dict:
    """Arrays of several types and shapes, beside things that are no arrays."""
    return {
        "w": scale * jnp.arange(6.0).reshape(2, 3),
        "rest": (jnp.array(7, jnp.uint32), None, "text", jnp.zeros((0, 4))),
        "map": jnp.tanh,
    }


def equal(one, other) -> bool:
    pairs = zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True)
    return all(np.array_equal(a, b) if isinstance(a, jax.Array) else a == b for a, b in pairs)


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "checkpoint.safetensors"
    save_checkpoint(path, tree(), HEADER)
    return path


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """A checkpoint's path and bytes, shared by the examples of a property."""
    path = tmp_path_factory.mktemp("stored") / "checkpoint.safetensors"
    save_checkpoint(path, tree(), HEADER)
    return path, path.read_bytes()


def test_what_is_saved_is_loaded(path):
    found = read_checkpoint(path)
    assert found.header == HEADER
    loaded = found.tree(tree(scale=0.0))
    assert equal(loaded, tree())
    assert jax.tree.structure(loaded) == jax.tree.structure(tree())
    assert [x.dtype for x in jax.tree.leaves(loaded) if isinstance(x, jax.Array)] == [
        x.dtype for x in jax.tree.leaves(tree()) if isinstance(x, jax.Array)
    ]


def test_nan_and_infinity_survive(tmp_path):
    values = jnp.array([jnp.nan, jnp.inf, -jnp.inf, -0.0])
    save_checkpoint(tmp_path / "c.safetensors", values, {})
    assert np.asarray(read_checkpoint(tmp_path / "c.safetensors").tree(values)).tobytes() == np.asarray(values).tobytes()


def test_a_part_is_found_by_its_number(path):
    found = read_checkpoint(path)
    for start in (2, -1):  # the entries of a dictionary are sorted
        assert equal(found.part(tree(0.0)["w"], start), tree()["w"])
    assert found.part(jnp.array(0, jnp.uint32), 0) == 7


def break_while_writing(monkeypatch):
    def save(arrays, metadata):
        raise OSError("no space left on the device")

    monkeypatch.setattr("safetensors.numpy.save", save)


def break_before_renaming(monkeypatch):
    def fsync(number):
        raise OSError("no space left on the device")

    monkeypatch.setattr(files.os, "fsync", fsync)


@pytest.mark.parametrize("break_off", [break_while_writing, break_before_renaming])
def test_an_error_while_writing_leaves_the_old_file_alone(path, monkeypatch, break_off):
    with monkeypatch.context() as patch:
        break_off(patch)
        with pytest.raises(OSError, match="no space"):
            save_checkpoint(path, tree(scale=2.0), LATER)
    assert os.listdir(path.parent) == [path.name]
    assert read_checkpoint(path).header == HEADER
    save_checkpoint(path, tree(scale=2.0), LATER)
    assert read_checkpoint(path).header == LATER


@pytest.fixture
def two(path):
    """A checkpoint with the one before it."""
    save_checkpoint(path, tree(scale=2.0), LATER)
    return path


def test_two_generations_are_kept(two):
    assert sorted(os.listdir(two.parent)) == [previous(two).name, two.name]
    assert read_checkpoint(two).header == LATER
    assert read_checkpoint(previous(two)).header == HEADER


def test_a_crash_between_the_two_moves_loses_nothing(two, caplog):
    two.unlink()
    assert read_checkpoint(two).header == HEADER
    assert caplog.messages == []


def test_a_damaged_checkpoint_is_replaced_by_the_one_before(two, caplog):
    two.write_bytes(two.read_bytes()[:-1])
    found = read_checkpoint(two)
    assert found.header == HEADER
    assert equal(found.tree(tree()), tree())
    (message,) = caplog.messages
    assert "checkpoint.safetensors is damaged" in message
    assert f"The one before it is used, {previous(two)}" in message


def test_a_missing_file_says_what_to_do(tmp_path):
    with pytest.raises(CheckpointError, match=r"There is no checkpoint at .*gone\.safetensors: .*train the run again"):
        read_checkpoint(tmp_path / "gone.safetensors")


def test_a_file_of_an_older_version_says_so(tmp_path):
    np.savez(tmp_path / "checkpoint.npz", header=np.zeros(3))
    with pytest.raises(CheckpointError, match=r"checkpoint\.npz is of an older version of targetprop.*`overwrite`"):
        read_checkpoint(tmp_path / "checkpoint.safetensors")


@given(st.floats(0, 1, exclude_max=True))
def test_a_truncated_file_says_what_to_do(stored, share):
    path, content = stored
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(CheckpointError, match=r"checkpoint\.safetensors is damaged .*Begin the run again with `overwrite`"):
        read_checkpoint(path)


@given(st.floats(0, 1, exclude_max=True), st.integers(1, 255))
def test_a_changed_byte_is_found(stored, share, change):
    path, content = stored
    place = int(share * len(content))
    path.write_bytes(content[:place] + bytes([content[place] ^ change]) + content[place + 1 :])
    try:
        found = read_checkpoint(path)
    except CheckpointError:
        return
    assert found.header == HEADER  # a space of the padding became another one
    assert equal(found.tree(tree()), tree())


@pytest.mark.parametrize(
    "like",
    [
        {"w": jnp.zeros((2, 3))},
        tree() | {"w": jnp.zeros((3, 2))},
        tree() | {"w": jnp.zeros((2, 3), jnp.int32)},
        tree() | {"more": jnp.zeros(1)},
    ],
    ids=["fewer arrays", "another shape", "another type", "more arrays"],
)
def test_a_file_of_another_run_is_refused(path, like):
    with pytest.raises(CheckpointError, match=r"another network, rule or optimizer.*another folder as `out`"):
        read_checkpoint(path).tree(like)


def metadata(header: str, **changes) -> dict[str, str]:
    """The text of a checkpoint without arrays, with a right checksum."""
    right = {"kind": checkpoint.KIND, "format": checkpoint.FORMAT, "header": header}
    return right | {"sha256": hashlib.sha256(header.encode()).hexdigest()} | changes


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ({"by": "somebody"}, "is not a checkpoint of targetprop"),
        (metadata("{}", kind="model"), "is not a checkpoint of targetprop"),
        (metadata("{}", format="3"), "is of another version of targetprop"),
        (metadata("{}", sha256="0"), "is damaged .its checksum is wrong"),
        (metadata("{"), "is damaged"),
        (metadata("[1]"), "is damaged"),
        (metadata("[" * 100_000), "is damaged"),
    ],
    ids=["no text", "kind", "format", "checksum", "half", "list", "nested"],
)
def test_a_foreign_file_is_one_clear_line(tmp_path, text, message):
    save_file({}, tmp_path / "c.safetensors", text)
    with pytest.raises(CheckpointError, match=message):
        read_checkpoint(tmp_path / "c.safetensors")


def test_the_checksum_is_over_header_and_arrays(path):
    """As anybody computes it from the file alone."""
    content = path.read_bytes()
    size = int.from_bytes(content[:8], "little")
    described = json.loads(content[8 : 8 + size])
    text = described.pop("__metadata__")
    found = hashlib.sha256(text["header"].encode())
    for i in range(len(described)):
        entry = described[f"leaf{i}"]
        begin, end = entry["data_offsets"]
        dtype = {"F32": "float32", "U32": "uint32"}[entry["dtype"]]
        found.update(f"{dtype}{tuple(entry['shape'])}".encode())
        found.update(content[8 + size + begin : 8 + size + end])
    assert text["sha256"] == found.hexdigest()
    assert isinstance(read_checkpoint(path), Checkpoint)
