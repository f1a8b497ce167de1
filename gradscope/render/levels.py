"""The graph of a page at several depths, and with each module opened alone: every view is laid out here, once.

* Each view is a whole picture with lines and cuts of its own: the browser shows one or another and computes nothing.
* A box says in `data-opens` which boxes it becomes, and so in which view: the one in which nothing but it and what it
  lies in is opened; where there is no room for that, the next depth, in which all are.
* Ids are those of one picture: they get the name of the view before them, as a page has all in one document.
"""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gradscope.render.boxes import Kind
from gradscope.render.graph import DEPTH, Views
from gradscope.render.markup import Markup

if TYPE_CHECKING:
    from gradscope.render.folded import Box, Picture
    from gradscope.render.graph import Drawing
    from gradscope.render.shapes import Key
    from gradscope.report import Report

MAX_DEPTH = 5
ROOM = 400_000
"""Characters that all views together may take: a page stays below 1 MB."""
MAX_OPENED, MAX_FOLDED = 40, 100_000
"""Modules that are opened alone, and nodes that are folded for it: a page is made in seconds."""

_ID = re.compile(r' id="(n\d+)"')
_NEEDLESS = re.compile(
    r'<!--.*?-->\n?| font-family="Helvetica,sans-Serif"| xlink:title="[^"]*"| class="\w+"| id="(?!n\d+")[^"]*"'
)


@dataclass(frozen=True, slots=True)
class Level:
    """One view: its SVG element, and its depth, or None where a module is opened alone."""

    depth: int | None
    svg: Markup
    first: bool
    """It is the one to begin with."""


def draw_page_levels(report: Report, room: int = ROOM) -> tuple[tuple[Level, ...], Drawing]:
    """The depths that differ and can be read, the modules opened alone, and the drawing to begin with."""
    views = Views(report)
    graph = report.run.graph
    owners = (owner.fqn for parameter in report.run.parameters.values() for owner in parameter.owners)
    modules = (fqn.rpartition(".")[0] for fqn in owners) if graph is None else (node.module for node in graph.nodes)
    deepest = max((name.count(".") + 1 for name in modules if name), default=0)
    found = (views.at(depth) for depth in range(min(deepest, MAX_DEPTH) + 1))
    drawn = [view for depth, view in enumerate(found) if view[0].depth == depth]
    first = min(DEPTH, len(drawn) - 1)
    svgs = {first: _small(drawn[first][1])}
    while first and len(svgs[first] or "") > room:  # a loop unrolled into hundreds of boxes: nobody reads it on a page
        first -= 1
        svgs[first] = _small(drawn[first][1])
    kept: dict[int, Sheet] = {}
    for at in (*range(first, -1, -1), *range(first + 1, len(drawn))):
        svg = svgs[at] if at in svgs else _small(drawn[at][1])
        if svg is None or (kept and len(svg) > room):
            break
        room -= len(svg)
        kept[at] = Sheet(f"g{drawn[at][0].depth}", drawn[at][0], svg)
    album = Album(views, {sheet.picture.depth: sheet for _, sheet in sorted(kept.items())}, room)
    album.open_all([kept[first]] if kept else [])
    album.open_all([sheet for at, sheet in kept.items() if at != first])
    levels = [Level(sheet.picture.depth, sheet.marked(), kept.get(first) is sheet) for sheet in album.levels.values()]
    return (*levels, *(Level(None, sheet.marked(), False) for sheet in album.opened)), drawn[first][1]


@dataclass(eq=False)
class Sheet:
    """A view on the page: the name that its ids begin with, and per box that opens the ids of what it becomes."""

    name: str
    picture: Picture
    svg: str
    opens: dict[str, str] = field(default_factory=dict)

    def marked(self) -> Markup:
        """The SVG element with ids of its own, and with what opens."""

        def mark(match: re.Match[str]) -> str:
            inside = f' data-opens="{self.opens[match[1]]}"' if match[1] in self.opens else ""
            return f' id="{self.name}-{match[1]}"{inside}'

        return Markup(_ID.sub(mark, self.svg))


@dataclass(eq=False)
class Album:
    """All views of a page: the depths, and the modules that are opened alone."""

    views: Views
    levels: dict[int, Sheet]
    room: int
    opened: list[Sheet] = field(default_factory=list)
    _known: dict[tuple[int, frozenset[Key]], Sheet | None] = field(default_factory=dict)
    _folded: int = 0

    def open_all(self, start: list[Sheet]) -> None:
        """Let each box of these views open alone, then those that are seen when it is."""
        todo = deque(start)
        while todo:
            sheet = todo.popleft()
            for index, box in enumerate(sheet.picture.boxes):
                if parts_of(box, sheet.picture):  # it is open
                    continue
                before = len(self.opened)
                target = self._opened(sheet, box) or self.levels.get(_length(box) + 1)
                if target is not None and (parts := parts_of(box, target.picture)):
                    sheet.opens[f"n{index}"] = " ".join(f"{target.name}-n{number}" for number in parts)
                todo += self.opened[before:]

    def _opened(self, sheet: Sheet, box: Box) -> Sheet | None:
        """The view in which this box is opened, with what it lies in and nothing else."""
        if box.kind is not Kind.MODULE or not box.inside:
            return None
        depth = sheet.picture.depth
        modules = frozenset((box.model, path[:length]) for path in box.inside for length in range(depth, len(path) + 1))
        if (depth, modules) not in self._known:
            large = len(sheet.svg) > self.room  # so will it be
            self._known[depth, modules] = None if large else self._draw(depth, modules, box)
        return self._known[depth, modules]

    def _draw(self, depth: int, modules: frozenset[Key], box: Box) -> Sheet | None:
        if len(self.opened) >= MAX_OPENED or self._folded > MAX_FOLDED:
            return None
        self._folded += self.views.size
        view = self.views.opened(depth, modules)
        if view is None or not parts_of(box, view[0]):
            return None
        whole = self.levels.get(_length(box) + 1)
        if whole is not None and (whole.picture.boxes, whole.picture.links) == (view[0].boxes, view[0].links):
            return whole  # it is the only one that opens
        svg = _small(view[1])
        if svg is None or len(svg) > self.room:
            return None
        self.room -= len(svg)
        self.opened.append(Sheet(f"o{len(self.opened)}", view[0], svg))
        return self.opened[-1]


def parts_of(box: Box, picture: Picture) -> list[int]:
    """The boxes that one is shown as where it is opened, with what it does between them; none if it is not opened."""
    if box.kind is not Kind.MODULE:
        return []
    lengths = {len(path) for path in box.inside}
    mine = set(box.inside)
    parts = [
        (number, part)
        for number, part in enumerate(picture.boxes)
        if part.kind in (Kind.MODULE, Kind.GLUE)
        and part.model == box.model
        and any(path[:length] in mine for path in part.inside for length in lengths)
    ]
    deeper = any(part.kind is Kind.MODULE and max(map(len, part.inside)) > max(lengths) for _, part in parts)
    return [number for number, _ in parts] if deeper else []


def _length(box: Box) -> int:
    """How many levels of names a box is deep."""
    return max(map(len, box.inside), default=0)


def _small(drawing: Drawing) -> str | None:
    """An SVG element without what a page does not need: a quarter smaller."""
    svg = drawing.svg()
    return None if svg is None else _NEEDLESS.sub("", svg)
