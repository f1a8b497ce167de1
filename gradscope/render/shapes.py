"""What the drawn modules of a picture look like, so that repeated ones are found."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field

from gradscope.render.known import Known, Worth
from gradscope.render.repeats import Fqn, Repeats
from gradscope.render.stream import Flow, Stream

Key = tuple[str, Fqn]
"""A drawn module: its model and its path."""


@dataclass(frozen=True, slots=True)
class _Shapes:
    """Of the modules of one model: all that tells them apart, the same without state, and those that take part."""

    whole: dict[Fqn, set[Hashable]] = field(default_factory=dict)
    kinds: dict[Fqn, set[Hashable]] = field(default_factory=dict)
    busy: set[Fqn] = field(default_factory=set)

    def repeats(self) -> Repeats:
        return Repeats(_frozen(self.whole), _frozen(self.kinds), self.whole.keys() - self.busy)


def find_repeats(
    stream: Stream, keys: Sequence[Key | None], flows: Sequence[Flow], worths: Mapping[Key, Worth], known: Known
) -> dict[str, Repeats]:
    """Per model its repeated modules. `keys`: the drawn module of each node, None for what belongs to none."""
    found: dict[str, _Shapes] = {}
    ends = {end for source, target, edge in stream.edges if edge.cut for end in (source, target)}
    for position, (node, key) in enumerate(zip(stream.nodes, keys, strict=True)):
        if key is None:
            continue
        model, path = key
        shapes = found.setdefault(model, _Shapes())
        whole, kind = shapes.whole.setdefault(path, set()), shapes.kinds.setdefault(path, set())
        whole |= {flows[position], worths.get(key, Worth.SOUND)}
        if node.kind != "parameter" or stream.after[position] or position in ends:
            shapes.busy.add(path)
        if node.kind == "parameter":
            whole.add(("parameter", node.live, *known.told_of(node.uid)))
        elif (name := known.class_of(key)) or node.kind == "op":
            kind.add(name or stream.names[position])
            whole.add(("class", name or stream.names[position]))
    return {model: shapes.repeats() for model, shapes in found.items()}


def _frozen(sets: Mapping[Fqn, set[Hashable]]) -> dict[Fqn, Hashable]:
    return {path: frozenset(found) for path, found in sets.items()}
