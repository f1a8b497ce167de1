"""Glue that goes on from turn to turn of a loop, such as a loss that is summed up: one box for all turns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from gradscope.render.boxes import Kind

if TYPE_CHECKING:
    from gradscope.render.folded import Box, Line, Link
    from gradscope.render.marks import Mark


def merge_chains(
    boxes: tuple[Box, ...], links: tuple[Link, ...], marks: tuple[Mark, ...]
) -> tuple[tuple[Box, ...], tuple[Link, ...], tuple[Mark, ...], list[int]]:
    """Merge glue of one line of code into the next of its kind, if nothing else takes from it. Also where each went."""
    after: dict[int, set[int]] = {}
    for link in links:
        after.setdefault(link.source, set()).add(link.target)
    cut = {mark.source for mark in marks}
    into = {
        at: following
        for at, targets in after.items()
        if at not in cut and len(targets) == 1 and _alike(boxes[at], boxes[following := next(iter(targets))])
    }
    if not into:
        return boxes, links, marks, list(range(len(boxes)))
    last = [_end(at, into) for at in range(len(boxes))]
    kept = sorted(set(last))
    places = {old: new for new, old in enumerate(kept)}
    moved = [places[at] for at in last]
    members: list[list[Box]] = [[] for _ in kept]
    for box, place in zip(boxes, moved, strict=True):
        members[place].append(box)
    new_marks = tuple(
        replace(mark, source=moved[mark.source], targets=tuple(dict.fromkeys(moved[t] for t in mark.targets)))
        for mark in marks
    )
    return tuple(map(_merged, members)), _merged_links(links, moved), new_marks, moved


def _alike(box: Box, other: Box) -> bool:
    if box is other or box.kind is not Kind.GLUE or box.location is None:
        return False
    told = (box.kind, box.model, box.path, box.flow, box.location, box.names, box.worth)
    return told == (other.kind, other.model, other.path, other.flow, other.location, other.names, other.worth)


def _end(at: int, into: dict[int, int]) -> int:
    """The last of a chain; of a ring, which no loop makes, where it began."""
    seen = {at}
    while (following := into.get(at)) is not None and following not in seen:
        seen.add(following)
        at = following
    return at


def _merged(members: Sequence[Box]) -> Box:
    first = members[0]
    if len(members) == 1:
        return first
    nodes = sum(box.nodes for box in members)
    turns, rest = divmod(nodes, len(first.names) or 1)  # also those that share a member, as blocks drawn as one do
    return replace(first, repeats=sum(box.repeats for box in members) if rest else turns, nodes=nodes)


def _merged_links(links: Sequence[Link], moved: Sequence[int]) -> tuple[Link, ...]:
    found: dict[tuple[int, int, Line], Link] = {}
    for link in links:
        new = replace(link, source=moved[link.source], target=moved[link.target])
        if new.source == new.target:
            continue
        key = (new.source, new.target, new.line)
        before = found.get(key)
        if before is None or before.norm is None or (new.norm is not None and not new.norm <= before.norm):
            found[key] = new
    return tuple(found.values())
