"""The data files that lie in the package."""

import json
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Any


def beside(module: str, *path: str) -> Traversable:
    """The file or folder at `path` in the folder of the module whose `__name__` is given, whether it exists or not."""
    return resources.files(module.rpartition(".")[0]).joinpath(*path)


def read_json(file: Traversable) -> Any:
    """What a JSON file says."""
    return json.loads(file.read_text("utf-8"))
