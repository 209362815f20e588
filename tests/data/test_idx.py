import gzip

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from targetprop.data import DataError
from targetprop.data.idx import read_images, read_labels

IMAGES = hnp.arrays(np.uint8, hnp.array_shapes(min_dims=3, max_dims=3, min_side=1, max_side=5))
LABELS = hnp.arrays(np.uint8, st.integers(1, 20), elements=st.integers(0, 9))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("idx")


def put(path, content: bytes):
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


@pytest.mark.parametrize("name", ["images", "images.gz"])
@settings(deadline=None)
@given(images=IMAGES)
def test_images_come_back(folder, idx_bytes, name, images):
    np.testing.assert_array_equal(read_images(put(folder / name, idx_bytes(images)), images.shape), images)


@pytest.mark.parametrize("name", ["labels", "labels.gz"])
@settings(deadline=None)
@given(labels=LABELS)
def test_labels_come_back(folder, idx_bytes, name, labels):
    read = read_labels(put(folder / name, idx_bytes(labels)), len(labels), 10)
    assert read.dtype == np.int32
    np.testing.assert_array_equal(read, labels)


@pytest.mark.parametrize("name", ["cut", "cut.gz"])
@settings(deadline=None)
@given(images=IMAGES, data=st.data())
def test_every_cut_is_noticed(folder, idx_bytes, name, images, data):
    content = idx_bytes(images)
    kept = data.draw(st.integers(0, len(content) - 1))
    with pytest.raises(DataError, match=r"truncated|cut short|not an IDX file"):
        read_images(put(folder / name, content[:kept]), images.shape)


@settings(deadline=None)
@given(images=IMAGES, data=st.data())
def test_every_cut_of_the_gzip_stream_is_noticed(folder, idx_bytes, images, data):
    content = gzip.compress(idx_bytes(images))
    path = folder / "stream.gz"
    path.write_bytes(content[: data.draw(st.integers(0, len(content) - 1))])
    with pytest.raises(DataError, match=r"stream\.gz"):
        read_images(path, images.shape)


@pytest.mark.parametrize("name", ["more", "more.gz"])
@settings(deadline=None)
@given(images=IMAGES, extra=st.binary(min_size=1, max_size=9))
def test_trailing_bytes_are_noticed(folder, idx_bytes, name, images, extra):
    with pytest.raises(DataError, match="more bytes follow"):
        read_images(put(folder / name, idx_bytes(images) + extra), images.shape)


@settings(deadline=None)
@given(images=IMAGES, place=st.integers(0, 15), value=st.integers(1, 255))
def test_every_change_of_the_header_is_noticed(folder, idx_bytes, images, place, value):
    content = bytearray(idx_bytes(images))
    content[place] ^= value
    with pytest.raises(DataError, match="expected IDX images of"):
        read_images(put(folder / "header", bytes(content)), images.shape)


@pytest.mark.parametrize("name", ["noise", "noise.gz"])
@settings(deadline=None)
@given(content=st.binary(max_size=60))
def test_noise_is_a_data_error(folder, name, content):
    path = folder / name
    path.write_bytes(content)
    with pytest.raises(DataError, match=name):
        read_labels(path, 10, 10)


def test_damaged_gzip_stream(folder, idx_bytes):
    content = bytearray(gzip.compress(idx_bytes(np.arange(200).reshape(2, 10, 10))))
    content[-6] ^= 1
    path = folder / "damaged.gz"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"damaged \(.*\), expected a gzip file"):
        read_images(path, (2, 10, 10))


def test_swapped_files_say_what_they_hold(folder, idx_bytes):
    images = put(folder / "a", idx_bytes(np.zeros((7, 2, 2))))
    labels = put(folder / "b", idx_bytes(np.zeros(7)))
    with pytest.raises(DataError, match="b: holds IDX labels of 7 bytes, expected IDX images of 7 x 2 x 2"):
        read_images(labels, (7, 2, 2))
    with pytest.raises(DataError, match="a: holds IDX images of 7 x 2 x 2 bytes, expected IDX labels of 7"):
        read_labels(images, 7, 10)


def test_another_number_of_items(folder, idx_bytes):
    with pytest.raises(DataError, match="holds IDX labels of 6 bytes, expected IDX labels of 7 bytes"):
        read_labels(put(folder / "six", idx_bytes(np.zeros(6))), 7, 10)


def test_another_type_of_values(folder, idx_bytes):
    content = bytearray(idx_bytes(np.zeros(6)))
    content[2] = 0x0D
    with pytest.raises(DataError, match="IDX values of type 0x0d"):
        read_labels(put(folder / "floats", bytes(content)), 6, 10)


def test_label_that_is_no_class(folder, idx_bytes):
    with pytest.raises(DataError, match="label 10 at index 2, expected labels 0 to 9"):
        read_labels(put(folder / "ten", idx_bytes(np.array([0, 9, 10, 3]))), 4, 10)


@pytest.mark.parametrize("name", ["absent", "absent.gz"])
def test_absent_file(folder, name):
    with pytest.raises(DataError, match=r"cannot be read \(No such file"):
        read_labels(folder / name, 4, 10)
