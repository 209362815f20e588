"""Data sets of openml.org, by scikit-learn's `fetch_openml`."""

import contextlib
import dataclasses
from collections.abc import Callable, Iterator
from http.client import HTTPException
from pathlib import Path
from typing import Any, final
from urllib.error import URLError

from .._cache import cache
from .dataset import Dataset
from .errors import DataError
from .source import Check, check_options

PREFIX = "openml:"
LIMIT = 2 * 2**30
"""The number of bytes after which a download is given up."""


@final
@dataclasses.dataclass(frozen=True)
class OpenML:
    """A data set of openml.org. It is downloaded when it is loaded for the first time.

    A file of more than 2 GiB is given up.

    One fifth of the samples is the test set, with the same shares of the classes. Inputs are not
    scaled. A nominal input is the number of its category.

    **Arguments:**

    - `name`: the name of the set on openml.org, or its number.
    """

    name: str

    def load(self, **options: Any) -> Dataset:
        """Read the set. `version` is that of the set. Default: the active one.

        **Raises:** `DataError` if there is no such set, if it cannot be downloaded, or if its
        arrays do not fit.
        """
        return self._read(cache() / "openml", options)

    def fetch(self, folder: Path, *, progress: bool) -> Path:
        """Download the set below `folder`. Returns the folder of all sets of openml.org."""
        self._read(folder / "openml", {})
        return folder / "openml"

    def verify(self) -> list[Check]:
        """None: openml.org gives no checksums."""
        return []

    def _read(self, folder: Path, options: dict[str, Any]) -> Dataset:
        title = PREFIX + self.name
        check_options(title, options, ("version",))
        from sklearn.datasets import fetch_openml  # takes a second to import

        which: dict[str, Any] = {"data_id": int(self.name)} if self.name.isdigit() else {"name": self.name, **options}
        try:
            with _limited():
                found: Any = fetch_openml(**which, data_home=folder, as_frame=False, parser="liac-arff")
        except (EOFError, HTTPException, OSError, ValueError) as error:
            raise DataError(
                f"{title}: scikit-learn could not get it from openml.org ({error}): check the name and the connection"
            ) from error
        if found.target is None:
            raise DataError(f"{title} has no target: use a set with labels or numbers to predict")
        return Dataset.from_arrays(found.data, found.target, name=title, classify=found.target.dtype.kind != "f")


@contextlib.contextmanager
def _limited() -> Iterator[None]:
    """What scikit-learn downloads within this context has a limit, `LIMIT`.

    scikit-learn has no setting for it, so the function by which it opens an address is replaced.
    """
    from sklearn.datasets import _openml

    opened: Callable[..., Any] = _openml.urlopen

    def open_limited(*args: Any, **options: Any) -> Any:
        answer = opened(*args, **options)
        read, arrived = answer.read, 0

        def read_limited(*size: int | None) -> bytes:
            nonlocal arrived
            content = read(*size)
            arrived += len(content)
            if arrived > LIMIT:
                raise URLError(f"more than {LIMIT} bytes")  # scikit-learn does not try again after it
            return content

        answer.read = read_limited
        return answer

    _openml.urlopen = open_limited
    try:
        yield
    finally:
        _openml.urlopen = opened
