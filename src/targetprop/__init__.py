"""Target propagation: rules that send targets backwards through a network, in one interface.

The public names are those of `_public.py`. They are loaded together, with JAX, when the first of
them is used. So the command line can print its help and its version without them.
"""

import importlib
from typing import TYPE_CHECKING, Any

from . import papers as papers  # registers the published recipes
from .version import __version__ as __version__

if TYPE_CHECKING:
    from ._public import *  # noqa: F403


def __getattr__(name: str) -> Any:
    _public = importlib.import_module("._public", __name__)
    names = globals()  # now also has the rooms that were imported
    names.update({public: getattr(_public, public) for public in _public.__all__}, __all__=_public.__all__)
    if name not in names:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return names[name]


def __dir__() -> list[str]:
    return [*globals(), *__getattr__("__all__")]
