"""What the records of a run take of the memory: objects of ours and plain containers, and nothing of the user's."""

from __future__ import annotations

import sys
from array import array
from collections import deque
from collections.abc import Iterable
from typing import Any

_OURS = f"{__name__.partition('.')[0]}."
_CONTAINERS = (list, tuple, set, frozenset, deque)


def bytes_of(*roots: Any) -> int:
    """Bytes of these objects and of all that they hold, each counted once."""
    todo, seen, total = list(roots), set[int](), 0
    while todo:
        item = todo.pop()
        if id(item) in seen or item is None or isinstance(item, (bool, type)):
            continue
        plain = isinstance(item, (int, float, str, array))
        inside = () if plain else _inside(item)
        if inside is None:
            continue
        seen.add(id(item))
        total += sys.getsizeof(item)
        todo.extend(inside)
    return total


def _inside(item: Any) -> Iterable[Any] | None:
    """What an object holds; None for one that is not ours to count."""
    if isinstance(item, dict):
        return (*item.keys(), *item.values())
    if isinstance(item, _CONTAINERS):
        return item
    kind = type(item)
    if not kind.__module__.startswith(_OURS):
        return None
    slots = (name for base in kind.__mro__ for name in getattr(base, "__slots__", ()))
    held = [getattr(item, name, None) for name in slots if not name.startswith("__")]
    return [*held, *getattr(item, "__dict__", {}).values()]
