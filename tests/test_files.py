"""Files are written completely or not at all, and never through a link."""

import os

import pytest

from targetprop import figures
from targetprop._files import whole_file, write_whole


def left(folder) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_until_the_end_there_is_the_old_file(tmp_path):
    path = tmp_path / "below" / "file"
    write_whole(path, "old")
    with whole_file(path) as file:
        file.write(b"new")
        file.flush()
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert left(path.parent) == {"file"}


def test_after_an_error_there_is_the_old_file(tmp_path):
    path = tmp_path / "file"
    write_whole(path, "old")
    with pytest.raises(TypeError), whole_file(path) as file:
        file.writelines([b"half", "no bytes"])
    assert path.read_text() == "old"
    assert left(tmp_path) == {"file"}


def test_what_a_killed_process_left_does_not_stand_in_the_way(tmp_path):
    path = tmp_path / "file"
    (tmp_path / "file.part").write_text("the half of a long text")
    write_whole(path, "new")
    assert path.read_text() == "new"
    assert left(tmp_path) == {"file"}


@pytest.mark.parametrize("name", ["file", "file.part"])
@pytest.mark.parametrize("there", [True, False])
def test_a_planted_link_is_not_followed(tmp_path, name, there):
    elsewhere = tmp_path / "precious"
    if there:
        elsewhere.write_text("precious")
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / name).symlink_to(elsewhere)
    write_whole(folder / "file", "new")
    assert (folder / "file").read_text() == "new"
    assert not (folder / "file").is_symlink()
    assert elsewhere.exists() == there
    assert not there or elsewhere.read_text() == "precious"


def test_the_old_file_can_be_kept(tmp_path):
    path = tmp_path / "file"
    for text in ("first", "second", "third"):
        with whole_file(path, previous=tmp_path / "previous") as file:
            file.write(text.encode())
    assert path.read_text() == "third"
    assert (tmp_path / "previous").read_text() == "second"


@pytest.mark.parametrize("umask", [0o022, 0o077])
def test_a_file_has_the_rights_that_the_user_gives(tmp_path, umask):
    before = os.umask(umask)
    try:
        write_whole(tmp_path / "file", "new")
        (tmp_path / "other").touch()
    finally:
        os.umask(before)
    assert (tmp_path / "file").stat().st_mode == (tmp_path / "other").stat().st_mode


@pytest.mark.parametrize("kind", figures.FORMATS)
def test_a_picture_is_written_completely_or_not_at_all(tmp_path, kind, monkeypatch):
    path = tmp_path / f"picture.{kind}"
    figure = figures.canvas(1, 1)
    figures.save(figure, path)
    written = path.read_bytes()
    assert written.startswith({"png": b"\x89PNG", "pdf": b"%PDF", "svg": b"<?xml"}[kind])
    with monkeypatch.context() as patched:
        patched.setattr(os, "replace", lambda *paths: pytest.fail("the file appears at the end"))
        with pytest.raises(pytest.fail.Exception):
            figures.save(figure, path)
    assert path.read_bytes() == written
    figures.save(figure, path)
    assert path.read_bytes() == written
