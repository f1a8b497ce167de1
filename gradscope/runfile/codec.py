"""Records to plain JSON values and back, driven by the types the records declare.

* A field at its default is left out and a missing field gets its default: a file of an older gradscope reads as it is.
* Unknown fields are dropped, so that an addition to a record needs no new schema.
* Decoding checks every value against its type: a damaged or hostile file ends in `DamagedError`, never in a half-typed
  record that fails later and elsewhere.
"""

from __future__ import annotations

import sys
import types
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, fields, is_dataclass
from functools import cache
from typing import Any, Union, get_args, get_origin, get_type_hints


class DamagedError(ValueError):
    """Bytes that are not what a run file holds at this place; never leaves this package."""


LARGEST = 2**63


@dataclass(frozen=True, slots=True)
class Coder:
    """How values of one type become JSON and come back."""

    encode: Callable[[Any], Any]
    decode: Callable[[Any], Any]


@cache
def coder(hint: Any) -> Coder:
    """The coder for a type annotation."""
    if hint in _SCALARS:
        return _scalar(hint)
    origin = get_origin(hint)
    if origin in (Union, types.UnionType):
        return _union(get_args(hint))
    if origin is tuple:
        return _tuple(get_args(hint))
    if origin is frozenset:
        return _frozenset(coder(get_args(hint)[0]))
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return _mapping(*map(coder, get_args(hint)))
    if isinstance(hint, type) and is_dataclass(hint):
        return _record(hint)
    raise TypeError(f"no coder for {hint!r}")


_SCALARS: dict[Any, tuple[type, ...]] = {
    bool: (bool,),
    int: (int,),
    float: (float, int),
    str: (str,),
    type(None): (type(None),),
}


def type_hints(kind: type) -> dict[str, Any]:
    """The evaluated annotations of a record."""
    # Named, so that a module of records may import it for type checkers only.
    return get_type_hints(kind, {**vars(sys.modules[kind.__module__]), "Mapping": Mapping})


def _check(value: Any, *kinds: type) -> Any:
    if not isinstance(value, kinds):
        raise DamagedError(f"{type(value).__name__} where {kinds[0].__name__} was expected")
    return value


def _scalar(hint: Any) -> Coder:
    kinds = _SCALARS[hint]
    return Coder(lambda value: value, lambda value: _bounded(_check(value, *kinds)))


def _bounded(value: Any) -> Any:
    """JSON has integers of any length; no record has."""
    if isinstance(value, int) and not -LARGEST < value < LARGEST:
        raise DamagedError("a number that is too large")
    return value


def _union(options: tuple[Any, ...]) -> Coder:
    """`X | None`, unions of scalars, and unions of records (told apart by their class name)."""
    records = {
        option.__name__: coder(option) for option in options if isinstance(option, type) and is_dataclass(option)
    }
    rest = tuple(option for option in options if getattr(option, "__name__", "") not in records)
    scalars = tuple(kind for option in rest if option in _SCALARS for kind in _SCALARS[option])
    other = [coder(option) for option in rest if option not in _SCALARS]
    single = len(records) == 1

    def encode(value: Any) -> Any:
        if isinstance(value, scalars):
            return value
        name = type(value).__name__
        if name in records:
            plain = records[name].encode(value)
            return plain if single else [name, plain]
        return other[0].encode(value)

    def decode(value: Any) -> Any:
        if isinstance(value, scalars):
            return _bounded(value)
        if single and isinstance(value, dict):
            return next(iter(records.values())).decode(value)
        if isinstance(value, list) and len(value) == 2 and isinstance(value[0], str) and value[0] in records:
            return records[value[0]].decode(value[1])
        if other:
            return other[0].decode(value)
        raise DamagedError(f"{type(value).__name__} fits no member of a union")

    return Coder(encode, decode)


def _tuple(args: tuple[Any, ...]) -> Coder:
    if len(args) == 2 and args[1] is Ellipsis:
        item = coder(args[0])
        return Coder(
            lambda value: [item.encode(entry) for entry in value],
            lambda value: tuple(item.decode(entry) for entry in _check(value, list)),
        )
    items = [coder(arg) for arg in args]

    def decode(value: Any) -> tuple[Any, ...]:
        if len(_check(value, list)) != len(items):
            raise DamagedError(f"{len(value)} entries where {len(items)} were expected")
        return tuple(item.decode(entry) for item, entry in zip(items, value, strict=True))

    return Coder(lambda value: [i.encode(entry) for i, entry in zip(items, value, strict=True)], decode)


def _frozenset(item: Coder) -> Coder:
    return Coder(
        lambda value: sorted(item.encode(entry) for entry in value),
        lambda value: frozenset(item.decode(entry) for entry in _check(value, list)),
    )


def _mapping(key: Coder, item: Coder) -> Coder:
    """As a list of pairs: JSON objects have only strings for keys."""

    def decode(value: Any) -> dict[Any, Any]:
        answer = {}
        for pair in _check(value, list):
            if len(_check(pair, list)) != 2:
                raise DamagedError("a mapping entry that is no pair")
            answer[key.decode(pair[0])] = item.decode(pair[1])
        return answer

    return Coder(lambda value: [[key.encode(k), item.encode(v)] for k, v in value.items()], decode)


def _record(kind: type) -> Coder:
    hints = type_hints(kind)
    table = {f.name: coder(hints[f.name]) for f in fields(kind)}
    plain_defaults = {f.name: f.default for f in fields(kind)}
    required = {f.name for f in fields(kind) if f.default is MISSING and f.default_factory is MISSING}

    def encode(value: Any) -> dict[str, Any]:
        answer = {}
        for name, entry in table.items():
            content = getattr(value, name)
            default = plain_defaults[name]
            if content is not default and (default is MISSING or content != default):
                answer[name] = entry.encode(content)
        return answer

    def decode(value: Any) -> Any:
        found = {name: table[name].decode(v) for name, v in _check(value, dict).items() if name in table}
        missing = required - found.keys()
        if missing:
            raise DamagedError(f"{kind.__name__} without {min(missing)}")
        return kind(**found)

    return Coder(encode, decode)
