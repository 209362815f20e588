"""`targetprop train`."""

import dataclasses
import functools
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from ..diagnostics import USUAL, Probe, named_diagnostics
from ..experiments.catalog import recipe
from ..experiments.sources import recipe_names
from ..training.annotations import Flattened
from ..training.optimizers import KINDS
from ..training.recipe import Recipe
from ..training.result import Result
from ..training.run import train
from ..training.saving import UnsavedError
from ..training.trackers import TRACKERS
from ..training.values import has_value, set_values
from .flags import flag
from .names import rule_lines
from .output import flag_value, print_json, print_table
from .start import chosen_seeds, starting_point
from .tree import Command, Group, UsageError


def _named(flag: str) -> Any:
    return tyro.conf.arg(name=flag, metavar="{" + ",".join(KINDS) + "}")


@dataclasses.dataclass(frozen=True)
class TrainOptions:
    """The flags of `targetprop train`: those of the recipe, and these."""

    recipe: Annotated[Recipe, Flattened()]
    config: Path | None = None
    """The config.json of a run, in place of a name: its recipe and its seeds. Default: none."""
    search: Annotated[Path | None, tyro.conf.arg(name="from")] = None
    """The RULE.json that a search saved, in place of a name: the best values. Default: none."""
    optimizer_kind: Annotated[str | None, _named("optimizer")] = None
    """Kind of the optimizer. Default: that of the recipe. --optimizer.NAME sets its numbers."""
    feedback_optimizer_kind: Annotated[str | None, _named("feedback-optimizer")] = None
    """Kind of the optimizer of the feedback. Default: that of the recipe."""
    lr: float | None = None
    """Learning rate of the network, short for --optimizer.learning-rate. Default: that one."""
    seeds: int = 1
    """Number of seeds. They are trained as one program."""
    first_seed: int = 0
    """The first seed. The other seeds are the next numbers."""
    out: Path | None = None
    """Folder for configuration, metrics, TensorBoard events and checkpoints.
    Default: nothing is written."""
    resume: bool = False
    """Continue from the checkpoint in the folder. Without one, begin the run."""
    overwrite: bool = False
    """Replace the run in the folder."""
    checkpoint_every: int = 1
    """Number of epochs between checkpoints."""
    diagnose_every: int | None = None
    """Number of steps between diagnostics of the updates. They are written with the metrics.
    Default: no diagnostics."""
    diagnose: tuple[str, ...] = USUAL
    """The diagnostics to measure. There are five more:
    angle-gn, the angle to damped Gauss-Newton;
    damping-search, the angles to Gauss-Newton targets of all dampings;
    target-residual;
    update-parts, for gradient-targets only;
    angle-tp, for rules in continuous time only."""
    track: tuple[Literal["wandb", "mlflow", "trackio"], ...] = ()
    """Experiment trackers that get the metrics of each epoch: one run per seed, in the project
    targetprop. Their own environment variables say where, for example WANDB_MODE=offline."""
    json: bool = False
    """Print one JSON document on standard output, and nothing else."""


def command(args: Sequence[str]) -> Group | Command:
    """`targetprop train NAME`, or with `--config` or `--from` in place of the name."""
    start = starting_point(args)
    if start is not None:
        options = TrainOptions(_with_kinds(start.recipe, args), seeds=len(start.seeds), first_seed=start.seeds[0])
        return Command(options, functools.partial(run, seeds=chosen_seeds(args, start)))

    def choose(name: str) -> Command:
        return Command(TrainOptions(_with_kinds(recipe(name, flag_value(args, "--dataset")), args)), run)

    return Group("a rule or a published recipe", rule_lines(), choose, more=recipe_names, unknown=recipe)


def run(options: TrainOptions, seeds: Sequence[int] | None = None) -> int:
    """Train one rule. Returns 0 if every seed finished, else 1.

    `seeds` are used in place of those that the options count."""
    trained = _with_learning_rate(options.recipe, options.lr)
    seeds = seeds or range(options.first_seed, options.first_seed + options.seeds)
    if options.diagnose_every is None and options.diagnose != USUAL:
        raise UsageError("--diagnose needs --diagnose-every, the number of steps between two measurements.")
    if not options.diagnose:
        raise UsageError("--diagnose needs at least one name.")
    diagnostics = named_diagnostics(options.diagnose)
    probe = None if options.diagnose_every is None else Probe(options.diagnose_every, diagnostics)
    trackers = [TRACKERS[name]() for name in options.track]
    try:
        result = train(
            trained,
            seeds=seeds,
            out=options.out,
            resume=options.resume,
            overwrite=options.overwrite,
            checkpoint_every=options.checkpoint_every,
            probe=probe,
            callbacks=trackers,
        )
    except UnsavedError as error:
        _print(error.result, options.json)
        raise
    _print(result, options.json)
    if result.interrupted:
        saved = (
            f"the same command with --resume continues from {options.out}"
            if options.out
            else "nothing was saved, because there was no --out"
        )
        sys.stderr.write(f"interrupted: {saved}\n")
    return 0 if result.finished else 1


def _with_kinds(recipe: Recipe, args: Sequence[str]) -> Recipe:
    """The recipe with the kinds of optimizers that flags name.

    The numbers of another kind are its defaults."""
    for field in ("optimizer", "feedback_optimizer"):
        kind = flag_value(args, flag(field))
        if kind is not None and kind not in KINDS:
            raise UsageError(f"{flag(field)}: {kind!r} is not one of {', '.join(KINDS)}.")
        if kind is not None and type(getattr(recipe, field)) is not KINDS[kind]:
            recipe = set_values(recipe, {field: KINDS[kind]()})
    return recipe


def _with_learning_rate(recipe: Recipe, rate: float | None) -> Recipe:
    if rate is None:
        return recipe
    if not has_value(recipe, "optimizer.learning_rate"):
        raise UsageError("this optimizer has no single learning rate for --lr: use its own flags.")
    return set_values(recipe, {"optimizer.learning_rate": rate})


def _print(result: Result, as_json: bool) -> None:
    if as_json:
        print_json(result.to_json())
        return
    rows = [
        (
            str(seed.seed),
            *(
                "-" if value is None else f"{value:.4g}"
                for value in (seed.test_error, seed.last_test_error, seed.train_loss)
            ),
            str(seed.best_epoch or "-"),
            seed.status,
        )
        for seed in result.seeds
    ]
    unit = result.unit
    columns = (
        "seed",
        f"test error ({unit})",
        f"last test error ({unit})",
        "training loss",
        "best epoch",
        "status",
    )
    print_table(f"{result.rule} on {result.dataset}", columns, rows)
    print(f"test error {result.test_error} {unit}, {result.seconds_per_epoch:.3g} s per epoch and seed")
