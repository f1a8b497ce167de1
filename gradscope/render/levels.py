"""The graph of a page at several depths, so that a module can be opened: each depth is laid out here, once.

* Each depth is a whole picture with lines and cuts of its own: the browser shows one or another and computes nothing.
* A box says in `data-opens` which boxes of the next depth it becomes.
* Ids are those of one picture: they get the depth before them, because a page has all pictures in one document.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gradscope.render.boxes import Kind
from gradscope.render.graph import DEPTH, draw_levels
from gradscope.render.markup import Markup

if TYPE_CHECKING:
    from gradscope.render.folded import Picture
    from gradscope.render.graph import Drawing
    from gradscope.report import Report

MAX_DEPTH = 5
ROOM = 400_000
"""Characters that all depths together may take: a page stays below 1 MB."""

_ID = re.compile(r'<(g|a) id="([\w-]+)"')


@dataclass(frozen=True, slots=True)
class Level:
    """One depth: its SVG element, and whether it is the one to begin with."""

    depth: int
    svg: Markup
    first: bool


def draw_page_levels(report: Report) -> tuple[tuple[Level, ...], Drawing]:
    """The depths that differ and can be read, and the drawing to begin with."""
    graph = report.run.graph
    owners = (owner.fqn for parameter in report.run.parameters.values() for owner in parameter.owners)
    modules = (fqn.rpartition(".")[0] for fqn in owners) if graph is None else (node.module for node in graph.nodes)
    deepest = max((name.count(".") + 1 for name in modules if name), default=0)
    depths = range(min(deepest, MAX_DEPTH) + 1)
    drawn = [pair for depth, pair in enumerate(draw_levels(report, depths)) if pair[0].depth == depth]
    first = min(DEPTH, len(drawn) - 1)
    svgs = {first: drawn[first][1].svg()}
    while first and len(svgs[first] or "") > ROOM:  # a loop unrolled into hundreds of boxes: nobody reads it on a page
        first -= 1
        svgs[first] = drawn[first][1].svg()
    room, kept = ROOM, set[int]()
    for at in (*range(first, -1, -1), *range(first + 1, len(drawn))):
        svg = svgs[at] if at in svgs else drawn[at][1].svg()
        if svg is None or (kept and len(svg) > room):
            break
        room -= len(svg)
        kept.add(at)
    levels = [
        Level(drawn[at][0].depth, _with_ids(drawn[at], drawn[at + 1][0] if at + 1 in kept else None), at == first)
        for at in sorted(kept)
    ]
    return tuple(levels), drawn[first][1]


def _with_ids(drawn: tuple[Picture, Drawing], below: Picture | None) -> Markup:
    picture, drawing = drawn
    opens = _opens(picture, below) if below is not None else {}

    def mark(match: re.Match[str]) -> str:
        tag, name = match.groups()
        inside = f' data-opens="{opens[name]}"' if name in opens else ""
        return f'<{tag} id="g{picture.depth}-{name}"{inside}'

    return Markup(_ID.sub(mark, drawing.svg() or ""))


def _opens(picture: Picture, below: Picture) -> dict[str, str]:
    """Per box that is shown in parts at the next depth, the ids of its parts, also of what it does between them."""
    found: dict[str, str] = {}
    for index, box in enumerate(picture.boxes):
        if box.kind is not Kind.MODULE:
            continue
        parts = [
            (number, part)
            for number, part in enumerate(below.boxes)
            if part.kind in (Kind.MODULE, Kind.GLUE)
            and part.model == box.model
            and part.path[: len(box.path)] == box.path
        ]
        if any(part.kind is Kind.MODULE and len(part.path) > len(box.path) for _, part in parts):
            found[f"n{index}"] = " ".join(f"g{below.depth}-n{number}" for number, _ in parts)
    return found
