import os

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from targetprop.training import checkpoint, files
from targetprop.training.checkpoint import CheckpointError, load_checkpoint, load_header, save_checkpoint

HEADER = {"epoch": 3, "name": "π", "history": [0.1, None]}


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
    path = tmp_path / "checkpoint.npz"
    save_checkpoint(path, tree(), HEADER)
    return path


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """A checkpoint's path and bytes, shared by the examples of a property."""
    path = tmp_path_factory.mktemp("stored") / "checkpoint.npz"
    save_checkpoint(path, tree(), HEADER)
    return path, path.read_bytes()


def test_what_is_saved_is_loaded(path):
    assert load_header(path) == HEADER
    loaded = load_checkpoint(path, tree(scale=0.0))
    assert equal(loaded, tree())
    assert jax.tree.structure(loaded) == jax.tree.structure(tree())
    assert [x.dtype for x in jax.tree.leaves(loaded) if isinstance(x, jax.Array)] == [
        x.dtype for x in jax.tree.leaves(tree()) if isinstance(x, jax.Array)
    ]


def test_nan_and_infinity_survive(tmp_path):
    values = jnp.array([jnp.nan, jnp.inf, -jnp.inf, -0.0])
    save_checkpoint(tmp_path / "c.npz", values, {})
    assert np.asarray(load_checkpoint(tmp_path / "c.npz", values)).tobytes() == np.asarray(values).tobytes()


def break_while_writing(monkeypatch):
    def savez(file, **arrays):
        file.write(b"PK\x03\x04 the first bytes")
        raise OSError("no space left on the device")

    monkeypatch.setattr(checkpoint.np, "savez", savez)


def break_before_renaming(monkeypatch):
    def fsync(number):
        raise OSError("no space left on the device")

    monkeypatch.setattr(files.os, "fsync", fsync)


@pytest.mark.parametrize("break_off", [break_while_writing, break_before_renaming])
def test_a_crash_while_writing_leaves_the_old_file(path, monkeypatch, break_off):
    with monkeypatch.context() as patch:
        break_off(patch)
        with pytest.raises(OSError, match="no space"):
            save_checkpoint(path, tree(scale=2.0), {"epoch": 4})
    assert load_header(path) == HEADER
    assert equal(load_checkpoint(path, tree()), tree())
    save_checkpoint(path, tree(scale=2.0), {"epoch": 4})
    assert load_header(path) == {"epoch": 4}
    assert equal(load_checkpoint(path, tree()), tree(scale=2.0))
    assert os.listdir(path.parent) == [path.name]


def test_a_missing_file_says_to_run_without_resume(tmp_path):
    with pytest.raises(CheckpointError, match=r"gone\.npz: leave out `resume` to begin a run there"):
        load_header(tmp_path / "gone.npz")


@given(st.floats(0, 1, exclude_max=True))
def test_a_truncated_file_says_what_to_do(stored, share):
    path, content = stored
    path.write_bytes(content[: int(share * len(content))])
    for load in (load_header, lambda path: load_checkpoint(path, tree())):
        with pytest.raises(
            CheckpointError, match=r"checkpoint\.npz is damaged .*: delete it and start again without `resume`"
        ):
            load(path)


@given(st.floats(0, 1, exclude_max=True), st.integers(1, 255))
def test_a_changed_byte_is_found_or_harmless(stored, share, change):
    path, content = stored
    place = int(share * len(content))
    path.write_bytes(content[:place] + bytes([content[place] ^ change]) + content[place + 1 :])
    try:
        header, loaded = load_header(path), load_checkpoint(path, tree())
    except CheckpointError:
        return
    assert header == HEADER
    assert equal(loaded, tree())


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
    with pytest.raises(CheckpointError, match=r"another network, rule or optimizer.*config\.json.*another folder as `out`"):
        load_checkpoint(path, like)


def test_nothing_is_unpickled(tmp_path):
    class Bomb:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "exploded"),)

    path = tmp_path / "checkpoint.npz"
    objects = np.array([Bomb()], dtype=object)
    np.savez(path, header=np.frombuffer(b"{}", np.uint8), leaf0=objects)
    with pytest.raises(CheckpointError, match="allow_pickle=False"):
        load_checkpoint(path, jnp.zeros(1))
    np.savez(path, header=objects)
    with pytest.raises(CheckpointError, match="allow_pickle=False"):
        load_header(path)
    assert not (tmp_path / "exploded").exists()
