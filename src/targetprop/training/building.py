"""Objects from their descriptions: the inverse of `provenance.describe`.

A description holds names of types and values of fields. It can name only classes that fit the
annotation of the field: the annotated class and its subclasses, those of a user too. So a file
cannot make anything else.
"""

import dataclasses
import inspect
import reprlib
import types
import typing
from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeVar

from ..errors import ConfigError
from ..networks.network import Network
from .provenance import describe

Kind = TypeVar("Kind")
SCALARS = {float: (int, float), int: (int,), bool: (bool,), str: (str,), Any: (int, float, bool, str)}


def family(kind: Any) -> list[type]:
    """A class and its subclasses, at any depth, in the order of definition."""
    if not inspect.isclass(kind) or kind is type:
        return []
    return [kind, *(one for direct in kind.__subclasses__() for one in family(direct))]


def build(kind: type[Kind], description: Any, where: str) -> Kind:
    """The object that was described.

    **Arguments:**

    - `kind`: its class, or a base class of it.
    - `description`: what `describe` gave, perhaps after a way through JSON.
    - `where`: what the description is of, for messages.

    **Returns:** an object that equals the one described. Fields that the description does not have
    keep their defaults.

    **Raises:** `ConfigError` if the description is of another class or another version. The
    message names the field.
    """
    return _value(kind, description, where)


def _value(hint: Any, description: Any, where: str) -> Any:
    options = _options(hint)
    if description is None and type(None) in options:
        return None
    if isinstance(description, Mapping):
        return _object(options, description, where)
    if isinstance(description, Sequence) and not isinstance(description, str):
        for option in options:
            if typing.get_origin(option) is tuple:
                return _tuple(typing.get_args(option), description, where)
    elif any(_is_scalar(option, description) for option in options):
        return description
    raise ConfigError(f"{where} is {reprlib.repr(description)}, from which no value can be made: give the recipe itself.")


def _options(hint: Any) -> tuple[Any, ...]:
    """The types that an annotation stands for."""
    if isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union:
        return tuple(option for part in typing.get_args(hint) for option in _options(part))
    return (hint,)


def _is_scalar(option: Any, value: Any) -> bool:
    if typing.get_origin(option) is Literal:
        return value in typing.get_args(option)
    return type(value) in SCALARS.get(option, ())


def _tuple(kinds: tuple[Any, ...], description: Sequence, where: str) -> tuple:
    if len(kinds) == 2 and kinds[1] is Ellipsis:
        kinds = (kinds[0],) * len(description)
    if len(kinds) != len(description):
        raise ConfigError(f"{where} has {len(description)} entries, not {len(kinds)}.")
    return tuple(
        _value(kind, entry, f"{where}[{i}]") for i, (kind, entry) in enumerate(zip(kinds, description, strict=True))
    )


def _object(options: tuple[Any, ...], description: Mapping, where: str) -> Any:
    name = description.get("type")
    known = {kind.__name__: kind for option in options for kind in family(option) if dataclasses.is_dataclass(kind)}
    if name == Network.__name__:
        raise ConfigError(
            f"{where} is a finished network, whose weights are not in this description: give the recipe with that "
            "network, for example tp.load_run(folder, recipe)."
        )
    if name not in known:
        raise ConfigError(
            f"{where} is a {name}, and no class that fits there has this name: import or define the class first, "
            f"or use one of {', '.join(name for name, kind in known.items() if not inspect.isabstract(kind))}."
        )
    kind = known[name]
    hints = typing.get_type_hints(kind)
    fields = {field.name: field for field in dataclasses.fields(kind) if field.init}
    values = {}
    for field, entry in description.items():
        if field == "type" or (field in fields and _is_default(fields[field], entry)):
            continue
        if field not in fields:
            raise ConfigError(f"{where} is a {name}, which has no field {field}: another version of the class wrote it.")
        values[field] = _value(hints[field], entry, f"{where}.{field}")
    try:
        return kind(**values)
    except TypeError as error:
        raise ConfigError(f"{where} cannot be made: {error}.") from error


def _is_default(field: dataclasses.Field, description: Any) -> bool:
    """Whether an object without a class of this package is the default: a solver of Diffrax."""
    if not isinstance(description, Mapping) or field.default_factory is dataclasses.MISSING:
        return False
    return describe(field.default_factory()) == description
