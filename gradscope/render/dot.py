"""A folded picture as DOT text: the same picture gives the same bytes.

* Everything foreign passes `labels`; names of nodes are running numbers. What things look like is in `looks`.
* Helvetica and Courier by these names: every Graphviz, also one without Pango, knows how wide they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from gradscope.diagnosis.finding import State
from gradscope.render.folded import Box, Picture
from gradscope.render.known import Worth
from gradscope.render.labels import badge_rows, mark_rows, place, quoted, rows, safe, small, tooltip
from gradscope.render.legend import legend
from gradscope.render.looks import (
    BROKEN,
    WARNING,
    Cluster,
    Look,
    Scale,
    behind_look,
    box_look,
    cluster_look,
    cut_colour,
    cut_look,
    link_colour,
    link_look,
    passes,
    plate_look,
    tie_look,
)
from gradscope.render.marks import Badge, Mark
from gradscope.render.palette import DEAD, INK, TEXT, shade
from gradscope.render.words import STATE_WORDS

MAX_EDGE_LABELS = 120
MANY_LINKS = 100
"""From here on dot is told to be content earlier: 0.7 s instead of more than 20 s for 372 tangled lines."""


def to_dot(picture: Picture, clusters: Sequence[Cluster]) -> str:
    """DOT text of a picture; boxes of models without a cluster stand free."""
    known = {cluster.name: cluster for cluster in clusters}
    inside: dict[str, list[str]] = {}
    for index, box in enumerate(picture.boxes):
        cluster = known.get(box.model) if box.model else None
        inside.setdefault(box.model if cluster else "", []).append(_node(index, box, cluster))
    edges = list(_edges(picture, known))
    for index, marks in enumerate(_plates(picture.marks)):
        home = _home(picture, marks)
        inside.setdefault(home if home in known else "", []).append(_plate(index, marks))
        edges += _cut_edges(index, marks)
    for index, badge in enumerate(picture.badges):
        home = badge.blame.model
        if any(picture.boxes[source].model != home for source in badge.sources):
            home = ""
        inside.setdefault(home if home in known else "", []).append(_badge(index, badge))
        edges += [_badge_edge(index, badge, source) for source in badge.sources]
    warned = {badge.blame.model for badge in picture.badges if not badge.blame.lost}
    entries = _entries(picture)
    lines = ["digraph gradscope {", *_head(picture)]
    for index, cluster in enumerate(clusters):
        tops = [f"n{entry}" for entry in entries.get(cluster.name, [])]
        free = [b for b, badge in enumerate(picture.badges) if badge.blame.model == cluster.name and not badge.sources]
        lines += _cluster(index, cluster, inside.get(cluster.name, []), tops, free, warned=cluster.name in warned)
    lines += [f"  {line}" for line in [*inside.get("", []), *edges]]
    return "\n".join([*lines, "}", ""])


def _head(picture: Picture) -> list[str]:
    hurry = " nslimit=1, nslimit1=1, mclimit=0.3," if len(picture.links) > MANY_LINKS else ""
    return [
        f'  graph [rankdir=TB, bgcolor=transparent,{hurry} nodesep=0.3, ranksep=0.35, pad=0.15, fontname="Helvetica",'
        f' fontsize=10, fontcolor="{TEXT}", labelloc=b, label=<{legend(picture)}>];',
        f'  node [shape=box, style="rounded,filled", fontname="Helvetica", fontsize=12, fontcolor="{INK}",'
        ' margin="0.16,0.08", height=0.3];',
        f'  edge [fontname="Helvetica", fontsize=10, fontcolor="{TEXT}", color="{DEAD}", arrowsize=0.7];',
    ]


def _entries(picture: Picture) -> dict[str, list[int]]:
    """Per model the boxes that take from no other box of it: what stands at its top."""
    apart = (link for link in picture.links if link.source != link.target)
    fed = {k.target for k in apart if picture.boxes[k.source].model == picture.boxes[k.target].model}
    fed |= {target for mark in picture.marks for target in mark.targets}
    found: dict[str, list[int]] = {}
    for index, box in enumerate(picture.boxes):
        if index not in fed or box.model not in found:
            found.setdefault(box.model, []).append(index)
    return found


def _cluster(
    index: int, cluster: Cluster, nodes: list[str], tops: list[str], free: list[int], *, warned: bool
) -> list[str]:
    """A model. Its title is a node above the first boxes: lines go around nodes, but straight through titles.

    `free` are the plates that are about all of it, which stand right below.
    """
    title = f"<b>{safe(cluster.name)}</b>"
    if facts := ", ".join(part for part in (cluster.class_name, cluster.state) if part):
        title += f"<br/>{small(facts)}"
    ink = DEAD if cluster.look is Look.DEAD else cluster.colour
    if not tops:
        look = f'style="rounded,dashed", color="{DEAD}", fontcolor="{shade(DEAD, 0.65)}"'
        nodes = [f'e{index} [label="not in the traced step", {look}];', *nodes]
        tops = [f"e{index}"]
    return [
        f"  subgraph cluster_{index} {{",
        f'    graph [label="", {cluster_look(cluster, warned)}, margin=10, tooltip="{quoted(cluster.name)}"];',
        f"    t{index} [label=<{title}>, style=solid, color=none, fontsize=14, margin=0, height=0.2,"
        f' fontcolor="{shade(ink, 0.6)}", tooltip="{quoted(cluster.name)}"];',
        *(f"    {node}" for node in nodes),
        *(f"    t{index} -> b{badge} [style=invis, weight=2];" for badge in free),
        *(f"    t{index} -> {top} [style=invis, weight=0{', minlen=2' * bool(free)}];" for top in tops),
        "  }",
    ]


def _node(index: int, box: Box, cluster: Cluster | None) -> str:
    frozen = cluster is not None and cluster.state == STATE_WORDS[State.FROZEN]
    label = "<br/>".join(row for row in rows(box, passes(box, cluster), frozen) if row)
    tip = quoted(tooltip(box))
    stacked = ", peripheries=2" if box.repeats > 1 else ""
    return f'n{index} [label=<{label}>, {box_look(box, cluster)}{stacked}, id=n{index}, tooltip="{tip}"];'


def _edges(picture: Picture, clusters: Mapping[str, Cluster]) -> Iterable[str]:
    scale = Scale.of(picture.links)
    broken = frozenset(box.model for box in picture.boxes if box.worth in BROKEN)
    labelled = sum(link.norm is not None for link in picture.links) <= MAX_EDGE_LABELS
    for link in picture.links:
        models = (picture.boxes[link.source].model, picture.boxes[link.target].model)
        colour = link_colour(link, models, broken, clusters)
        yield f"n{link.source} -> n{link.target} [{link_look(link, colour, scale, labelled)}];"


def _plates(marks: Sequence[Mark]) -> list[list[Mark]]:
    """Marks of one cause at one line share a plate: it is the line that is to blame."""
    together: dict[object, list[Mark]] = {}
    for index, mark in enumerate(marks):
        together.setdefault((mark.cause, mark.location) if mark.location else index, []).append(mark)
    return list(together.values())


def _home(picture: Picture, marks: Sequence[Mark]) -> str:
    """The model that a cut lies inside of, with all its ends; a plate outside would point back."""
    ends = {end for mark in marks for end in (mark.source, *mark.targets)}
    models = {picture.boxes[end].model for end in ends}
    return models.pop() if len(models) == 1 else ""


def _plate(index: int, marks: Sequence[Mark]) -> str:
    """A plate with cause and line."""
    first, bold = marks[0], any(mark.harmful for mark in marks)
    tip = quoted(str(first.location or first.cause))
    look = plate_look(cut_colour(first.worth), bold)
    return f'c{index} [label=<{"<br/>".join(mark_rows(first))}>, {look}, tooltip="{tip}"];'


def _cut_edges(index: int, marks: Sequence[Mark]) -> list[str]:
    """Bold lines that end at a bar before the plate; behind it the value goes on."""
    targets = {target: behind_look(mark.worth) for mark in reversed(marks) for target in mark.targets}
    values = [safe(mark.value) if mark.value else "" for mark in marks]
    return [
        *(
            f"n{mark.source} -> c{index} [{cut_look(mark.worth, mark.harmful, words)}];"
            for mark, words in zip(marks, values, strict=True)
        ),
        *(f"c{index} -> n{target} [{look}];" for target, look in targets.items()),
    ]


def _badge(index: int, badge: Badge) -> str:
    """A finding as a plate: red where a gradient is lost, else in the colour of warnings."""
    look = plate_look(_colour(badge), bold=True)
    tip = quoted(f"{badge.blame.code} {place(badge.blame.location)}")
    return f'b{index} [label=<{"<br/>".join(badge_rows(badge))}>, {look}, tooltip="{tip}"];'


def _badge_edge(index: int, badge: Badge, source: int) -> str:
    look = cut_look(_worth(badge), bold=True) if badge.cuts else tie_look(_colour(badge))
    return f"n{source} -> b{index} [{look}];"


def _colour(badge: Badge) -> str:
    return cut_colour(_worth(badge)) if badge.blame.lost else WARNING


def _worth(badge: Badge) -> Worth:
    return Worth(badge.blame.state) if badge.blame.state in set(Worth) else Worth.SOUND
