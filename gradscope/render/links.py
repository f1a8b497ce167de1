"""The lines between the boxes of a picture: parallel edges become one, with the largest norm that came back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from gradscope.records import Edge, Node
from gradscope.render.boxes import Kind, Sorting
from gradscope.render.folded import Box, Line, Link
from gradscope.render.repeats import other_turn
from gradscope.render.stream import Flow, Stream


def links_between(stream: Stream, sorting: Sorting, boxes: tuple[Box, ...]) -> tuple[Link, ...]:
    found: dict[tuple[int, int, Line], float | None] = {}
    users: dict[int, Counter[int]] = {}
    for source, target, edge in stream.edges:
        if edge.live:
            users.setdefault(source, Counter())[sorting.box[target]] += 1
    for source, target, edge in stream.edges:
        pair = (sorting.box[source], sorting.box[target])
        if edge.cut or min(pair) < 0 or not _is_drawn(stream, sorting, boxes, source, target):
            continue
        key = (*pair, _line(edge.live, boxes[pair[0]]))
        norm = _norm(edge, stream.nodes[source], pair[1], users.get(source, Counter()))
        before = found.get(key)
        found[key] = norm if before is None else before if norm is None else _larger(before, norm)
    live = {(source, target) for source, target, line in found if line is Line.LIVE}
    return tuple(Link(*key, norm) for key, norm in found.items() if key[2] is Line.LIVE or key[:2] not in live)


def _is_drawn(stream: Stream, sorting: Sorting, boxes: tuple[Box, ...], source: int, target: int) -> bool:
    """Whether what goes from one node to another is a line: not within a box, nor from turn to turn of what repeats.

    What a module made and is called with again goes back to it; weights do not go to another call of their module.
    """
    first, second = boxes[sorting.box[source]], boxes[sorting.box[target]]
    giver, taker = stream.nodes[source], stream.nodes[target]
    if first.model == second.model and other_turn(sorting.turn[source], sorting.turn[target]):
        return False
    if sorting.box[source] == sorting.box[target]:
        again = giver.kind == taker.kind == "module" and giver.module == taker.module
        return again and first.calls > 1
    lends = giver.kind == "parameter" and first.kind is Kind.MODULE
    return not (lends and (first.model, first.path) == (second.model, second.path))


def _norm(edge: Edge, source: Node, target: int, users: Mapping[int, int]) -> float | None:
    """What comes back from a box to what a node made: all where no other box uses it, else the part of one user.

    Of a parameter without a total it is what its uses brought together.
    """
    if not edge.live:
        return edge.norm
    if len(users) == 1:
        whole = edge.norm if edge.total is None else edge.total
        return source.norm if whole is None and source.kind == "op" else whole
    alone = users[target] == 1 and not (source.kind == "parameter" and edge.total is None)
    return edge.norm if alone else None


def _larger(first: float, second: float) -> float:
    """The larger norm; NaN wins, because it is the news."""
    return first if first != first or first > second else second


def _line(live: bool, source: Box) -> Line:
    if live:
        return Line.LIVE
    if source.flow is Flow.GHOST:
        return Line.GHOST
    if source.kind is Kind.INPUT:
        return Line.DATA
    return Line.DEAD
