"""Whether two folders hold the same results, to the last bit. Times and machines are left out."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from safetensors.numpy import load_file

from faults.events import scalars
from faults.processes import Finding

VOLATILE = {"seconds", "seconds_per_epoch", "ratio_to_bp", "commit", "versions", "machine", "jax", "origin", "environment"}
PAGES = {"table.md"}
"""Pages with times in them. What else they say is compared in the JSON file beside them."""


def differences(one: Path, other: Path) -> list[Finding]:
    """What the folder `one` has lost, or has otherwise than `other`, that of an unbroken run."""
    found: list[Finding] = []
    for path in sorted(other.rglob("*")):
        name = path.relative_to(other)
        if path.is_file() and _counts(path):
            found += _files(one / name, path, str(name))
    for folder in sorted({path.parent for path in other.rglob("events.out.tfevents.*")}):
        name = folder.relative_to(other)
        found += _values(scalars(one / name), scalars(folder), f"{name}")
    return found


def _counts(path: Path) -> bool:
    """The checkpoint before the last one depends on where a run was interrupted."""
    return path.suffix in (".jsonl", ".json", ".safetensors", ".md", ".png", ".csv") and ".previous." not in path.name


def _files(one: Path, other: Path, name: str) -> list[Finding]:
    if not one.is_file():
        return [("lost", f"{name} is missing")]
    if one.suffix == ".jsonl":
        return _lines(one, other, name)
    if one.suffix == ".json":
        return _values(stable(one), stable(other), name)
    if one.name == "checkpoint.safetensors":
        return _values(arrays(one), arrays(other), name)
    if one.suffix == ".png":
        return [] if one.read_bytes().endswith(b"IEND\xaeB`\x82") else [("lost", f"{name} is cut off")]
    if one.name in PAGES or one.read_bytes() == other.read_bytes():
        return []
    return [("not equal", f"{name} differs")]


def _lines(one: Path, other: Path, name: str) -> list[Finding]:
    ours, theirs = one.read_bytes().splitlines(), other.read_bytes().splitlines()
    if ours == theirs:
        return []
    if len(ours) < len(theirs):
        return [("lost", f"{name} has {len(ours)} of {len(theirs)} lines")]
    line = next((i for i, (a, b) in enumerate(zip(ours, theirs, strict=False), start=1) if a != b), len(theirs) + 1)
    return [("not equal", f"{name} differs from line {line}, {len(ours)} and {len(theirs)} lines")]


def _values(one: dict[str, Any], other: dict[str, Any], name: str) -> list[Finding]:
    lost = [key for key in other if key not in one]
    wrong = [key for key in other if key in one and one[key] != other[key]]
    more = [key for key in one if key not in other]
    found = [("lost", f"{name}: {', '.join(lost[:3])}")] if lost else []
    shorter = [key for key in wrong if isinstance(one[key], list) and len(one[key]) < len(other[key])]
    if shorter:
        found.append(("lost", f"{name}: {len(one[shorter[0]])} of {len(other[shorter[0]])} points of {shorter[0]}"))
    elif wrong or more:
        found.append(("not equal", f"{name}: {', '.join((wrong + more)[:3])}"))
    return found


def stable(path: Path) -> dict[str, Any]:
    """A JSON document by the paths of its values, without times and machines."""
    try:
        return dict(_flat(json.loads(path.read_text()), ""))
    except ValueError:
        return {"damaged": path.name}


def _flat(value: Any, name: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for key, entry in value.items():
            if key not in VOLATILE:
                yield from _flat(entry, f"{name}.{key}" if name else key)
    elif isinstance(value, list):
        for i, entry in enumerate(value):
            yield from _flat(entry, f"{name}[{i}]")
    else:
        yield name, repr(value)


def arrays(path: Path) -> dict[str, tuple]:
    """The arrays of a checkpoint by name, with type, shape and bytes. The header has times."""
    return {name: (str(leaf.dtype), leaf.shape, leaf.tobytes()) for name, leaf in load_file(path).items()}
