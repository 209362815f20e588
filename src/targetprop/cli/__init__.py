"""The command line: verbs, and how a user's error is told."""

import importlib
import os
import sys

from ..errors import UserError

VERBS = {
    "rules": "every rule: name, equation, source",
    "explain": "what a rule computes, step by step, and which of it is local",
    "cite": "the papers of a rule, in BibTeX",
    "train": "train one rule, or one published recipe",
    "compare": "train several rules from the same weights on the same minibatches; a table and a figure",
    "data": "list, fetch or verify data sets",
    "reproduce": "run the cells of a published table, ours beside theirs",
    "bench": "what each rule costs on this machine",
    "search": "tune a rule's hyperparameters on validation error",
}

USAGE = "usage: targetprop VERB ...\n\n" + "".join(f"  {verb:11}{text}\n" for verb, text in VERBS.items())


def main(argv: list[str] | None = None) -> int:
    """Run a verb. Returns the exit status: 0 only when all went well, 2 for a user's error, 1 for a run that did not
    come to its end."""
    args = sys.argv[1:] if argv is None else argv
    if not args or args[0] in ("-h", "--help"):
        sys.stdout.write(USAGE)
        return 0 if args else 2
    verb, rest = args[0], args[1:]
    if verb not in VERBS:
        return _fail(f"no verb {verb!r}; the verbs are {', '.join(VERBS)}")
    try:
        return importlib.import_module(f".{verb}", __name__).run(rest)
    except UserError as error:
        return _fail(str(error))
    except KeyboardInterrupt:
        return _fail("interrupted", 130)
    except BrokenPipeError:  # the reader, `head` for example, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141


def _fail(message: str, status: int = 2) -> int:
    sys.stderr.write(f"targetprop: {' '.join(message.split())}\n")
    return status
