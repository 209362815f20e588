"""`train`: the checks of its arguments, the folder of the run, and the callbacks."""

from collections.abc import Sequence
from pathlib import Path

from .._checks import check_is
from ..data import Dataset, load
from ..diagnostics import Probe
from ..errors import ConfigError
from .arguments import Seeds, check_arguments, check_data, recipe_list, seed_list
from .callbacks import Callback
from .checkpoint import CHECKPOINT
from .configuration import write_config
from .locking import locked
from .loggers import JsonlLogger, TensorBoardLogger
from .loop import Loop
from .models import model_files
from .paths import as_path, check_output, make_folder
from .precision import precision
from .progress import Progress
from .recipe import Recipe
from .result import Result
from .saving import RESULT, Checkpoints, ResultFiles


def train(
    recipe: Recipe | Sequence[Recipe],
    data: Dataset | None = None,
    *,
    seeds: Seeds = 1,
    out: Path | str | None = None,
    resume: bool = False,
    overwrite: bool = False,
    checkpoint_every: int = 1,
    probe: Probe | None = None,
    callbacks: Sequence[Callback] = (),
    progress: bool = True,
) -> Result:
    """Train a network, one run per seed. All seeds are one program.

    A seed that diverges is restored to its last good state. Its `status` names the layer and the
    epoch. The other seeds go on. SIGINT stops after the current steps, and everything is saved.

    **Arguments:**

    - `recipe`: the recipe, or one recipe per seed. These may only differ in numbers.
    - `data`: the data set. Default: the data set of the recipe.
    - `seeds`: a list of seeds, or a number `n` for the seeds 0 .. n-1.
    - `out`: a folder for configuration, metrics, TensorBoard events and checkpoints. Default:
      nothing is written.
    - `resume`: continue from the checkpoint in the folder. Without one, begin the run. The numbers
      are the same as in an uninterrupted run.
    - `overwrite`: replace the run in the folder.
    - `checkpoint_every`: the number of epochs between checkpoints.
    - `probe`: diagnostics to measure during training. They are written with the metrics. The log
      of `targetprop` warns about hidden layers that do not move or that learn against the
      gradient. A probe changes no other number.
    - `callbacks`: what else happens during the run. They are called after the log files, the
      checkpoints and the progress bar, which are callbacks too.
    - `progress`: whether a progress bar is shown.

    **Returns:** the metrics, and the networks of the best and of the last epochs.

    **Raises:**

    - `CheckpointError` or `ConfigError` if the run in the folder does not fit.
    - `ConfigError` (a `ValueError`) if settings do not fit.
    - `UserError` if the folder is not writable.
    - `TypeError` if the recipe or the data have the wrong type.
    """
    check_data(data)
    check_arguments(checkpoint_every, probe, callbacks)
    for name, flag in (("resume", resume), ("overwrite", overwrite), ("progress", progress)):
        check_is(name, flag, bool)
    out = None if out is None else as_path(out)
    if resume and overwrite:
        raise ConfigError("A run is either continued or replaced: give `resume` or `overwrite`, not both.")
    if out is None and (resume or overwrite):
        verb = "resume" if resume else "replace"
        raise ConfigError(f"Without a folder there is no run to {verb}: give its folder as `out`.")
    if out is None and checkpoint_every != 1:
        raise ConfigError(
            "Without a folder there are no checkpoints: give a folder as `out`, or leave out `checkpoint_every`."
        )
    if out is not None:
        check_output(out, resume, overwrite)
    seeds = seed_list(seeds)
    recipes = recipe_list(recipe, len(seeds))
    if not (seeds and recipes):
        raise ConfigError("There is nothing to train: give at least one seed, and a recipe.")
    if len(set(seeds)) < len(seeds) and (out is not None or isinstance(recipe, Recipe)):
        raise ConfigError(f"The seeds {seeds} are not all different: use each seed once.")
    with precision(recipes[0].dtype):
        dataset, folder = data or load(recipes[0].dataset), out
        loop, shown = Loop(recipes, dataset, seeds, probe), [Progress()] if progress else []
        if folder is None:
            return loop.run([*shown, *callbacks], None)
        make_folder(folder)
        with locked(folder):
            check_output(folder, resume, overwrite)  # another process may have ended a run since
            _clear(folder, resume)
            write_config(folder, recipes, seeds, dataset, resume)
            checkpoint = folder / CHECKPOINT
            if checkpoint.exists():
                loop.restore(checkpoint)
            logs = [JsonlLogger(folder / "metrics.jsonl"), TensorBoardLogger(folder / "tensorboard")]
            files = [Checkpoints(checkpoint, checkpoint_every), ResultFiles(folder)]
            return loop.run([*logs, *files, *shown, *callbacks], folder)


def _clear(folder: Path, resume: bool) -> None:
    """Unless a run is resumed, remove the results of an old one."""
    for path in () if resume else (folder / RESULT, folder / CHECKPOINT, *model_files(folder)):
        path.unlink(missing_ok=True)
