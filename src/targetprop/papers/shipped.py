"""The results of a paper that come with an installed package, in one archive for each paper."""

import contextlib
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

from .._packaged import beside


@contextlib.contextmanager
def shipped_results(source: str) -> Iterator[Path | None]:
    """A folder of results like that of `Options.results`, for a while.

    **Arguments:**

    - `source`: the short name of the paper.

    **Returns:** a context with the folder. `None` if no results of the paper came with the package,
    as in a checkout of its source.
    """
    archive = beside(__name__, source, "results.zip")
    if not archive.is_file():
        yield None
        return
    with tempfile.TemporaryDirectory() as folder, archive.open("rb") as file, zipfile.ZipFile(file) as packed:
        packed.extractall(Path(folder, source))
        yield Path(folder)
