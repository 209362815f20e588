"""`targetprop evaluate`."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import tyro
from tyro.conf import Positional

from ..training.evaluation import Part, evaluate_together
from .output import print_json, print_table
from .runs import open_run
from .tree import Command


@dataclasses.dataclass(frozen=True)
class EvaluateOptions:
    """The flags of `targetprop evaluate RUN`."""

    run: Positional[Path] = tyro.MISSING
    """Folder of a run."""
    dataset: str | None = None
    """Data set. Default: that of the run."""
    part: Part = "test"
    """Samples of the data set. The training samples include those for validation."""
    last: bool = False
    """Take the networks of the last epoch, not of the best one."""
    json: bool = False
    """Print one JSON document on standard output, and nothing else."""


def command(args: Sequence[str]) -> Command:
    """`targetprop evaluate RUN`."""
    return Command(EvaluateOptions(), run)


def run(options: EvaluateOptions) -> int:
    """Evaluate the networks of a run. Returns 0."""
    found, data, networks = open_run(options.run, options.dataset, options.last)
    loss = found.config.recipes[0].loss
    assessed = evaluate_together([one.network for one in networks], data, loss, part=options.part)
    rows = [(one, assessment) for one, assessment in zip(networks, assessed, strict=True) if one.kept]
    unit = assessed[0].unit
    if options.json:
        seeds = [{"seed": one.seed, "epoch": one.epoch, "error": a.error, "loss": a.loss} for one, a in rows]
        head = {"rule": found.result.rule, "dataset": data.name, "part": options.part, "unit": unit}
        print_json({**head, "seeds": seeds})
    else:
        lines = [(str(one.seed), str(one.epoch), f"{a.error:.4g}", f"{a.loss:.4g}") for one, a in rows]
        title = f"{found.result.rule} on {data.name}, {options.part} samples"
        print_table(title, ("seed", "epoch", f"error ({unit})", "loss"), lines)
    return 0
