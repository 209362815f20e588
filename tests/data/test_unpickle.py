"""Pickles that are made to exhaust the reader: refused before they run. What is plain comes back."""

import hashlib
import pickle
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from targetprop.data import DataError, unpickle
from targetprop.data.unpickle import CONTAINERS, INSTRUCTIONS, read_pickle

ATOMS = st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats(allow_nan=False) | st.binary() | st.text()
PLAIN = st.recursive(
    ATOMS, lambda inner: st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(st.text(), inner), max_leaves=12
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("pickles")


def put(folder, content: bytes):
    path = folder / "file"
    path.write_bytes(content)
    return path


@settings(deadline=None, max_examples=30)
@given(value=PLAIN, protocol=st.sampled_from((3, 4)))
def test_plain_values_come_back_as_from_an_ordinary_unpickler(folder, value, protocol):
    """`repr` and back: no container is in two places."""
    apart = eval(repr(value), {"inf": float("inf")})
    content = pickle.dumps({"value": apart, "again": "value"}, protocol)
    assert read_pickle(put(folder, content)) == pickle.loads(content)  # noqa: S301


def nested(depth: int) -> bytes:
    return b"\x80\x02}K\x01)" + b"\x85" * depth + b"s."


def doubled(times: int) -> bytes:
    """`t = (t, t)`, so many times: 2**times values in a few bytes each."""
    return b"".join(b"q%ch%c\x86" % (i, i) for i in range(times))


HOSTILE = {
    "nested tuples": (nested(200_000), f"more than {CONTAINERS} containers"),
    "nested lists": (b"\x80\x02}K\x01" + b"](" * 200_000 + b"K\x01" + b"e" * 200_000 + b"s.", "containers"),
    "a type code that is long in words": (b"cnumpy\ndtype\n(K\x00" + doubled(50) + b"tR.", "a container in two places"),
    "a key that is long in its hash": (b"}K\x00" + doubled(50) + b"K\x01s.", "a container in two places"),
    "a list in itself": (b"]q\x00h\x00a.", "a container in two places"),
    # Two values at place 0: MEMOIZE counts places, not values, so place 1 has the tuple.
    "a container where text was": (b"U\x01aq\x00U\x01bq\x00U\x01c\x94)\x94h\x02\x86.", "a container in two places"),
    "bytes that are not there": (b"\x80\x03B" + b"\xff\xff\xff\xf0" + b"x.", "expected 4043309055 bytes"),
    "bytes with a long length": (b"\x80\x04\x8e" + (2**32).to_bytes(8, "little") + b"x.", "expected 4294967296 bytes"),
    "a bytearray": (b"\x80\x05\x96" + (2**32).to_bytes(8, "little") + b"x.", "expected 4294967296 bytes"),
    "a place far away": (b"K\x01r\xff\xff\xff\x7f.", "stores a value at 2147483647"),
    "a place far away in words": (b"K\x01p2147483647\n.", "stores a value at 2147483647"),
    "a frame of 4 GB": (b"\x80\x04\x95" + (2**32).to_bytes(8, "little") + b"K\x01.", "longer than the file"),
    "a number of many digits": (b"\x8b" + (400).to_bytes(4, "little") + b"\x01" * 400 + b".", "more than 20 digits"),
    "a number of very many digits": (b"I" + b"1" * 100_000 + b"\n.", "ValueError"),
    "very many instructions": (b"(" + b"N" * INSTRUCTIONS + b"l.", f"more than {INSTRUCTIONS} instructions"),
    "an extension": (b"\x82\x01.", "EXT1"),
    "a persistent name": (b"Pname\n.", "PERSID"),
    "an instance": (b"(inumpy\ndtype\n.", "INST"),
}


@pytest.fixture
def little_memory():
    """The process can take 1 GiB more than it has, where the system knows how much that is."""
    if not Path("/proc/self/statm").exists():
        yield
        return
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    now = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (now + 2**30, hard))
    yield
    resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.usefixtures("little_memory")
def test_a_file_that_would_exhaust_the_reader_is_refused(folder, name):
    content, reason = HOSTILE[name]
    with pytest.raises(DataError, match=rf"file: refused \(.*{reason}") as refused:
        read_pickle(put(folder, content))
    assert len(str(refused.value)) < 1000


SHAPES = {
    "copies": b"(U\x01aJ\xff\xff\xff\x7ft",  # "a" times 2**31 - 1, if the entries are multiplied
    "negative": b"(J\xff\xff\xff\xffJ\xff\xff\xff\xfft",
    "true": b"(\x88t",
    "real": b"(G\x3f\xf0\x00\x00\x00\x00\x00\x00t",
    "many": b"(" + b"K\x01" * 9 + b"t",
}


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.usefixtures("little_memory")
def test_a_shape_is_a_few_whole_numbers(folder, name):
    """Written by hand: an array of this shape whose content is the one byte 'x'."""
    array = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\0\x85U\x01b\x87R"
    kind = b"cnumpy\ndtype\nU\x02u1K\0K\x01\x87R"
    content = b"\x80\x02}U\x04data" + array + b"(K\x01" + SHAPES[name] + kind + b"\x89U\x01xtbs."
    with pytest.raises(DataError, match="does not fill its shape"):
        read_pickle(put(folder, content))
    one = content.replace(SHAPES[name], b"K\x01\x85")
    assert read_pickle(put(folder, one))[b"data"].tobytes() == b"x"


def test_the_state_of_an_array_goes_to_an_array(folder):
    """`BUILD` on what a name stands for would set attributes of the reader."""
    with pytest.raises(DataError, match="refused"):
        read_pickle(put(folder, b"cnumpy\ndtype\n}U\x04codeK\x01sb."))


def test_a_file_with_a_known_checksum_is_read_as_it_is(folder, monkeypatch):
    content = pickle.dumps({b"data": np.zeros((1, 2), np.uint8)}, 4)
    looked = []
    monkeypatch.setattr(unpickle, "_check", looked.append)
    read_pickle(put(folder, content), hashlib.md5(content).hexdigest())
    assert looked == []
    read_pickle(put(folder, content), hashlib.md5(b"another").hexdigest())
    assert looked == [content]


@pytest.mark.parametrize("name", ["data_batch_1", "test_batch"])
def test_the_published_files_pass_the_check_of_unknown_ones(real_data, name):
    path = real_data / "cifar-10-batches-py" / name
    if not path.exists():
        pytest.skip("the Python version of CIFAR-10 is not there")
    assert read_pickle(path)[b"data"].shape == (10_000, 3072)
