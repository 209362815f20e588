"""Searches whose settings are not trained, and where they keep their trials."""

import math
from pathlib import Path

import optuna

import targetprop as tp
from targetprop.experiments.study import open_storage

SMALL = tp.recipe("bp").replace(architecture=tp.MLP((3,)), schedule=tp.Schedule(1))
FOUR = tp.recipe("dtp").replace(architecture=tp.MLP((3,)), schedule=tp.Schedule(1))
"""A recipe with four numbers to search."""

RATE = "optimizer.learning_rate"


def error(proposal) -> float:
    """An error that has its minimum at 0.01 for each number, and is infinite for some settings."""
    distance = sum(abs(math.log10(value) + 2) for value in proposal.values())
    return math.inf if distance > 5 else round(distance, 3)


class Calls(list):
    """What was trained: the settings of each group. The group with the number `stop` fails."""

    stop: int | None = None
    failure: type[BaseException] = KeyboardInterrupt


def place(kind: str, folder: Path) -> dict:
    """The arguments for a search that keeps its trials in a folder."""
    return {"out": folder} if kind == "journal" else {"storage": f"sqlite:///{folder / 'search.db'}"}


def stored(folder: Path, name: str = "dtp on digits", kind: str = "journal") -> list[optuna.trial.FrozenTrial]:
    arguments = place(kind, folder)
    storage = open_storage(arguments.get("storage"), folder / f"{name.split()[0]}.journal")
    return optuna.load_study(study_name=name, storage=storage).trials


def in_state(trials, state):
    return [trial for trial in trials if trial.state == state]
