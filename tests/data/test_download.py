import hashlib
import socket

import numpy as np
import pytest

from targetprop.data import DataError
from targetprop.data.download import download
from targetprop.data.layout import HashedFile

CONTENT = np.random.default_rng(0).integers(0, 256, 200_000, np.uint8).tobytes()
MD5 = hashlib.md5(CONTENT).hexdigest()
HALF = len(CONTENT) // 2


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "below" / "folder"


@pytest.fixture
def half(folder):
    """What an interrupted download leaves."""
    folder.mkdir(parents=True)
    part = folder / "file.part"
    part.write_bytes(CONTENT[:HALF])
    return part


def get(mirror, folder, md5=MD5):
    return download(f"{mirror.url}/", HashedFile("file", md5), folder, progress=False)


def left(folder) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_success(mirror, folder):
    mirror.files["/file"] = CONTENT
    path = get(mirror, folder)
    assert path == folder / "file"
    assert path.read_bytes() == CONTENT
    assert left(folder) == {"file"}
    assert mirror.requests == [("/file", None)]


def test_nothing_is_asked_for_twice(mirror, folder):
    mirror.files["/file"] = CONTENT
    get(mirror, folder)
    get(mirror, folder)
    assert len(mirror.requests) == 1


def test_half_file_is_completed(mirror, folder, half):
    mirror.files["/file"] = CONTENT
    assert get(mirror, folder).read_bytes() == CONTENT
    assert mirror.requests == [("/file", f"bytes={HALF}-")]
    assert left(folder) == {"file"}


def test_whole_part_is_taken(mirror, folder, half):
    half.write_bytes(CONTENT)
    mirror.files["/file"] = CONTENT
    assert get(mirror, folder).read_bytes() == CONTENT
    assert mirror.requests == [("/file", f"bytes={len(CONTENT)}-")]


def test_server_without_ranges_sends_all_again(mirror, folder, half):
    mirror.files["/file"] = CONTENT
    mirror.ranges = False
    assert get(mirror, folder).read_bytes() == CONTENT
    assert mirror.requests == [("/file", f"bytes={HALF}-")]


@pytest.mark.parametrize("length", [HALF, len(CONTENT), 2 * len(CONTENT)])
def test_corrupt_part_is_discarded_and_fetched_anew(mirror, folder, half, length, caplog):
    half.write_bytes(bytes(length))
    mirror.files["/file"] = CONTENT
    assert get(mirror, folder).read_bytes() == CONTENT
    assert mirror.requests == [("/file", f"bytes={length}-"), ("/file", None)]
    assert "discarded and downloaded once more from the beginning" in caplog.text
    assert str(half) in caplog.text


def test_wrong_checksum_twice_is_an_error(mirror, folder):
    mirror.files["/file"] = b"another file"
    with pytest.raises(DataError, match=f"expected {MD5}: the server holds another file; set TARGETPROP_MIRROR"):
        get(mirror, folder)
    assert mirror.requests == [("/file", None)] * 2
    assert left(folder) == set()


def test_corrupt_finished_file_is_replaced(mirror, folder):
    mirror.files["/file"] = CONTENT
    get(mirror, folder).write_bytes(CONTENT[:-1])
    assert get(mirror, folder).read_bytes() == CONTENT


def test_a_failed_replacement_keeps_what_was_there(mirror, folder):
    folder.mkdir(parents=True)
    (folder / "file").write_bytes(b"old")
    mirror.files["/file"] = b"wrong"
    with pytest.raises(DataError):
        get(mirror, folder)
    assert (folder / "file").read_bytes() == b"old"


def test_interrupted_transfer_goes_on(mirror, folder):
    mirror.files["/file"] = CONTENT
    mirror.break_after = 70_000
    with pytest.raises(DataError, match=r"broke off \(.*\); the same command continues from"):
        get(mirror, folder)
    assert left(folder) == {"file.part"}
    assert (folder / "file.part").read_bytes() == CONTENT[:70_000]
    assert get(mirror, folder).read_bytes() == CONTENT
    assert mirror.requests == [("/file", None), ("/file", "bytes=70000-")]


def test_missing_on_the_server(mirror, folder):
    with pytest.raises(DataError, match="/file: the server answers 404 Not Found, expected the file; set"):
        get(mirror, folder)
    assert left(folder) == set()


def test_missing_on_the_server_keeps_the_half(mirror, folder, half):
    with pytest.raises(DataError, match="404"):
        get(mirror, folder)
    assert half.read_bytes() == CONTENT[:HALF]


def test_no_server(folder):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        with pytest.raises(DataError, match=r"cannot be reached \(.*refused.*\); try the same command again later"):
            download(f"http://127.0.0.1:{port}", HashedFile("file", MD5), folder, progress=False)


def test_no_address(folder):
    with pytest.raises(DataError, match=r"unknown url type.*set TARGETPROP_MIRROR to an address such as"):
        download("some/folder", HashedFile("file", MD5), folder, progress=False)


def test_folder_that_cannot_be_made(mirror, tmp_path):
    (tmp_path / "taken").write_text("a file, not a folder")
    with pytest.raises(DataError, match=r"cannot be written.*choose another folder"):
        get(mirror, tmp_path / "taken" / "folder")


@pytest.mark.parametrize("shown", [True, False])
def test_progress_is_on_standard_error_only(mirror, folder, capsys, shown):
    mirror.files["/file"] = CONTENT
    download(mirror.url, HashedFile("file", MD5), folder, progress=shown)
    output = capsys.readouterr()
    assert output.out == ""
    assert ("file" in output.err) == shown


def test_a_download_that_does_not_end_is_given_up(mirror, folder, monkeypatch):
    monkeypatch.setattr("targetprop.data.download.LIMIT", 10**6)
    mirror.endless = True
    with pytest.raises(DataError, match="file: more than 1000000 bytes, so it cannot be the file; set TARGETPROP_MIRROR"):
        get(mirror, folder)
    assert left(folder) == set()
    assert len(mirror.requests) == 1


def test_a_download_that_says_it_is_too_long_is_not_begun(mirror, folder, monkeypatch, half):
    monkeypatch.setattr("targetprop.data.download.LIMIT", len(CONTENT) - 1)
    mirror.files["/file"] = CONTENT
    with pytest.raises(DataError, match=f"more than {len(CONTENT) - 1} bytes"):
        get(mirror, folder)
    assert left(folder) == set()
    monkeypatch.setattr("targetprop.data.download.LIMIT", len(CONTENT))
    assert get(mirror, folder).read_bytes() == CONTENT


@pytest.mark.parametrize("name", ["file", "file.part"])
@pytest.mark.parametrize("there", [True, False])
def test_a_planted_link_is_not_followed(mirror, folder, tmp_path, name, there):
    folder.mkdir(parents=True)
    elsewhere = tmp_path / "precious"
    if there:
        elsewhere.write_bytes(b"precious")
    (folder / name).symlink_to(elsewhere)
    mirror.files["/file"] = CONTENT
    path = get(mirror, folder)
    assert path.read_bytes() == CONTENT
    assert not path.is_symlink()
    assert left(folder) == {"file"}
    assert (elsewhere.read_bytes() if there else None) == (b"precious" if there else None)
    assert elsewhere.exists() == there
