import hashlib
import io
import tarfile

import pytest

from targetprop.data import DataError, fetch
from targetprop.data.layout import HashedFile
from targetprop.data.remote import RemoteArchive, RemoteFiles

ONE, TWO = b"1" * 100, b"2" * 100


def form(name: str, content: bytes) -> HashedFile:
    return HashedFile(name, hashlib.md5(content).hexdigest())


def tar(entries: dict[str, bytes | str]) -> bytes:
    """A tar archive of plain files (bytes) and symbolic links (text)."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, content in entries.items():
            entry = tarfile.TarInfo(name)
            if isinstance(content, str):
                entry.type, entry.linkname, entry.size = tarfile.SYMTYPE, content, 100
                archive.addfile(entry)
            else:
                entry.size = len(content)
                archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def archive_of(mirror, content: bytes, *, on_server: bytes | None = None) -> RemoteArchive:
    mirror.files["/a.tar.gz"] = content if on_server is None else on_server
    members = (form("one", ONE), form("two", TWO))
    return RemoteArchive(mirror.url, "toy", "set", form("a.tar.gz", content), members, 100)


def below(folder) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_files_are_kept_as_they_come(mirror, tmp_path):
    mirror.files |= {"/one": ONE, "/two": TWO}
    remote = RemoteFiles(mirror.url, "toy", "Toy/raw", (form("one", ONE), form("two", TWO)))
    assert remote.fetch(tmp_path, progress=False) == tmp_path / "Toy/raw"
    assert below(tmp_path) == {"Toy/raw/one", "Toy/raw/two"}


def test_variable_names_another_mirror(mirror, tmp_path, monkeypatch):
    mirror.files["/copies/toy/one"] = ONE
    monkeypatch.setenv("TARGETPROP_MIRROR", f"{mirror.url}/copies/")
    RemoteFiles("http://nowhere.invalid", "toy", "Toy", (form("one", ONE),)).fetch(tmp_path, progress=False)
    assert below(tmp_path) == {"Toy/one"}


def test_archive_is_unpacked_and_removed(mirror, tmp_path):
    remote = archive_of(mirror, tar({"set/one": ONE, "set/two": TWO, "set/readme": b"text"}))
    assert remote.fetch(tmp_path, progress=False) == tmp_path / "set"
    assert below(tmp_path) == {"set/one", "set/two"}
    assert (tmp_path / "set/two").read_bytes() == TWO
    remote.fetch(tmp_path, progress=False)
    assert len(mirror.requests) == 1


def test_damaged_member_is_fetched_again(mirror, tmp_path):
    remote = archive_of(mirror, tar({"set/one": ONE, "set/two": TWO}))
    remote.fetch(tmp_path, progress=False)
    (tmp_path / "set/one").write_bytes(TWO)
    remote.fetch(tmp_path, progress=False)
    assert (tmp_path / "set/one").read_bytes() == ONE


def test_nothing_is_written_elsewhere(mirror, tmp_path):
    entries = {"../outside": b"x", "set/../../up": b"x", str(tmp_path / "absolute"): b"x"}
    remote = archive_of(mirror, tar(entries | {"set/one": ONE, "set/two": TWO}))
    remote.fetch(tmp_path / "root", progress=False)
    assert below(tmp_path) == {"root/set/one", "root/set/two"}


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({"set/one": ONE}, "expected set/two, a plain file of 100 bytes"),
        ({"set/one": ONE, "set/two": TWO + TWO}, "expected set/two, a plain file of 100 bytes"),
        ({"set/one": ONE, "set/two": "one"}, "expected set/two, a plain file"),
        ({"set/one": ONE, "set/two": "/etc/passwd"}, "expected set/two, a plain file"),
        ({"set/one": ONE, "set/two": ONE}, "set/two has another MD5"),
    ],
)
def test_archive_with_other_members(mirror, tmp_path, entries, message):
    with pytest.raises(DataError, match=rf"cannot be unpacked \({message}.*remove it and fetch again"):
        archive_of(mirror, tar(entries)).fetch(tmp_path, progress=False)
    assert below(tmp_path) == {"a.tar.gz", "set/one"}


@pytest.mark.parametrize(
    "content", [b"no archive", tar({"set/one": ONE, "set/two": TWO})[:-20]], ids=["no tar", "truncated"]
)
def test_what_is_no_archive(mirror, tmp_path, content):
    with pytest.raises(DataError, match="cannot be unpacked"):
        archive_of(mirror, content).fetch(tmp_path, progress=False)


def test_archive_with_another_checksum(mirror, tmp_path):
    remote = archive_of(mirror, tar({"set/one": ONE, "set/two": TWO}), on_server=tar({"set/one": TWO}))
    with pytest.raises(DataError, match="the server holds another file"):
        remote.fetch(tmp_path, progress=False)
    assert below(tmp_path) == set()


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("mnist", "/mnist/train-images-idx3-ubyte.gz"),
        ("fashion-mnist", "/fashion-mnist/train-images-idx3-ubyte.gz"),
        ("kmnist", "/kmnist/train-images-idx3-ubyte.gz"),
        ("cifar10", "/cifar10/cifar-10-binary.tar.gz"),
    ],
)
def test_each_published_set_asks_its_mirror_and_checks(mirror, own_cache, monkeypatch, name, path):
    monkeypatch.setenv("TARGETPROP_MIRROR", mirror.url)
    with pytest.raises(DataError, match=rf"{path}: the server answers 404"):
        fetch(name, progress=False)
    mirror.files[path] = b"another file"
    with pytest.raises(DataError, match="the server holds another file"):
        fetch(name, progress=False)
    assert below(own_cache) == set()


def test_members_are_not_written_through_planted_links(mirror, tmp_path):
    """In place of a member, and of the file that is not yet complete."""
    remote = archive_of(mirror, tar({"set/one": ONE, "set/two": TWO}))
    (tmp_path / "set").mkdir()
    for name in ("one.part", "two"):
        (tmp_path / name).write_bytes(b"precious")
        (tmp_path / "set" / name).symlink_to(tmp_path / name)
    remote.fetch(tmp_path, progress=False)
    assert below(tmp_path) == {"set/one", "set/two", "one.part", "two"}
    assert {(tmp_path / name).read_bytes() for name in ("one.part", "two")} == {b"precious"}
    assert (tmp_path / "set/two").read_bytes() == TWO
    assert not (tmp_path / "set/two").is_symlink()
