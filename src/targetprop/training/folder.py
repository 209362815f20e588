"""The folder of a run: which files in it belong to a run, and whether they may be replaced."""

from pathlib import Path

from ..errors import ConfigError
from .checkpoint import AGAIN, CHECKPOINT, Checkpoint, CheckpointError, checkpoint_files, read_checkpoint
from .configuration import CONFIG, Provenance, stored_provenance
from .models import model_files
from .paths import check_folder

METRICS, RESULT, EVENTS = "metrics.jsonl", "result.json", "tensorboard"


def event_files(folder: Path) -> list[Path]:
    """The event files of TensorBoard below a folder."""
    return sorted(folder.rglob("events.out.tfevents.*"))


def files_of_run(folder: Path) -> list[Path]:
    """The files in a folder with the names of those that `train` writes."""
    named = [folder / name for name in (CONFIG, METRICS, RESULT)]
    return [
        *(file for file in named if file.exists()),
        *checkpoint_files(folder),
        *model_files(folder),
        *event_files(folder / EVENTS),
    ]


def check_run_folder(folder: Path, resume: bool, overwrite: bool) -> None:
    """Check that a run can be written to `folder`. Nothing is made.

    Files of which it is not known that they are of a run are neither continued nor replaced.

    **Arguments:**

    - `folder`: the folder of the run.
    - `resume`: whether a run in it is continued.
    - `overwrite`: whether a run in it is replaced.

    **Raises:** `UserError` if it is not writable. `ConfigError` if it holds a run that is neither
    continued nor replaced, or files that may be of something else.
    """
    check_folder(folder)
    files = files_of_run(folder)
    if not files:
        return
    if not _holds_run(folder):
        raise ConfigError(
            f"{files[0]} is not known to be of a run of targetprop, since no {CONFIG} or checkpoint beside it says so. "
            "It is neither replaced nor deleted: move it away, or use another `out`."
        )
    if not (resume or overwrite):
        raise ConfigError(
            f"There is a run in {folder} already: continue it with `resume`, replace it with `overwrite`, "
            "or use another `out`."
        )


def _holds_run(folder: Path) -> bool:
    if stored_provenance(folder) is not None:
        return True
    try:
        read_checkpoint(folder / CHECKPOINT)
    except CheckpointError:
        return False
    return True


def stored_run(folder: Path, now: Provenance) -> tuple[Provenance, Checkpoint | None]:
    """What a run in `folder` that is resumed goes on from.

    **Arguments:**

    - `folder`: the folder.
    - `now`: what is asked for, and where.

    **Returns:** the provenance of the whole run, and its checkpoint. Without one, the run begins.

    **Raises:** `ConfigError` if another run is in the folder, or metrics whose checkpoint is lost.
    `CheckpointError` if the checkpoint cannot be used.
    """
    if checkpoint_files(folder):
        checkpoint = read_checkpoint(folder / CHECKPOINT)
        try:
            before = Provenance(checkpoint.header["identity"], checkpoint.header["origins"])
            return now.after(before, folder), checkpoint
        except (AttributeError, IndexError, KeyError, TypeError) as error:
            raise CheckpointError(f"{checkpoint.path} does not say of which run it is ({error!r}). {AGAIN}") from error
    before = stored_provenance(folder)
    if before is None:
        return now, None
    now, metrics = now.after(before, folder), folder / METRICS
    if (folder / RESULT).exists() or (metrics.exists() and metrics.stat().st_size > 0):
        raise CheckpointError(f"The run in {folder} has results, but no checkpoint from which it could go on. {AGAIN}")
    return now, None
