import os
import pickle
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from targetprop.data import DataError
from targetprop.data.cifar import read_binary_batch, read_pickled_batch

# With these, Python 3 names the same array constructors as the published files, and nothing else.
PROTOCOLS = (3, 4)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("cifar")


def made_up(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (count, 3072), np.uint8), rng.integers(0, 10, count, np.uint8)


def binary(images, labels) -> bytes:
    return b"".join(bytes([label]) + image.tobytes() for image, label in zip(images, labels, strict=True))


def pickled(images, labels, protocol: int = 4) -> bytes:
    batch = {
        b"batch_label": b"made up",
        b"labels": [int(n) for n in labels],
        b"data": images,
        b"filenames": [],
    }
    return pickle.dumps(batch, protocol)


def put(path, content: bytes):
    path.write_bytes(content)
    return path


@settings(deadline=None)
@given(count=st.integers(1, 4), seed=st.integers(0, 99))
def test_binary_batch_comes_back(folder, count, seed):
    images, labels = made_up(count, seed)
    x, y = read_binary_batch(put(folder / "a.bin", binary(images, labels)), count)
    assert y.dtype == np.int32
    np.testing.assert_array_equal(x, images)
    np.testing.assert_array_equal(y, labels)


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("order", ["C", "F"])
@settings(deadline=None)
@given(count=st.integers(1, 4), seed=st.integers(0, 99))
def test_pickled_batch_comes_back(folder, protocol, order, count, seed):
    images, labels = made_up(count, seed)
    content = pickled(np.asarray(images, order=order), labels, protocol)
    x, y = read_pickled_batch(put(folder / "a", content), count)
    assert y.dtype == np.int32
    np.testing.assert_array_equal(x, images)
    np.testing.assert_array_equal(y, labels)


@settings(deadline=None)
@given(data=st.data())
def test_cut_or_longer_binary_is_noticed(folder, data):
    content = binary(*made_up(2, 0))
    kept = data.draw(st.integers(0, len(content) - 1))
    with pytest.raises(DataError, match=f"expected 6146 bytes.*truncated after {kept}"):
        read_binary_batch(put(folder / "cut.bin", content[:kept]), 2)
    with pytest.raises(DataError, match=r"expected 6146 bytes.*more than that"):
        read_binary_batch(put(folder / "long.bin", content + content[: 1 + kept]), 2)


@settings(deadline=None)
@given(data=st.data())
def test_every_cut_of_a_pickle_is_noticed(folder, data):
    content = pickled(*made_up(1, 0))
    kept = data.draw(st.integers(0, len(content) - 1))
    with pytest.raises(DataError, match="cut: refused"):
        read_pickled_batch(put(folder / "cut", content[:kept]), 1)


@settings(deadline=None)
@given(content=st.binary(max_size=40))
def test_noise_is_a_data_error(folder, content):
    with pytest.raises(DataError, match="noise"):
        read_pickled_batch(put(folder / "noise", content), 1)


@pytest.mark.parametrize("read", [read_binary_batch, read_pickled_batch])
def test_absent_file(folder, read):
    with pytest.raises(DataError, match=r"absent: cannot be read \(No such file"):
        read(folder / "absent", 1)


def test_label_that_is_no_class(folder):
    images, _ = made_up(3, 0)
    message = "label 10 at index 1, expected labels 0 to 9"
    with pytest.raises(DataError, match=message):
        read_binary_batch(put(folder / "ten.bin", binary(images, [9, 10, 0])), 3)
    with pytest.raises(DataError, match=message):
        read_pickled_batch(put(folder / "ten", pickled(images, [9, 10, 0])), 3)
    with pytest.raises(DataError, match="label -1 at index 2"):
        read_pickled_batch(put(folder / "minus", pickled(images, [9, 0, -1])), 3)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([1, 2], "holds a list, expected a dictionary"),
        ({b"labels": [1]}, "'data' is NoneType"),
        ({b"data": b"", b"labels": [1]}, "'data' is bytes"),
        ({b"data": np.zeros((1, 3071), np.uint8), b"labels": [1]}, r"'data' is an array \(1, 3071\)"),
        ({b"data": np.zeros((1, 3072), np.uint8)}, "'labels' to be a list of 1"),
        ({b"data": np.zeros((1, 3072), np.uint8), b"labels": [1, 2]}, "'labels' to be a list of 1"),
        ({b"data": np.zeros((1, 3072), np.uint8), b"labels": [1.0]}, "whole numbers"),
        ({b"data": np.zeros((1, 3072), np.uint8), b"labels": [True]}, "whole numbers"),
        ({b"data": np.zeros((1, 3072)), b"labels": [1]}, "an array of type 'f8'"),
        ({b"data": np.array([["a"]], object), b"labels": [1]}, "an array of type 'O8'"),
    ],
)
def test_another_content(folder, content, message):
    with pytest.raises(DataError, match=message):
        read_pickled_batch(put(folder / "other", pickle.dumps(content, 4)), 1)


class Runs:
    """Calls `function` with `args` when an ordinary unpickler loads it."""

    def __init__(self, function, *args):
        self.call = (function, args)

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize(
    "attack",
    [
        lambda mark: Runs(os.system, f"touch {mark}"),
        lambda mark: Runs(os.mkdir, str(mark)),
        lambda mark: Runs(eval, f"__import__('os').mkdir({str(mark)!r})"),
        lambda mark: Runs(partial(os.mkdir, str(mark))),
        lambda mark: Runs(np.save, str(mark), 0),
        lambda mark: {b"data": np.array([Runs(os.mkdir, str(mark))], object)},
        lambda mark: {b"labels": [1, (2, Runs(os.mkdir, str(mark)))]},
    ],
    ids=["system", "mkdir", "eval", "partial", "numpy", "in an array", "nested"],
)
def test_a_pickle_that_runs_something_is_refused(tmp_path, protocol, attack):
    mark = tmp_path / "mark.npy"
    path = put(tmp_path / "evil", pickle.dumps(attack(mark), protocol))
    with pytest.raises(DataError, match="evil: refused"):
        read_pickled_batch(path, 1)
    assert not mark.exists()


def test_the_attack_would_work_on_an_ordinary_unpickler(tmp_path):
    mark = tmp_path / "mark"
    pickle.loads(pickle.dumps(Runs(os.mkdir, str(mark))))  # noqa: S301
    assert mark.exists()


@pytest.mark.parametrize("shape", [b"K\x02\x85", b"J\xff\xff\xff\xff\x85", b"U\x01a\x85", b"N"])
def test_an_array_that_does_not_fill_its_shape_is_refused(folder, shape):
    # Written by hand: {'data': array of this shape whose content is the one byte 'x'}.
    array = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\0\x85U\x01b\x87R"
    kind = b"cnumpy\ndtype\nU\x02u1K\0K\x01\x87R"
    content = b"\x80\x02}U\x04data" + array + b"(K\x01" + shape + kind + b"\x89U\x01xtbs."
    with pytest.raises(DataError, match="shape: refused"):
        read_pickled_batch(put(folder / "shape", content), 1)


@pytest.mark.parametrize("name", ["dtype", "ndarray", "_reconstruct"])
def test_a_name_of_numpy_in_another_module_is_refused(folder, name):
    with pytest.raises(DataError, match=f"it names elsewhere.{name}"):
        read_pickled_batch(put(folder / "name", f"celsewhere\n{name}\n.".encode()), 1)


def test_a_huge_file_is_refused(folder):
    path = folder / "huge"
    with path.open("wb") as file:
        file.truncate(65 * 2**20)
    with pytest.raises(DataError, match="more than 67108864 bytes"):
        read_pickled_batch(path, 1)
