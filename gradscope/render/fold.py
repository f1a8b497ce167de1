"""Fold a traced graph of any size into a picture of at most `MAX_BOXES` boxes and `MAX_LINKS` lines between them.

* Boxes come from `boxes`; here they get their words, parallel edges become one line, cuts get a mark of their own.
* A cut of a value that is used nowhere else (logging) is left out if its source is alive.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Hashable, Sequence
from dataclasses import replace

from gradscope.records import Graph
from gradscope.render.boxes import Draft, Kind, Sorting, norm_range, sort_coarsely, sort_nodes
from gradscope.render.chains import merge_chains
from gradscope.render.folded import Box, Line, Link, Picture
from gradscope.render.known import NOTHING, Known, Worth
from gradscope.render.links import links_between
from gradscope.render.marks import Mark, blame, drop_results, find_marks, limit
from gradscope.render.shapes import Key
from gradscope.render.stream import Flow, Stream, prepare

MAX_BOXES = 300
MAX_LINKS = 500
"""dot needs 1 s for 400 lines among 100 boxes, 10 s for 1,000 among 250 (tangled on purpose)."""
MAX_CUTS = 40


def fold(graph: Graph, depth: int = 2, known: Known = NOTHING) -> Picture:
    """Fold to `depth` levels of module names, further where that is too much to read."""
    return Folding(graph, known).at(depth)


class Folding:
    """A graph that is folded to several depths, also with some of its modules opened further than the others."""

    def __init__(self, graph: Graph, known: Known = NOTHING) -> None:
        self.stream = prepare(graph)
        nodes = self.stream.nodes
        classes = {(n.model, n.module): n.label for n in nodes if n.kind == "module" and n.model}
        self.known = replace(known, classes={**known.classes, **classes})
        self.truncated = graph.truncated
        self.deepest = max((n.module.count(".") + 1 for n in nodes if n.module), default=0)

    def at(self, depth: int) -> Picture:
        """The picture at a depth, or at the next one above that can be read."""
        at = asked = min(max(depth, 0), self.deepest)
        picture = self._fold(at)
        while picture is None and at > 0:
            at -= 1
            picture = self._fold(at)
        if picture is None:
            picture = _draw(self.stream, _merge_rest(sort_coarsely(self.stream, self.known)), self.known)
        too_much = f"Folded to depth {at}: depth {at + 1} is more than {MAX_BOXES} boxes or {MAX_LINKS} lines."
        return self._told(replace(picture, depth=at), *([too_much] if at < asked else []))

    def opened(self, depth: int, modules: Collection[Key]) -> Picture | None:
        """The picture at a depth with these modules opened by one level more, or None where nobody could read it."""
        picture = self._fold(depth, modules)
        return self._told(replace(picture, depth=depth)) if picture is not None else None

    def _fold(self, depth: int, opened: Collection[Key] = ()) -> Picture | None:
        """The picture at one depth, or None where nobody could read it."""
        sorting = sort_nodes(self.stream, depth, self.known, MAX_BOXES, opened)
        if sorting is None:
            return None
        picture = _draw(self.stream, sorting, self.known)
        return picture if len(picture.links) <= MAX_LINKS else None

    def _told(self, picture: Picture, *remarks: str) -> Picture:
        """What was left out, in words."""
        if not self.truncated:
            return replace(picture, remarks=(*remarks, *picture.remarks))
        words = f"{self.truncated:,} nodes were left out of the trace: the step was too large to keep."
        boxes = tuple(replace(box, calls=1) for box in picture.boxes)  # many calls are in one node
        return replace(picture, boxes=boxes, remarks=(*remarks, *picture.remarks, words))


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
        home.frozen += draft.frozen
        moved.append(rest[key])
    return Sorting(boxes, [moved[b] if b >= 0 else b for b in sorting.box], sorting.turn)


def _draw(stream: Stream, sorting: Sorting, known: Known) -> Picture:
    boxes = _mark_parts(_mark_other_calls(sorting.boxes))
    marks = find_marks(stream, sorting, boxes)
    links = links_between(stream, sorting, boxes)
    boxes, links, marks, moved = drop_results(boxes, links, marks)
    boxes, links, marks, merged = merge_chains(boxes, links, marks)
    moved = [merged[at] if at >= 0 else at for at in moved]
    links = _pass_zero_on(links, marks)
    boxes = _spread_worth(boxes, links, marks)
    homes = {n.uid: moved[b] for n, b in zip(stream.nodes, sorting.box, strict=True) if n.uid is not None and b >= 0}
    marks, badges = blame(marks, boxes, links, homes, known.blames)
    badges, unseen = limit(badges)
    told = sorted((mark for mark in marks if mark.harmful or mark.targets), key=lambda m: not m.harmful)
    more = len(told) - MAX_CUTS
    remarks = [f"{more} more cuts are not drawn."] if more > 0 else []
    remarks += [f"{unseen} more findings are not drawn."] if unseen else []
    return Picture(boxes, links, tuple(told[:MAX_CUTS]), badges, tuple(remarks))


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
        draft.idle,
        draft.frozen,
        False,
        draft.worth,
        dict(draft.some),
        tuple(draft.members),
        tuple(draft.classes),
        tuple(draft.names),
        tuple(draft.own),
        max(calls) if len(calls := set(draft.calls.values())) == 1 else 1,
        norm_range(draft),
        draft.location,
        tuple(draft.inside),
    )


def _mark_other_calls(drafts: Sequence[Draft]) -> tuple[Box, ...]:
    """A module may run twice in a turn, once without gradient: its parameters are in the other box.

    What computes with none of them behind a cut is only that.
    """
    boxes = tuple(map(_box, drafts))
    live = {(box.model, box.path) for box in boxes if box.flow is Flow.LIVE and box.kind is Kind.MODULE}

    def is_other(box: Box, draft: Draft) -> bool:
        idle = box.kind is Kind.MODULE and box.flow is not Flow.LIVE and not box.parameters
        return idle and (box.flow is Flow.DEAD or draft.borrows) and (box.model, box.path) in live

    return tuple(
        replace(box, again=True) if is_other(box, draft) else box for box, draft in zip(boxes, drafts, strict=True)
    )


def _mark_parts(boxes: tuple[Box, ...]) -> tuple[Box, ...]:
    """A module that is drawn whole may still be two boxes: what has a gradient, and what has none."""
    holding = [box.kind is Kind.MODULE and box.parameters > 0 and not box.members for box in boxes]
    amount = Counter((box.model, box.path) for box, holds in zip(boxes, holding, strict=True) if holds)
    return tuple(
        replace(box, part=holds and amount[box.model, box.path] > 1) for box, holds in zip(boxes, holding, strict=True)
    )


def _came(links: Sequence[Link], marks: Sequence[Mark]) -> dict[int, set[Worth]]:
    """Per box what all that it hands on brought back to it, where that is known of all."""
    got: dict[int, set[Worth]] = {}
    for link in links:
        if link.line is Line.LIVE:
            got.setdefault(link.source, set()).add(link.worth)
    for mark in marks:
        if mark.worth is not Worth.SOUND:
            got.setdefault(mark.source, set()).add(mark.worth)
    return got


def _pass_zero_on(links: tuple[Link, ...], marks: Sequence[Mark]) -> tuple[Link, ...]:
    """Of a box to which only zeros came nothing else comes back, also where the share of a user is not known."""
    while True:
        zero = {box for box, worths in _came(links, marks).items() if worths == {Worth.ZERO}}
        passed = tuple(
            replace(link, norm=0.0) if link.target in zero and link.norm and link.worth is Worth.SOUND else link
            for link in links
        )
        if passed == links:
            return links
        links = passed


def _spread_worth(boxes: tuple[Box, ...], links: Sequence[Link], marks: Sequence[Mark]) -> tuple[Box, ...]:
    """A box without parameters is worth what comes back to it."""
    got = _came(links, marks)
    return tuple(
        replace(box, worth=next(iter(got[index])))
        if not box.parameters and box.kind in (Kind.MODULE, Kind.GLUE) and len(got.get(index, ())) == 1
        else box
        for index, box in enumerate(boxes)
    )
