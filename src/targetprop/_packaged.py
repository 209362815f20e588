"""Access to the data files of the package."""

import json
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Any


def beside(module: str, *path: str) -> Traversable:
    """The file or folder at `path` next to a module. It need not exist.

    **Arguments:**

    - `module`: the `__name__` of the module.
    - `path`: folder and file names, relative to the folder of the module.
    """
    return resources.files(module.rpartition(".")[0]).joinpath(*path)


def read_json(file: Traversable) -> Any:
    """The content of a JSON file."""
    return json.loads(file.read_text("utf-8"))
