"""`targetprop completion`."""

import contextlib
import functools
from collections.abc import Sequence

from .parsing import COMPLETION
from .tree import Command, Group, NoOptions

SHELLS = {
    "bash": "for the file ~/.local/share/bash-completion/completions/targetprop",
    "zsh": "for a file _targetprop in a folder of $fpath",
    "fish": "for the file ~/.config/fish/completions/targetprop.fish",
}


def command(args: Sequence[str]) -> Group:
    """`targetprop completion SHELL`."""
    return Group("a shell", SHELLS, lambda shell: Command(NoOptions(), functools.partial(run, shell)))


def run(shell: str, options: NoOptions) -> int:
    """Print the script that completes verbs, names and flags. Returns 0."""
    from . import read

    with contextlib.suppress(SystemExit):  # tyro ends the program when it has printed the script
        read([COMPLETION, shell])
    return 0
