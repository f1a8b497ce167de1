"""Marks of cuts, and badges of findings: every line that an error or a warning names stands in the picture.

* A box that is nothing but the result of a cut (the output of `detach`) is left out: the mark says it already.
* A finding about a lost gradient makes the cut at its line bold. Where the trace shows that cut at another line of
  the same cause (the forward of a function whose backward is to blame), the line of the finding is the one told.
* Any other finding, and one whose cut is not in the drawn step, is a badge in its model, which says what part of it
  is meant.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from gradscope.records import Edge, Location
from gradscope.render.boxes import Kind, Sorting
from gradscope.render.known import Blame, Worth, worth_of
from gradscope.render.stream import Flow, Stream

if TYPE_CHECKING:
    from gradscope.render.folded import Box, Link

MAX_RESULT_NODES = 3
"""`detach().clone()` is still no more than the result of a cut; more operations are work of their own."""
MAX_BADGES = 8
"""Per model; the report has them all."""
MAX_SOURCES = 6
"""Lines into one badge."""
MAX_TIES = 3
"""Boxes with a line to the plate that is about them; of more the plate says whom it is about."""
NEVER_LIVE = "computed without gradient"
FROZEN = "requires_grad_false"
"""What was frozen, and is not blamed for it, was meant to be: its box says that it gets none."""


@dataclass(frozen=True, slots=True)
class Mark:
    """A cut: `source` lost its gradient here, `targets` got the value nevertheless."""

    source: int
    targets: tuple[int, ...]
    cause: str
    location: Location | None
    value: str
    """What is said of the value that met it: the last live tensor, or that it never had a gradient."""
    harmful: bool
    """Nothing else keeps the source alive, or a finding blames it."""
    worth: Worth = Worth.SOUND
    """Where a gradient does come back and is worth nothing: zero, NaN or Inf."""


@dataclass(frozen=True, slots=True)
class Badge:
    """A finding of a model; `sources` are the boxes that have a line to it, `whom` the parts that it is about."""

    blame: Blame
    sources: tuple[int, ...] = ()
    whom: tuple[str, ...] = ()

    @property
    def cuts(self) -> bool:
        """The gradient of its sources ends at the line it names. One that names no line is no cut at a place."""
        return self.blame.lost and self.blame.location is not None


def find_marks(stream: Stream, sorting: Sorting, boxes: Sequence[Box]) -> tuple[Mark, ...]:
    """The cuts between and inside boxes, those of one box at one line together."""
    found: dict[tuple[int, str, Location | None], tuple[dict[int, None], dict[str, None], Worth]] = {}
    for source, target, edge in stream.edges:
        box, behind = sorting.box[source], sorting.box[target]
        if not edge.cut or min(box, behind) < 0:
            continue
        new: tuple[dict[int, None], dict[str, None], Worth] = ({}, {}, worth_of(edge.norm))
        targets, values, _ = found.setdefault((box, edge.cut, edge.location), new)
        if behind != box:
            targets[behind] = None
        values[_value(stream, source, edge)] = None
    return tuple(
        Mark(box, tuple(targets), cause, location, _first(values), boxes[box].flow is not Flow.LIVE, worth)
        for (box, cause, location), (targets, values, worth) in found.items()
    )


def _value(stream: Stream, source: int, edge: Edge) -> str:
    """What a cut took the gradient of. Of a parameter its box tells; zero or NaN is no end of what is live."""
    node, name = stream.nodes[source], stream.names[source]
    if edge.requires is None or node.kind not in ("op", "module") or worth_of(edge.norm) is not Worth.SOUND:
        return ""
    if not edge.requires:
        return NEVER_LIVE
    return f"last live tensor: {f'output of {name}' if node.kind == 'module' else name}"


def _first(values: Iterable[str]) -> str:
    """Of several at one line a live one."""
    return next((value for value in values if value not in ("", NEVER_LIVE)), next(iter(values)))


def drop_results(
    boxes: tuple[Box, ...], links: tuple[Link, ...], marks: tuple[Mark, ...]
) -> tuple[tuple[Box, ...], tuple[Link, ...], tuple[Mark, ...], list[int]]:
    """Let the lines of a box that only holds the result of a cut start at the mark, and leave the box out.

    Also tells where each box went, -1 for those left out.
    """
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
    kept = [b for b in range(len(boxes)) if b not in gone]
    moved = [-1] * len(boxes)
    for new, old in enumerate(kept):
        moved[old] = new
    new_links = tuple(
        replace(link, source=moved[link.source], target=moved[link.target]) for link in links if link.source not in gone
    )
    new_marks = []
    for mark in marks:
        reached = [t for target in mark.targets for t in (after.get(target, []) if target in gone else [target])]
        new_marks.append(
            replace(mark, source=moved[mark.source], targets=tuple(moved[t] for t in dict.fromkeys(reached)))
        )
    return tuple(boxes[b] for b in kept), new_links, tuple(new_marks), moved


def blame(
    marks: tuple[Mark, ...],
    boxes: Sequence[Box],
    links: Sequence[Link],
    homes: Mapping[int, int],
    told: Sequence[Blame],
) -> tuple[tuple[Mark, ...], tuple[Badge, ...]]:
    """Marks with the guilty ones bold, and badges for what they do not say. `homes` is the box of each parameter."""
    found = list(marks)
    guilty = {index for each in told for index in _at_its_line(found, each)}
    open_ = [each for each in told if not _at_its_line(found, each)]
    badges: dict[tuple[str, str, str], Badge] = {}
    for each in open_:
        victims = {homes[uid] for uid in each.uids if uid in homes}
        same = [index for index, mark in enumerate(found) if index not in guilty and _same(mark, each, victims, boxes)]
        if len({_place(found[index].location) for index in same}) > 1:
            same = []
        for index in same:
            found[index] = replace(found[index], location=each.location or found[index].location)
        guilty.update(same)
        if not same:
            before = badges.get(key := (each.model, *each.plate), Badge(each))
            sources = dict.fromkeys((*before.sources, *_sources(each, victims, links, boxes)))
            whom = dict.fromkeys((*before.whom, each.whom))
            badges[key] = Badge(before.blame, tuple(sources)[:MAX_SOURCES], tuple(whom))
    bold = (replace(mark, harmful=True) if index in guilty else mark for index, mark in enumerate(found))
    drawn = (mark for index, mark in enumerate(bold) if index in guilty or mark.cause != FROZEN)
    return tuple(drawn), tuple(badges.values())


def limit(badges: Sequence[Badge]) -> tuple[tuple[Badge, ...], int]:
    """As many per model as can be read, and how many are left out."""
    kept: dict[str, list[Badge]] = {}
    for badge in badges:
        mine = kept.setdefault(badge.blame.model, [])
        if len(mine) < MAX_BADGES:
            mine.append(badge)
    shown = tuple(badge for mine in kept.values() for badge in mine)
    return shown, len(badges) - len(shown)


def _at_its_line(marks: Sequence[Mark], each: Blame) -> list[int]:
    if not each.lost or each.location is None:
        return []
    there = [index for index, mark in enumerate(marks) if _place(mark.location) == _place(each.location)]
    return [index for index in there if marks[index].cause == each.cause] or there


def _place(location: Location | None) -> tuple[str, int] | None:
    return (location.file, location.line) if location is not None else None


def _same(mark: Mark, each: Blame, victims: set[int], boxes: Sequence[Box]) -> bool:
    """The cut a finding means, known at another line."""
    if not each.lost or mark.cause != each.cause:
        return False
    return mark.source in victims or (bool(each.model) and boxes[mark.source].model == each.model)


def _sources(each: Blame, victims: set[int], links: Sequence[Link], boxes: Sequence[Box]) -> tuple[int, ...]:
    """Boxes that a plate hangs on: where a gradient is lost, else the few of a part that it is about."""
    if each.lost and (each.location is not None or each.state == "none"):
        return _exits(victims, links, boxes)
    return tuple(sorted(victims)) if each.whom and len(victims) <= MAX_TIES else ()


def _exits(victims: set[int], links: Sequence[Link], boxes: Sequence[Box]) -> tuple[int, ...]:
    """Boxes with lost gradients that lead to no other of them."""
    after: dict[int, set[int]] = {}
    for link in links:
        after.setdefault(link.source, set()).add(link.target)
    reached = {victim: _reach(victim, after) for victim in victims}
    last = {v for v in victims if not reached[v] & victims - {v}} or victims
    return tuple(sorted({_dead_end(v, after, boxes) for v in last})[:MAX_SOURCES])


def _dead_end(start: int, after: Mapping[int, set[int]], boxes: Sequence[Box]) -> int:
    """Where operations go on that lead nowhere else: the last of them."""
    at, seen = start, {start}
    while len(after.get(at, ())) == 1:
        (following,) = after[at]
        if following in seen or boxes[following].kind is not Kind.GLUE or boxes[following].flow is not Flow.DEAD:
            break
        seen.add(following)
        at = following
    return at if not after.get(at) else start


def _reach(start: int, after: Mapping[int, set[int]]) -> set[int]:
    """The boxes that the values of one lead to."""
    todo, seen = [start], {start}
    while todo:
        new = after.get(todo.pop(), set()) - seen
        seen |= new
        todo += new
    return seen
