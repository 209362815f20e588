"""`train`: the checks of its arguments, the folder of the run, and the callbacks."""

from collections.abc import Sequence
from pathlib import Path

from .._checks import check_is
from ..data import Dataset, load
from ..diagnostics import Probe
from ..errors import ConfigError
from ..networks.layers import warn_if_narrowed
from .arguments import Seeds, check_arguments, check_data, recipe_list, seed_list
from .callbacks import Callback
from .checkpoint import CHECKPOINT
from .configuration import Provenance, write_config
from .folder import EVENTS, METRICS, RESULT, check_run_folder, files_of_run, stored_run
from .locking import locked
from .loggers import JsonlLogger, TensorBoardLogger
from .loop import Loop
from .paths import as_path
from .precision import precision
from .progress import Progress
from .recipe import Recipe
from .result import Result
from .saving import Checkpoints, Guarded, ResultFiles, check_written


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
    - `UserError` if the folder is not writable. `UnsavedError`, which has the result, if files
      could not be written in the end.
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
        check_run_folder(out, resume, overwrite)
    seeds = seed_list(seeds)
    recipes = recipe_list(recipe, len(seeds))
    if not (seeds and recipes):
        raise ConfigError("There is nothing to train: give at least one seed, and a recipe.")
    if len(set(seeds)) < len(seeds) and (out is not None or isinstance(recipe, Recipe)):
        raise ConfigError(f"The seeds {seeds} are not all different: use each seed once.")
    with precision(recipes[0].dtype):
        for each in recipes:
            warn_if_narrowed(each.architecture)
        dataset, folder = data or load(recipes[0].dataset), out
        loop, shown = Loop(recipes, dataset, seeds, probe), [Progress()] if progress else []
        if folder is None:
            return loop.run([*shown, *callbacks], None)
        with locked(folder):
            check_run_folder(folder, resume, overwrite)  # another process may have ended a run since
            _begin(loop, folder, resume)
            files = _files(loop.provenance, folder, checkpoint_every)
            result = loop.run([*files, *shown, *callbacks], folder)
            check_written(files, folder, result)
            return result


def _begin(loop: Loop, folder: Path, resume: bool) -> None:
    """Take the run in the folder up, or remove what is there, and write `config.json`."""
    if resume:
        loop.provenance, checkpoint = stored_run(folder, loop.provenance)
        if checkpoint is not None:
            loop.restore(checkpoint)
    else:
        for path in files_of_run(folder):
            path.unlink(missing_ok=True)
    write_config(folder, loop.provenance)


def _files(provenance: Provenance, folder: Path, checkpoint_every: int) -> list[Guarded]:
    """The callbacks that write the files of a run."""
    return [
        Guarded(JsonlLogger(folder / METRICS), METRICS),
        Guarded(TensorBoardLogger(folder / EVENTS), "the event files of TensorBoard", needed=False),
        Guarded(Checkpoints(folder / CHECKPOINT, checkpoint_every), "the checkpoint"),
        Guarded(ResultFiles(folder, provenance), f"{RESULT} and the networks"),
    ]
