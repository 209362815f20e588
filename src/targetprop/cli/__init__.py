"""The command line. It has one module per verb, and it alone knows flags.

The library names fields in its errors. `main` turns them into flags.
"""

import contextlib
import importlib
import os
import sys
import traceback

from ..errors import UnknownRecipeError, UserError
from ..version import __version__
from .compile_cache import use_compile_cache
from .flags import with_flags
from .parsing import Reader
from .streams import drop_output, prepare_output
from .tree import Call, Command, Group

VERBS = {
    "rules": "list all rules: name, equation, source",
    "recipes": "list the published recipes",
    "explain": "show what a rule computes, step by step, and what of it is local",
    "cite": "print the papers of a rule in BibTeX",
    "train": "train one rule, a published recipe (targetprop recipes lists them), or a run again (--config)",
    "evaluate": "compute the error of the networks of a run, on its data set or another one",
    "predict": "write what the networks of a run predict",
    "compare": "train several rules from the same weights; print a table and draw a figure",
    "plot": "draw the learning curves and diagnostics of a run or a comparison",
    "data": "list, download or check data sets",
    "reproduce": "run a published table or figure, and print our numbers beside the published ones",
    "bench": "measure what each rule costs on this machine",
    "search": "tune the hyperparameters of a rule on the validation error",
    "completion": "print a script that completes commands in your shell",
}

DESCRIPTION = """Target propagation and other credit-assignment rules.

targetprop VERB --help lists the flags of a verb.
targetprop --version prints the version."""


def main(argv: list[str] | None = None) -> int:
    """Run a command line.

    Raises `SystemExit` with 0 after a help page.

    **Returns:** the exit status.

    - 0: everything was done.
    - 1: a run did not finish, or something could not be written.
    - 2: the arguments or the settings are wrong. One line on standard error says what to change.
    - 130: interrupted.
    - 141: the program that reads the output has stopped.
    """
    args = sys.argv[1:] if argv is None else argv
    prepare_output()
    try:
        status = _run(args)
        sys.stdout.flush()
        return status
    except UnknownRecipeError as error:
        return _fail(f"{error} All names: targetprop recipes")
    except UserError as error:
        return _fail(with_flags(str(error)), error.status)
    except (AssertionError, RuntimeError) as error:
        if not _lacks_platform(error):
            raise
        return _fail(f"JAX finds no platform {os.environ.get('JAX_PLATFORMS')!r}: correct or remove JAX_PLATFORMS.")
    except KeyboardInterrupt:
        return _fail("interrupted", 130)
    except BrokenPipeError:  # the program that reads the output, for example `head`, has stopped
        drop_output()
        return 141
    except OSError as error:
        drop_output()
        what = "the output" if error.filename is None else error.filename
        return _fail(f"{what} cannot be read or written ({error.strerror or error}); what was saved before is safe.", 1)


def _run(args: list[str]) -> int:
    if args == ["--version"]:
        print(__version__)
        return 0
    if not args:
        with contextlib.suppress(SystemExit):
            read(["--help"])
        return 2
    return read(args)()


def read(args: list[str]) -> Call:
    """What a command line asks for: a verb, and its options.

    **Raises:** `UserError` where the arguments or settings do not fit, `SystemExit` after a help
    page.
    """

    def choose(verb: str) -> Command | Group:
        if verb != "bench":  # it measures the compiler
            use_compile_cache()
        return importlib.import_module(f".{verb}", __name__).command(args[1:])

    return Reader(Group("a verb", VERBS, choose), args).read(DESCRIPTION)


def _lacks_platform(error: Exception) -> bool:
    """Whether JAX failed to find the platform to compute on, for which it has no class of error."""
    frames = traceback.extract_tb(error.__traceback__)
    return bool(frames) and frames[-1].filename.endswith("xla_bridge.py")


def _fail(message: str, status: int = 2) -> int:
    with contextlib.suppress(OSError):  # the status says it too
        sys.stderr.write(f"targetprop: {' '.join(message.split())}\n")
    return status
