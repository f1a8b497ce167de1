"""Fold a traced graph of any size into a picture of at most `MAX_BOXES` boxes and `MAX_LINKS` lines between them.

* Boxes come from `boxes`; here they get their words, parallel edges become one line, cuts get a mark of their own.
* A box that is nothing but the result of a cut (the output of `detach`) is left out: the mark says it already.
* A cut of a value that is used nowhere else (logging) is left out if its source is alive.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from gradscope.records import Graph, Location
from gradscope.render.boxes import Draft, Kind, Sorting, norm_range, sort_coarsely, sort_nodes
from gradscope.render.repeats import other_turn
from gradscope.render.stream import Flow, Stream, prepare

MAX_BOXES = 300
MAX_LINKS = 500
"""dot needs 1 s for 400 lines among 100 boxes, 10 s for 1,000 among 250 (tangled on purpose)."""
MAX_CUTS = 40
MAX_RESULT_NODES = 3
"""`detach().clone()` is still no more than the result of a cut; more operations are work of their own."""


class Line(StrEnum):
    """How a line between two boxes is drawn."""

    LIVE = "live"
    DEAD = "dead"
    GHOST = "ghost"
    DATA = "data"


@dataclass(frozen=True, slots=True)
class Box:
    """One box of the picture."""

    kind: Kind
    model: str
    path: tuple[str, ...]
    flow: Flow
    repeats: int = 1
    nodes: int = 1
    parameters: int = 0
    silent: int = 0
    """Parameters without a gradient."""
    classes: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    norms: tuple[float, float] | None = None
    location: Location | None = None


@dataclass(frozen=True, slots=True)
class Link:
    """All data that goes from one box to another; `norm` is the largest gradient norm on the way back."""

    source: int
    target: int
    line: Line
    norm: float | None = None


@dataclass(frozen=True, slots=True)
class Mark:
    """A cut: `source` lost its gradient here, `targets` got the value nevertheless."""

    source: int
    targets: tuple[int, ...]
    cause: str
    location: Location | None
    value: str
    """The last value with a gradient: the operation that made it."""
    harmful: bool
    """Nothing else keeps the source alive."""


@dataclass(frozen=True, slots=True)
class Picture:
    """What is drawn. `remarks` say what was left out or folded further than asked."""

    boxes: tuple[Box, ...]
    links: tuple[Link, ...]
    marks: tuple[Mark, ...]
    remarks: tuple[str, ...] = ()
    depth: int = 0
    """How many levels of module names are told apart."""


def fold(graph: Graph, depth: int = 2, classes: Mapping[tuple[str, str], str] | None = None) -> Picture:
    """Fold to `depth` levels of module names, further where that is too much to read."""
    return fold_levels(graph, [depth], classes)[0]


def fold_levels(
    graph: Graph, depths: Sequence[int], classes: Mapping[tuple[str, str], str] | None = None
) -> list[Picture]:
    """The same graph folded to several depths."""
    stream = prepare(graph)
    known = {(n.model, n.module): n.label for n in stream.nodes if n.kind == "module" and n.model} | dict(classes or {})
    deepest = max((n.module.count(".") + 1 for n in stream.nodes if n.module), default=0)
    return [_fold_within(stream, graph.truncated, min(max(depth, 0), deepest), known) for depth in depths]


def _fold_within(stream: Stream, truncated: int, asked: int, known: Mapping[tuple[str, str], str]) -> Picture:
    """The picture at the depth that was asked for, or at the next one above that can be read."""
    at = asked
    picture = _fold_to(stream, at, known)
    while picture is None and at > 0:
        at -= 1
        picture = _fold_to(stream, at, known)
    if picture is None:
        picture = _draw(stream, _merge_rest(sort_coarsely(stream)))
    remarks = list(picture.remarks)
    if at < asked:
        remarks.insert(0, f"Folded to depth {at}: depth {at + 1} is more than {MAX_BOXES} boxes or {MAX_LINKS} lines.")
    if truncated:
        remarks.append(f"{truncated:,} nodes were left out of the trace: the step was too large to keep.")
    return replace(picture, remarks=tuple(remarks), depth=at)


def _fold_to(stream: Stream, depth: int, classes: Mapping[tuple[str, str], str]) -> Picture | None:
    """The picture at one depth, or None where nobody could read it."""
    sorting = sort_nodes(stream, depth, classes, MAX_BOXES)
    if sorting is None:
        return None
    picture = _draw(stream, sorting)
    return picture if len(picture.links) <= MAX_LINKS else None


def _merge_rest(sorting: Sorting) -> Sorting:
    """Where there are still too many: what is past the first boxes is one box per kind and flow."""
    keep = len(sorting.boxes) if len(sorting.boxes) <= MAX_BOXES else MAX_BOXES - len(Kind) * len(Flow)
    boxes = sorting.boxes[:keep]
    rest: dict[Hashable, int] = {}
    moved = list(range(keep))
    for draft in sorting.boxes[keep:]:
        key = (draft.kind, draft.flow)
        if key not in rest:
            rest[key] = len(boxes)
            boxes.append(Draft(draft.kind, "", (), draft.flow, names={"others": None}))
        home = boxes[rest[key]]
        home.nodes += draft.nodes
        home.parameters += draft.parameters
        home.silent += draft.silent
        moved.append(rest[key])
    return Sorting(boxes, [moved[b] if b >= 0 else b for b in sorting.box], sorting.turn)


def _draw(stream: Stream, sorting: Sorting) -> Picture:
    boxes = tuple(_box(draft) for draft in sorting.boxes)
    marks = _marks(stream, sorting, boxes)
    links = _links(stream, sorting, boxes)
    boxes, links, marks = _drop_results(boxes, links, marks)
    told = tuple(mark for mark in marks if mark.harmful or mark.targets)
    told = tuple(sorted(told, key=lambda m: not m.harmful))
    more = len(told) - MAX_CUTS
    remarks = (f"{more} more cuts are not drawn.",) if more > 0 else ()
    return Picture(boxes, links, told[:MAX_CUTS], remarks)


def _box(draft: Draft) -> Box:
    return Box(
        draft.kind,
        draft.model,
        draft.path,
        draft.flow,
        draft.repeats,
        draft.nodes,
        draft.parameters,
        draft.silent,
        tuple(draft.classes),
        tuple(draft.names),
        norm_range(draft),
        draft.location,
    )


def _links(stream: Stream, sorting: Sorting, boxes: tuple[Box, ...]) -> tuple[Link, ...]:
    found: dict[tuple[int, int, Line], float | None] = {}
    for source, target, edge in stream.edges:
        pair = (sorting.box[source], sorting.box[target])
        if edge.cut or min(pair) < 0 or pair[0] == pair[1]:
            continue
        same_model = boxes[pair[0]].model == boxes[pair[1]].model
        if same_model and other_turn(sorting.turn[source], sorting.turn[target]):
            continue
        key = (*pair, _line(edge.live, boxes[pair[0]]))
        norm = edge.norm
        if norm is None and edge.live and stream.nodes[source].kind == "op":
            norm = stream.nodes[source].norm
        before = found.get(key)
        found[key] = norm if before is None else before if norm is None else _larger(before, norm)
    live = {(source, target) for source, target, line in found if line is Line.LIVE}
    return tuple(Link(*key, norm) for key, norm in found.items() if key[2] is Line.LIVE or key[:2] not in live)


def _larger(first: float, second: float) -> float:
    """The larger norm; NaN wins, because it is the news."""
    return first if first != first or first > second else second


def _line(live: bool, source: Box) -> Line:
    if live:
        return Line.LIVE
    if source.flow is Flow.GHOST:
        return Line.GHOST
    if source.kind is Kind.INPUT or (not source.model and source.flow is Flow.DEAD):
        return Line.DATA
    return Line.DEAD


def _marks(stream: Stream, sorting: Sorting, boxes: tuple[Box, ...]) -> tuple[Mark, ...]:
    found: dict[tuple[int, str, Location | None], tuple[dict[int, None], str]] = {}
    for source, target, edge in stream.edges:
        box, behind = sorting.box[source], sorting.box[target]
        if not edge.cut or min(box, behind) < 0:
            continue
        value = "" if stream.nodes[source].kind == "module" else stream.names[source]
        targets, _ = found.setdefault((box, edge.cut, edge.location), ({}, value))
        targets[behind] = None
    return tuple(
        Mark(box, tuple(targets), cause, location, value, boxes[box].flow is not Flow.LIVE)
        for (box, cause, location), (targets, value) in found.items()
    )


def _drop_results(
    boxes: tuple[Box, ...], links: tuple[Link, ...], marks: tuple[Mark, ...]
) -> tuple[tuple[Box, ...], tuple[Link, ...], tuple[Mark, ...]]:
    """Let the lines of a box that only holds the result of a cut start at the mark, and leave the box out."""
    entered = {link.target for link in links}
    after: dict[int, list[int]] = {}
    for link in links:
        after.setdefault(link.source, []).append(link.target)
    cut_targets = {target for mark in marks for target in mark.targets}
    cut_sources = {mark.source for mark in marks}
    gone = {
        b
        for b in cut_targets - entered - cut_sources
        if boxes[b].kind is not Kind.LOSS and boxes[b].flow is Flow.GHOST and boxes[b].nodes <= MAX_RESULT_NODES
    }
    moved = {old: new for new, old in enumerate(b for b in range(len(boxes)) if b not in gone)}
    kept = tuple(box for b, box in enumerate(boxes) if b not in gone)
    new_links = tuple(
        replace(link, source=moved[link.source], target=moved[link.target]) for link in links if link.source not in gone
    )
    new_marks = []
    for mark in marks:
        reached = [t for target in mark.targets for t in (after.get(target, []) if target in gone else [target])]
        new_marks.append(
            replace(mark, source=moved[mark.source], targets=tuple(moved[t] for t in dict.fromkeys(reached)))
        )
    return kept, new_links, tuple(new_marks)
