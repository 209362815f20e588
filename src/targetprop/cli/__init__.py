"""The command line. It has one module per verb, and it alone knows flags.

The library names fields in its errors. `main` turns them into flags.
"""

import importlib
import os
import sys

from ..errors import UserError
from ..experiments.catalog import UnknownRecipeError
from .flags import with_flags

VERBS = {
    "rules": "list all rules: name, equation, source",
    "explain": "show what a rule computes, step by step, and what of it is local",
    "cite": "print the papers of a rule in BibTeX",
    "train": "train one rule or one published recipe",
    "compare": "train several rules from the same weights; print a table and draw a figure",
    "plot": "draw the learning curves and diagnostics of a run or a comparison",
    "data": "list, download or check data sets",
    "reproduce": "run a published table or figure, and print our numbers beside the published ones",
    "bench": "measure what each rule costs on this machine",
    "search": "tune the hyperparameters of a rule on the validation error",
}

USAGE = "usage: targetprop VERB ...\n\n" + "".join(f"  {verb:11}{text}\n" for verb, text in VERBS.items())


def main(argv: list[str] | None = None) -> int:
    """Run a verb.

    **Returns:** the exit status.

    - 0: everything was done.
    - 1: a run did not finish.
    - 2: the arguments or the settings are wrong. One line on standard error says what to change.
    - 130: interrupted.
    """
    args = sys.argv[1:] if argv is None else argv
    if not args or args[0] in ("-h", "--help"):
        sys.stdout.write(USAGE)
        return 0 if args else 2
    verb, rest = args[0], args[1:]
    if verb not in VERBS:
        return _fail(f"no verb {verb!r}; the verbs are {', '.join(VERBS)}")
    try:
        return importlib.import_module(f".{verb}", __name__).run(rest)
    except UnknownRecipeError as error:
        return _fail(f"{error} All names: targetprop train --help")
    except UserError as error:
        return _fail(with_flags(str(error)))
    except KeyboardInterrupt:
        return _fail("interrupted", 130)
    except BrokenPipeError:  # the program that reads the output, for example `head`, has stopped
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141


def _fail(message: str, status: int = 2) -> int:
    sys.stderr.write(f"targetprop: {' '.join(message.split())}\n")
    return status
