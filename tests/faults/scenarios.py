"""Commands that do long work, and how each of them is continued."""

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path

from faults.injection import Fault
from faults.processes import Done, environment, run


@dataclasses.dataclass(frozen=True)
class Scenario:
    """A command that is killed and run again.

    **Arguments:**

    - `args`: the words after `targetprop`. Its files are in the working directory.
    - `again`: what is added, so that the command continues.
    - `needs`: commands whose files it reads. They are run before.
    - `repeatable`: whether its files are the same each time. A benchmark's are not.
    """

    args: tuple[str, ...]
    again: tuple[str, ...] = ()
    needs: tuple[tuple[str, ...], ...] = ()
    repeatable: bool = True

    @property
    def command(self) -> tuple[str, ...]:
        """The command line that can always be run again."""
        return (*self.args, *self.again)


def _train(flags: str) -> Scenario:
    return Scenario(("train", *flags.split(), "--out", "run"), ("--resume",))


def _command(args: str, again: str = "", reads_run: bool = False, repeatable: bool = True) -> Scenario:
    run = ("train bp --hidden 8 --epochs 2 --seeds 2 --out run",) if reads_run else ()
    return Scenario(tuple(args.split()), tuple(again.split()), tuple(tuple(one.split()) for one in run), repeatable)


SCENARIOS: Mapping[str, Scenario] = {
    "train bp": _train("bp --hidden 8 --epochs 5"),
    "train bp, checkpoint every 2": _train("bp --hidden 8 --epochs 5 --checkpoint-every 2"),
    "train bp, 3 seeds": _train("bp --hidden 8 --epochs 4 --seeds 3 --first-seed 7"),
    "train bp, float64 and SGD": _train("bp --hidden 8 --epochs 4 --dtype float64 --optimizer sgd"),
    "train dtp, pretraining": _train("dtp --hidden 8 --epochs 3 --pretraining 4"),
    "train ddtp-linear, probe": _train("ddtp-linear --hidden 8 8 --epochs 3 --pretraining 2 --diagnose-every 20"),
    "train dtpdrl, passes between": _train(
        "dtpdrl --hidden 8 8 --epochs 3 --pretraining 1 --between 2 --seeds 2 --checkpoint-every 2"
    ),
    "train fa, one random layer": _train(
        "fa --hidden 8 8 --epochs 4 --update-mask one-random-layer --optimizer.schedule cosine"
    ),
    "search": _command("search bp --trials 6 --epochs 2 --seeds 1 --together 2 --out search"),
    "compare": _command("compare --rules bp dfa --seeds 2 --epochs 2 --out comparison", "--resume"),
    "reproduce, an experiment": _command("reproduce farias2018 fig2 --results results"),
    "reproduce, several parts": _command("reproduce thesis2019 fig-5.7 --epochs 1 --seeds 2 --results results"),
    "reproduce, trained networks": _command("reproduce thesis2019 single-phase --epochs 2 --seeds 1 --results results"),
    "evaluate": _command("evaluate run", reads_run=True),
    "predict": _command("predict run --out predictions.csv", reads_run=True),
    "plot": _command("plot run", reads_run=True),
    "bench": _command("bench --sizes 6 5 4 --rules bp --rounds 2 --steps 2 --out bench.json", repeatable=False),
}


@dataclasses.dataclass(frozen=True)
class Unbroken:
    """A run of a scenario in which nothing happened.

    **Arguments:**

    - `folder`: its files.
    - `done`: how it ended.
    - `trace`: the operations on its files, in order: what, and on which.
    """

    folder: Path
    done: Done
    trace: list[tuple[str, str]]


def prepare(scenario: Scenario, folder: Path, cache: Path) -> None:
    """Run what a scenario needs."""
    folder.mkdir(parents=True)
    for args in scenario.needs:
        done = run(args, folder, environment(cache))
        assert done.status == 0, done.err


def unbroken(scenario: Scenario, folder: Path, cache: Path) -> Unbroken:
    """Run a scenario without a fault, and note its operations on files."""
    prepare(scenario, folder, cache)
    trace = folder.with_name(folder.name + "-trace.json")
    done = run(scenario.args, folder, environment(cache, FAULTS_TRACE=str(trace)), Fault())
    return Unbroken(folder, done, [tuple(entry) for entry in json.loads(trace.read_text())] if trace.exists() else [])
