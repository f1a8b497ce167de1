"""The steepest place on the way of a gradient: between which layers it collapses or grows, and by how much."""

from __future__ import annotations

import itertools

from gradscope.capture.parameters import Registry
from gradscope.capture.ways import Way, Ways, largest

Layer = tuple[int, float]
"""A matrix of it, and the largest gradient that came to it."""


def layers(way: Way, ways: Ways, registry: Registry) -> list[Layer]:
    """The layers along a way, from the loss on."""
    found: list[Layer] = []
    seen: set[int] = set()
    for step, op in zip(way.steps, way.ops, strict=True):
        if op is None or op.index in seen:
            continue
        seen.add(op.index)
        matrices = [uid for uid in ways.params(op) if len(registry.entries[uid].shape) > 1]
        found.extend((uid, largest(step.into)) for uid in matrices[:1])
    return found


def told(found: list[Layer], registry: Registry, *, grows: bool) -> str:
    """In words; nothing where there are too few layers to compare."""
    steps = [(b[1] / a[1], a[0], b[0]) for a, b in itertools.pairwise(found) if a[1]]
    if not steps or not found[-1][1] or not all(registry.entries[uid].owners for uid, _ in found):
        return ""
    factor, *ends = max(steps) if grows else min(steps)
    first, last, before, after = (_name(registry, uid) for uid in (found[0][0], found[-1][0], *ends))
    between = f"from {before} to {after}" if before != after else f"in {after}"
    sizes = f"largest gradient {found[0][1]:.0e} at {first}, {found[-1][1]:.0e} at {last}"
    return f"{sizes}; {'grows' if grows else 'shrinks'} most {between}, by a factor of {factor:.0e}"


def _name(registry: Registry, uid: int) -> str:
    owner = registry.entries[uid].owners[0]
    return f"{owner.model}.{owner.fqn}".rpartition(".")[0] if owner.fqn else owner.model
