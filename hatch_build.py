"""Builds what the wheel holds beside the package: the results of each paper, as one archive."""

import tempfile
import zipfile
from pathlib import Path

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

SUFFIXES = {".json", ".jsonl"}
DATE = (2020, 1, 1, 0, 0, 0)  # the same files give the same archive


class ResultsHook(BuildHookInterface):
    """Adds `targetprop/papers/PAPER/results.zip` for each paper with results.

    `targetprop reproduce PAPER ITEM --show` reads it where there is no folder of results.
    """

    def initialize(self, version, build_data):
        if version == "editable":  # the folder of results is there
            return
        self.folder = tempfile.TemporaryDirectory()
        for paper in sorted(Path(self.root, "results").iterdir()):
            if Path(self.root, "src", "targetprop", "papers", paper.name).is_dir():
                archive = Path(self.folder.name, f"{paper.name}.zip")
                _pack(paper, archive)
                build_data["force_include"][str(archive)] = f"targetprop/papers/{paper.name}/results.zip"

    def finalize(self, version, build_data, artifact_path):
        if version != "editable":
            self.folder.cleanup()


def _pack(folder: Path, archive: Path) -> None:
    files = sorted(path for path in folder.rglob("*") if path.suffix in SUFFIXES)
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as packed:
        for file in files:
            entry = zipfile.ZipInfo(file.relative_to(folder).as_posix(), DATE)
            packed.writestr(entry, file.read_bytes(), zipfile.ZIP_DEFLATED)
