"""Command lines from the real flags: valid, at the edge, and hostile. Hypothesis draws them."""

import dataclasses
import importlib
import typing
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import tyro
from hypothesis import strategies as st

from targetprop.cli import VERBS, fields, words
from targetprop.cli.tree import Command, Group
from targetprop.experiments.sources import recipe_names

Words = tuple[str, ...]
Line = tuple[Words, ...]
"""The words of a command line: first the verb and its names, then a tuple for each flag."""


def listed(text: str, *others: str) -> Words:
    """The words of a text, and others that cannot stand in one."""
    return (*text.split(), *others)


NAMES = listed("nope BP 日本 é ../.. - -- nan ' $HOME \\ bp,fa", "", " ", "a b", "a" * 300, "bp ", "bp\nbp")
INTEGERS = listed("many 1.5 1e3 nan inf 0x10 1,000 -- ³", "", " ", "1 2", "9" * 30, "-" + "9" * 30)
NUMBERS = listed("many nan inf -inf 1e400 1e-400 1,5 -- 1e39 1e-50 -1e39 ½", "", " ", "9" * 400)
PATHS = listed(". .. - * file file/below 日本/é ~nobody/x nowhere/run.json /dev/null /dev/null/below /dev/full /proc/below")
PATHS = (*PATHS, "", " ", "x" * 300, "x/" * 2000 + "x", "a\nb")
TEXTS = (*NAMES, *listed("digits:unit:unit digits: :unit mnist openml x=1:2 = optimizer.learning-rate= None 0"))
EDGES, HUGE = ("0", "-1", "1", "4294967295", "4294967296"), ("1000000000000", "9223372036854775807", "9223372036854775808")
SIZES = {"hidden", "batch-size", "sizes", "batch", "seeds", "samples", "validation", "first-seed", "trainable"}
"""Whole numbers for which something as long or as large is made, so that huge ones cannot be."""
LASTING = {"epochs", "rounds", "steps", "trials", "pretraining", "between", "iterations", "passes", "together"}
SHORT = {"train": ("epochs",), "compare": ("epochs", "seeds"), "search": ("epochs", "seeds", "trials")}
SHORT |= {"bench": ("rounds", "steps")}
"""Flags with the value 1, so that nothing takes long."""


@dataclasses.dataclass(frozen=True)
class Flag:
    """A flag or a positional word: its name, the type of its values, and its value without the flag."""

    name: str
    kind: Any
    default: Any
    positional: bool = False


def flags_of(options: Any) -> list[Flag]:
    """All flags of a command."""
    return list(_flags(fields._fields(options), ""))


def _flags(entries: Sequence[Any], prefix: str) -> Iterator[Flag]:
    for entry in entries:
        kind, *marks = typing.get_args(entry.type) if typing.get_origin(entry.type) is typing.Annotated else [entry.type]
        named = [mark.name for mark in marks if getattr(mark, "name", None) is not None]
        own = named[0] if named else entry.name.replace("_", "-")
        if fields._is_part(entry):
            inner = fields._fields(entry.default)
            yield from _flags(inner, f"{prefix}{own}." if own else prefix)
        else:
            yield Flag(prefix + own, kind, entry.default, tyro.conf.Positional in marks or "Positional" in map(str, marks))


def values(flag: Flag) -> st.SearchStrategy[Words]:
    """The words after a flag."""
    kind, several = flag.kind, False
    parts = [part for part in typing.get_args(kind) if part is not type(None)]
    if len(parts) < len(typing.get_args(kind)) and len(parts) == 1:
        kind, parts = parts[0], list(typing.get_args(parts[0]))
    if typing.get_origin(kind) is tuple:
        kind, several = parts[0], True
    one = _one(flag, kind)
    if several:
        return st.lists(one, max_size=3).map(tuple)
    return one.map(lambda word: (word,))


def _one(flag: Flag, kind: Any) -> st.SearchStrategy[str]:
    name = flag.name.rsplit(".", 1)[-1]
    default = [] if flag.default in (None, tyro.MISSING) or isinstance(flag.default, tuple) else [str(flag.default)]
    if kind is int:
        valid = ["1", "2"] if name in LASTING | SIZES else [*default, "1", "3"]
        return _mixed(valid, EDGES[: 3 if name in LASTING else 5], INTEGERS + (HUGE if name in SIZES else ()))
    if kind is float:
        return _mixed([*default, "0.01", "1e-3"], ("0", "-1", "-0.0", "1", "1e-30", "1e30"), NUMBERS)
    if kind is Path:
        return _mixed(["made", "made/below", "run"], ("file", "nowhere"), PATHS)
    if typing.get_origin(kind) is typing.Literal:
        choices = [word for word in typing.get_args(kind) if name != "track"]
        return _mixed(choices or ["nope"], ("None",), NAMES)
    known = words.words_of(kind) if isinstance(kind, type) and kind is not str else {}
    if known:
        ends = ("", "nan", "-1", "1e400", "0:0:0:0:0")
        return _mixed(list(known), [f"{word}:{end}" for word in known for end in ends], NAMES)
    return _mixed([*_known_texts(name), *default], ("None",), TEXTS)


def _known_texts(name: str) -> list[str]:
    rules = "bp dfa dtp ddtp-linear"
    texts = {"optimizer": "adam sgd rmsprop", "feedback-optimizer": "adam sgd", "dataset": "digits digits:unit"}
    texts |= {"rules": rules, "methods": rules, "baseline": rules, "diagnose": "angle-bp angle-gn update-parts"}
    texts |= {"space": "optimizer.learning-rate=1e-4:0.1 stepsize=0.1,0.2"}
    return texts.get(name, "").split()


def _mixed(valid: Sequence[str], edge: Sequence[str], hostile: Sequence[str]) -> st.SearchStrategy[str]:
    """Mostly valid words: a command line with one mistake tells more than one with five."""
    return st.integers(0, 9).flatmap(
        lambda n: st.sampled_from(list((valid if n < 6 else edge if n < 8 else hostile) or ["x"]))
    )


@st.composite
def command_lines(draw: st.DrawFn, verbs: Sequence[str] = tuple(VERBS)) -> Line:
    """A command line."""
    verb = draw(st.sampled_from([verb for verb in verbs for _ in range(WEIGHTS.get(verb, 1))]))
    head, options = _chosen(draw, verb)
    if options is None:
        return (head, *draw(st.lists(st.sampled_from(NAMES).map(lambda word: (word,)), max_size=2)))
    known = flags_of(options)
    line = [head, *(draw(values(flag)) for flag in known if flag.positional)]
    chosen = draw(st.lists(st.sampled_from([flag for flag in known if not flag.positional]), max_size=5)) if known else []
    line += [_written(draw, flag) for flag in chosen]
    if draw(st.integers(0, 9)) == 0:
        line.append(
            (draw(st.sampled_from(["--frob", "--epoch", "--batch_size", "-x", "stray", "--", "", "--help", "--out="])),)
        )
    given = {flag.name for flag in chosen}
    line += [(f"--{name}", "1") for name in SHORT.get(verb, ()) if name not in given]
    if verb == "reproduce":
        line.append(("--show",))
    return tuple(line)


WEIGHTS = {
    "train": 30,
    "compare": 8,
    "search": 8,
    "bench": 6,
    "evaluate": 4,
    "predict": 4,
    "plot": 4,
    "reproduce": 6,
    "data": 2,
}


def _chosen(draw: st.DrawFn, verb: str) -> tuple[Words, Any]:
    """The names before the flags, and the options of the command, or `None` if a name is wrong."""
    node, head = importlib.import_module(f"targetprop.cli.{verb}").command([verb]), [verb]
    while isinstance(node, Group):
        if draw(st.integers(0, 14)) == 0:
            return (*head, draw(st.sampled_from(NAMES))), None
        names = [name for name in node.names if (verb, name) != ("data", "fetch")]
        more = list(recipe_names()) if verb == "train" and draw(st.integers(0, 5)) == 0 else names
        head.append(draw(st.sampled_from(more)))
        node = node.choose(head[-1])
    assert isinstance(node, Command)
    return tuple(head), node.options


def _written(draw: st.DrawFn, flag: Flag) -> Words:
    """A flag with its values, in one of the ways in which people write it."""
    name, way = f"--{flag.name}", draw(st.integers(0, 19))
    if flag.kind is bool:
        return (name,) if way < 12 else (f"--no-{flag.name}",) if way < 17 else (name, "maybe")
    if way == 0:
        return (name,)
    given = draw(values(flag))
    if way == 1:
        return (name, *given, name, *given)
    return (f"{name}={given[0]}",) if way == 2 and given else (name, *given)
