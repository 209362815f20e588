"""Ways in which files are damaged."""

import random
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from targetprop.training.checkpoint import previous, read_checkpoint, save_checkpoint

Damage = Callable[[Path], None]


def changed(change: Callable[[bytes], bytes]) -> Damage:
    """Damage that replaces the content of a file."""
    return lambda path: path.write_bytes(change(path.read_bytes())) and None


def flipped(seed: int) -> Damage:
    """One bit is flipped."""

    def flip(data: bytes) -> bytes:
        at = random.Random(seed).randrange(8 * len(data))
        return data[: at // 8] + bytes([data[at // 8] ^ (1 << at % 8)]) + data[at // 8 + 1 :]

    return changed(flip)


def cut(share: float) -> Damage:
    """The end of the file is missing."""
    return changed(lambda data: data[: int(share * len(data))])


def replaced(content: bytes) -> Damage:
    """The file has another content."""
    return changed(lambda _: content)


def zeroed(start: float, stop: float) -> Damage:
    """A part of the file is zero, as after a crash of the machine."""

    def zero(data: bytes) -> bytes:
        first, last = int(start * len(data)), int(stop * len(data))
        return data[:first] + bytes(last - first) + data[last:]

    return changed(zero)


def without_line(number: int) -> Damage:
    """A line is missing. A negative number counts from the end."""

    def remove(data: bytes) -> bytes:
        lines = data.splitlines(keepends=True)
        del lines[number]
        return b"".join(lines)

    return changed(remove)


def removed(path: Path) -> None:
    """The file is missing."""
    path.unlink()


def folder_instead(path: Path) -> None:
    """There is a folder in place of the file."""
    path.unlink()
    path.mkdir()


def edited(old: bytes, new: bytes) -> Damage:
    """Somebody has edited the file."""
    return changed(lambda data: data.replace(old, new, 1))


GARBAGE = bytes(range(256)) * 4
GENERAL: Mapping[str, Damage] = {
    "is empty": replaced(b""),
    "is binary": replaced(GARBAGE),
    "is half": cut(0.5),
    "is zero": zeroed(0.0, 1.0),
    "is a folder": folder_instead,
    "is another document": replaced(b"[1, 2]\n"),
    "is a number": replaced(b"3\n"),
    "is not UTF-8": replaced("{'é': 1}\n".encode("latin-1")),
    "is nested deeply": replaced(b"[" * 100_000),
}


def with_header(path: Path, change: Callable[[dict], None]) -> None:
    """Change the header of a checkpoint. Its checksum is right, and the one before stays."""
    found, before = read_checkpoint(path), previous(path).read_bytes()
    header = dict(found.header)
    change(header)
    save_checkpoint(path, list(found.arrays), header)
    previous(path).write_bytes(before)


def header_damages(path: Path) -> Iterator[tuple[str, Damage]]:
    """Each field of the header removed, or replaced by values that cannot be."""
    header = read_checkpoint(path).header
    for field in header:
        yield f"without {field}", lambda path, field=field: with_header(path, lambda found: found.pop(field))
        for value in (None, -1, 10**9, "x", []):
            if value != header[field]:
                yield f"{field} = {value!r}", _setting(field, value)


def _setting(field: str, value: Any) -> Damage:
    return lambda path: with_header(path, lambda found: found.__setitem__(field, value))
