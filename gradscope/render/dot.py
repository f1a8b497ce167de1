"""A folded picture as DOT text: the same picture gives the same bytes.

* Everything foreign passes `labels`; names of nodes are running numbers.
* The page behind may be white or black: boxes are filled and carry their own ink, all else is mid-grey.
* Helvetica and Courier by these names: every Graphviz, also one without Pango, knows how wide they are.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from gradscope.render import escape
from gradscope.render.boxes import Kind
from gradscope.render.fold import Box, Line, Link, Mark, Picture
from gradscope.render.labels import code, quoted, rows, safe, small, tooltip
from gradscope.render.palette import CUT, DEAD, INK, PAPER, TEXT, shade, tint
from gradscope.render.stream import Flow
from gradscope.render.words import number

MAX_EDGE_LABELS = 120
MANY_LINKS = 100
"""From here on dot is told to be content earlier: 0.7 s instead of more than 20 s for 372 tangled lines."""
LEAST_DECADES = 2.0
THIN, THICK = 1.0, 4.0
GLUE = "#6B7F99"
"""Lines that belong to no model."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """A model: its name, its title line, its colour. A dead one is grey and dashed."""

    name: str
    class_name: str
    state: str
    colour: str
    dead: bool


def to_dot(picture: Picture, clusters: Sequence[Cluster]) -> str:
    """DOT text of a picture; boxes of models without a cluster stand free."""
    lines = ["digraph gradscope {", *_head(picture)]
    colours = {cluster.name: cluster.colour for cluster in clusters}
    free = {cluster.name: index for index, cluster in enumerate(clusters)}
    inside: dict[int, list[str]] = {}
    for index, box in enumerate(picture.boxes):
        home = free.get(box.model, -1) if box.model else -1
        inside.setdefault(home, []).append(_node(index, box, colours.get(box.model, DEAD)))
    entries = _entries(picture)
    for index, cluster in enumerate(clusters):
        lines += _cluster(index, cluster, inside.get(index, []), entries.get(cluster.name, []))
    lines += [f"  {line}" for line in inside.get(-1, [])]
    lines += [f"  {line}" for line in _edges(picture, colours)]
    for index, marks in enumerate(_plates(picture.marks)):
        lines += [f"  {line}" for line in _plate(index, marks)]
    return "\n".join([*lines, "}", ""])


def _head(picture: Picture) -> list[str]:
    caption = _legend(picture)
    hurry = " nslimit=1, nslimit1=1, mclimit=0.3," if len(picture.links) > MANY_LINKS else ""
    return [
        f'  graph [rankdir=TB, bgcolor=transparent,{hurry} nodesep=0.3, ranksep=0.35, pad=0.15, fontname="Helvetica",'
        f' fontsize=10, fontcolor="{TEXT}", labelloc=b, label=<{caption}>];',
        f'  node [shape=box, style="rounded,filled", fontname="Helvetica", fontsize=12, fontcolor="{INK}",'
        ' margin="0.16,0.08", height=0.3];',
        f'  edge [fontname="Helvetica", fontsize=10, fontcolor="{TEXT}", color="{DEAD}", arrowsize=0.7];',
    ]


def _legend(picture: Picture) -> str:
    """What the lines that do occur mean, and the remarks."""
    lines = {link.line for link in picture.links}
    cut = bool(picture.marks)
    samples = [
        (Line.LIVE in lines, "&#8212;&#8212;", GLUE, "gradient comes back: width and number are its norm"),
        (Line.DEAD in lines, "- - -", DEAD, "no gradient comes back"),
        (cut, "&#8212;|", CUT, "the gradient is cut here"),
        (cut or Line.GHOST in lines, "&#183; &#183; &#183;", DEAD, "the value goes on without gradient"),
    ]
    table = [
        f'<tr><td align="right"><font color="{colour}"><b>{line}</b></font></td><td align="left">{words}</td></tr>'
        for used, line, colour, words in samples
        if used
    ]
    remarks = picture.remarks if table else (*picture.remarks, "Nothing is connected.")
    table += [f'<tr><td></td><td align="left"><b>{escape.html(remark)}</b></td></tr>' for remark in remarks]
    return f'<table border="0" cellborder="0" cellspacing="0" cellpadding="2">{"".join(table)}</table>'


def _entries(picture: Picture) -> dict[str, list[int]]:
    """Per model the boxes that take from no other box of it: what stands at its top."""
    fed = {k.target for k in picture.links if picture.boxes[k.source].model == picture.boxes[k.target].model}
    found: dict[str, list[int]] = {}
    for index, box in enumerate(picture.boxes):
        if index not in fed or box.model not in found:
            found.setdefault(box.model, []).append(index)
    return found


def _cluster(index: int, cluster: Cluster, nodes: list[str], entries: list[int]) -> list[str]:
    """A model. Its title is a node above the first boxes: lines go around nodes, but straight through titles."""
    title = f"<b>{safe(cluster.name)}</b>"
    if facts := ", ".join(part for part in (cluster.class_name, cluster.state) if part):
        title += f"<br/>{small(facts)}"
    style = "rounded,filled,dashed" if cluster.dead else "rounded,filled"
    colour = DEAD if cluster.dead else cluster.colour
    if not nodes:
        look = f'style="rounded,dashed", color="{DEAD}", fontcolor="{shade(DEAD, 0.65)}"'
        nodes = [f'e{index} [label="not in the traced step", {look}];']
    tops = [f"n{entry}" for entry in entries] or [f"e{index}"]
    return [
        f"  subgraph cluster_{index} {{",
        f'    graph [label="", style="{style}", color="{colour}", fillcolor="{tint(colour, 0.14)}", margin=10,'
        f' tooltip="{quoted(cluster.name)}"];',
        f"    t{index} [label=<{title}>, shape=plaintext, style=solid, fontsize=14, margin=0, height=0.2,"
        f' fontcolor="{shade(colour, 0.6)}", tooltip="{quoted(cluster.name)}"];',
        *(f"    {node}" for node in nodes),
        *(f"    t{index} -> {top} [style=invis, weight=0];" for top in tops),
        "  }",
    ]


def _node(index: int, box: Box, colour: str) -> str:
    label = "<br/>".join(row for row in rows(box) if row)
    tip = quoted(tooltip(box))
    stacked = ", peripheries=2" if box.repeats > 1 else ""
    return f'n{index} [label=<{label}>, {_look(box, colour)}{stacked}, id=n{index}, tooltip="{tip}"];'


def _look(box: Box, colour: str) -> str:
    if box.kind is Kind.LOSS:
        return f'style="filled", fillcolor="{INK}", fontcolor="{PAPER}", color="{DEAD}"'
    if box.kind is Kind.INPUT:
        return f'shape=ellipse, style="filled", fillcolor="{PAPER}", color="{DEAD}", margin="0.06,0.02"'
    faint = shade(DEAD, 0.65)
    if box.flow is Flow.GHOST:
        return f'style="rounded,filled,dotted", fillcolor="{PAPER}", color="{DEAD}", fontcolor="{faint}"'
    if box.flow is Flow.DEAD:
        return f'style="rounded,filled,dashed", fillcolor="{tint(DEAD, 0.22)}", color="{DEAD}", fontcolor="{faint}"'
    fill = PAPER if box.kind is Kind.GLUE else tint(colour, 0.35)
    return f'fillcolor="{fill}", color="{shade(colour, 0.85) if box.model else GLUE}"'


def _edges(picture: Picture, colours: dict[str, str]) -> Iterable[str]:
    norms = [link.norm for link in picture.links if link.norm and math.isfinite(link.norm)]
    top = math.log10(max(norms, default=1.0))
    span = max(top - math.log10(min(norms, default=1.0)), LEAST_DECADES)
    labelled = sum(link.norm is not None for link in picture.links) <= MAX_EDGE_LABELS
    for link in picture.links:
        yield f"n{link.source} -> n{link.target} [{_edge_look(picture, link, colours, top, span, labelled)}];"


def _edge_look(picture: Picture, link: Link, colours: dict[str, str], top: float, span: float, labelled: bool) -> str:
    if link.line is Line.DATA:
        return f'color="{DEAD}", penwidth=0.8, arrowhead=vee'
    if link.line is Line.DEAD:
        return f'color="{DEAD}", penwidth=1.2, style=dashed'
    if link.line is Line.GHOST:
        return f'color="{DEAD}", penwidth=1.6, style=dotted, arrowhead=vee'
    source, target = picture.boxes[link.source], picture.boxes[link.target]
    colour = colours.get(source.model) or colours.get(target.model) or GLUE
    if link.norm is None:
        return f'color="{colour}", penwidth=1.4'
    if not math.isfinite(link.norm):
        return f'color="{CUT}", penwidth={THICK}, label=<<b>{number(link.norm)}</b>>, fontcolor="{CUT}"'
    share = 1 + (math.log10(link.norm) - top) / span if link.norm > 0 else 0.0
    width = THIN + (THICK - THIN) * min(max(share, 0.0), 1.0)
    words = number(link.norm)
    label = f'label="  {words}"' if labelled else ""
    tip = f'edgetooltip="norm {words}", labeltooltip="norm {words}"'
    return ", ".join(part for part in (f'color="{colour}", penwidth={width:.2f}', label, tip) if part)


def _plates(marks: Sequence[Mark]) -> list[list[Mark]]:
    """Marks of one cause at one line share a plate: it is the line that is to blame."""
    together: dict[object, list[Mark]] = {}
    for index, mark in enumerate(marks):
        together.setdefault((mark.cause, mark.location) if mark.location else index, []).append(mark)
    return list(together.values())


def _plate(index: int, marks: Sequence[Mark]) -> list[str]:
    """Cuts at one line: bold red lines that end at a bar, a plate with cause and line, dotted lines for the value."""
    first = marks[0]
    harmful = any(mark.harmful for mark in marks)
    where = f" at {first.location}" if first.location else ""
    lines = [f"<b>{safe(first.cause + where)}</b>"]
    if first.location and first.location.text:
        lines.append(code(first.location))
    tip = quoted(str(first.location or first.cause))
    targets = dict.fromkeys(target for mark in marks for target in mark.targets)
    return [
        f'c{index} [label=<{"<br/>".join(lines)}>, style="filled", fillcolor="{tint(CUT, 0.12)}", color="{CUT}",'
        f' fontcolor="{shade(CUT, 0.8)}", penwidth={1.6 if harmful else 0.8}, tooltip="{tip}"];',
        *(f"n{mark.source} -> c{index} [{_cut_look(mark)}];" for mark in marks),
        *(f'c{index} -> n{target} [color="{DEAD}", penwidth=1.6, style=dotted, arrowhead=vee];' for target in targets),
    ]


def _cut_look(mark: Mark) -> str:
    width = 3.5 if mark.harmful else 1.4
    value = f', label=< last value: {safe(mark.value)}>, fontcolor="{CUT}"' if mark.value and mark.harmful else ""
    return f'color="{CUT}", penwidth={width}, arrowhead=tee, arrowsize=1.2{value}'
