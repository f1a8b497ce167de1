"""Modules that are told apart by a number (`experts.0`, `experts.1`): several of them in few words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def ranges(members: Sequence[str], among: Sequence[str]) -> str:
    """Some of these names in their order: `0-11`, or `{0-2,5}` where others stand between them."""
    place = {name: at for at, name in enumerate(among)}
    parts: list[list[str]] = []
    for name in members:
        if parts and place[parts[-1][-1]] == place[name] - 1:
            parts[-1].append(name)
        else:
            parts.append([name])
    words = [part[0] if len(part) == 1 else f"{part[0]}-{part[-1]}" for part in parts]
    return words[0] if len(words) == 1 else f"{{{','.join(words)}}}"


def blocks(names: Iterable[str], prefix: str, among: Iterable[str]) -> str:
    """The numbered modules below `prefix` of which these are all the parameters; "" where they are no such modules."""
    start = f"{prefix}." if prefix else ""
    inside: dict[str, set[str]] = {}
    for name in among:
        number, _, rest = name.removeprefix(start).partition(".")
        if name.startswith(start) and number.isdecimal() and rest:
            inside.setdefault(number, set()).add(name)
    wanted = set(names)
    found = sorted((number for number, held in inside.items() if held <= wanted), key=int)
    if len(found) < 2 or wanted != {name for number in found for name in inside[number]}:
        return ""
    return ranges(found, sorted(inside, key=int))
