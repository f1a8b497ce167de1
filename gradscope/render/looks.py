"""How boxes, lines, models and plates look: one place for what a state is drawn like, so that the legend can tell it.

* The page behind may be white or black: boxes are filled and carry their own ink, lines are mid-grey or coloured.
* A gradient of exactly zero is a hollow line: two strokes with nothing between them, to be seen on any page.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from gradscope.render.boxes import Kind
from gradscope.render.folded import Box, Line, Link
from gradscope.render.known import Worth
from gradscope.render.palette import CUT, DEAD, INK, PAPER, ZERO, shade, tint
from gradscope.render.stream import Flow
from gradscope.render.words import number

GLUE = "#6B7F99"
"""Lines that belong to no model."""
WARNING = "#A8590A"
"""Findings that are no lost gradient; dark enough for text on its own tint."""
HOLLOW = f"{ZERO}:{PAPER}:{ZERO}"
BROKEN = (Worth.ZERO, Worth.NONFINITE)
THIN, THICK = 1.0, 4.0
LEAST_DECADES = 2.0
_FAINT = shade(DEAD, 0.65)


class Look(StrEnum):
    """What a model as a whole is drawn like."""

    LIVE = "live"
    DEAD = "dead"
    ZERO = "zero"
    NONFINITE = "nonfinite"


@dataclass(frozen=True, slots=True)
class Cluster:
    """A model: its name, its title line, its colour. A dead one is grey and dashed."""

    name: str
    class_name: str
    state: str
    colour: str
    look: Look = Look.LIVE

    @property
    def ink(self) -> str:
        """Colour of its border."""
        return {Look.DEAD: DEAD, Look.ZERO: ZERO, Look.NONFINITE: CUT}.get(self.look, self.colour)


def cluster_look(cluster: Cluster, warned: bool) -> str:
    """Attributes of a model; one with a finding of its own has a strong border."""
    style = "rounded,filled,dashed" if cluster.look is Look.DEAD else "rounded,filled"
    fill = tint(DEAD, 0.14) if cluster.look in (Look.DEAD, Look.ZERO) else tint(cluster.ink, 0.14)
    broken = cluster.look in (Look.ZERO, Look.NONFINITE)
    border = WARNING if warned and cluster.look is Look.LIVE else cluster.ink
    width = 2.2 if broken or warned else 1.0
    return f'style="{style}", color="{border}", fillcolor="{fill}", penwidth={width}'


def box_look(box: Box, cluster: Cluster | None) -> str:
    """Attributes of a box: what its gradient did comes before the colour of its model."""
    if box.kind is Kind.LOSS:
        return f'style="filled", fillcolor="{INK}", fontcolor="{PAPER}", color="{DEAD}"'
    if box.kind is Kind.INPUT:
        return f'shape=ellipse, style="filled", fillcolor="{PAPER}", color="{DEAD}", margin="0.06,0.02"'
    if box.flow is Flow.GHOST:
        return f'style="rounded,filled,dotted", fillcolor="{PAPER}", color="{DEAD}", fontcolor="{_FAINT}"'
    if box.flow is Flow.DEAD:
        return f'style="rounded,filled,dashed", fillcolor="{tint(DEAD, 0.22)}", color="{DEAD}", fontcolor="{_FAINT}"'
    if box.worth is Worth.ZERO:
        return f'fillcolor="{PAPER}", color="{ZERO}", penwidth=1.8'
    if box.worth in (Worth.NONFINITE, Worth.EXPLODING):
        return f'fillcolor="{tint(CUT, 0.2)}", color="{CUT}", penwidth=1.8'
    colour = cluster.colour if cluster is not None else DEAD
    zero = cluster is not None and cluster.look is Look.ZERO and box.kind is Kind.MODULE
    if zero or passes(box, cluster):
        return f'fillcolor="{PAPER}", color="{DEAD}"'
    if box.worth is Worth.VANISHING:
        return f'style="rounded,filled,dashed", fillcolor="{PAPER}", color="{shade(colour, 0.85)}", penwidth=1.8'
    fill = PAPER if box.kind is Kind.GLUE else tint(colour, 0.35)
    return f'fillcolor="{fill}", color="{shade(colour, 0.85) if box.model else GLUE}"'


def passes(box: Box, cluster: Cluster | None) -> bool:
    """A gradient goes through to what lies before, and none stays: no parameter of the box or its model gets it."""
    if box.flow is not Flow.LIVE or box.kind is not Kind.MODULE:
        return False
    return box.parameters == box.silent > 0 or (cluster is not None and cluster.look is Look.DEAD)


@dataclass(frozen=True, slots=True)
class Scale:
    """Width of a line for a norm: logarithmic, over the norms of one picture."""

    top: float
    span: float

    @classmethod
    def of(cls, links: tuple[Link, ...]) -> Scale:
        norms = [link.norm for link in links if link.norm and math.isfinite(link.norm)]
        top = math.log10(max(norms, default=1.0))
        return cls(top, max(top - math.log10(min(norms, default=1.0)), LEAST_DECADES))

    def width(self, norm: float) -> float:
        share = 1 + (math.log10(norm) - self.top) / self.span
        return THIN + (THICK - THIN) * min(max(share, 0.0), 1.0)


def link_colour(link: Link, models: tuple[str, str], broken: frozenset[str], clusters: Mapping[str, Cluster]) -> str:
    """The colour of a model, but not where it is not known what came back, and boxes of it tell of zeros or NaN."""
    if link.norm is None and not broken.isdisjoint(models):
        return GLUE
    return next((clusters[model].colour for model in models if model in clusters), GLUE)


def link_look(link: Link, colour: str, scale: Scale, labelled: bool) -> str:
    """Attributes of a line between boxes."""
    if link.line is Line.DATA:
        return f'color="{DEAD}", penwidth=0.8, arrowhead=vee'
    if link.line is Line.DEAD:
        return f'color="{DEAD}", penwidth=1.2, style=dashed'
    if link.line is Line.GHOST:
        return f'color="{DEAD}", penwidth=1.6, style=dotted, arrowhead=vee'
    if link.norm is None:
        return f'color="{colour}", penwidth=1.4'
    words = number(link.norm)
    if link.worth is Worth.NONFINITE:
        return f'color="{CUT}", penwidth={THICK}, label=<&#160;&#160;<b>{words}</b>>, fontcolor="{CUT}"'
    tip = f'edgetooltip="norm {words}", labeltooltip="norm {words}"'
    label = f', label="  {words}"' if labelled else ""
    if link.worth is Worth.ZERO:
        return f'color="{HOLLOW}", penwidth=1.2, arrowhead=empty{label}, {tip}'
    return f'color="{colour}", penwidth={scale.width(link.norm):.2f}{label}, {tip}'


def cut_colour(worth: Worth) -> str:
    """Of a cut and its plate: a gradient that is zero is no gradient that is missing."""
    return ZERO if worth is Worth.ZERO else CUT


def cut_look(worth: Worth, bold: bool, value: str = "") -> str:
    """Attributes of the line into a plate."""
    colour = cut_colour(worth)
    drawn, width = (HOLLOW, 1.6) if worth is Worth.ZERO else (colour, 3.5)
    width = width if bold else min(width, 1.4)
    words = f', label=<&#160;&#160;{value}>, fontcolor="{colour}"' if value and bold else ""
    return f'color="{drawn}", penwidth={width}, arrowhead=tee, arrowsize=1.2{words}'


def tie_look(colour: str) -> str:
    """Attributes of the line between a plate and what it is about."""
    return f'color="{colour}", penwidth=1.4, dir=none'


def behind_look(worth: Worth) -> str:
    """Attributes of the line out of a plate. A gradient that becomes zero or NaN at the plate does come back to it."""
    if worth is Worth.SOUND:
        return f'color="{DEAD}", penwidth=1.6, style=dotted, arrowhead=vee'
    return f'color="{GLUE}", penwidth=1.4'


def plate_look(colour: str, bold: bool) -> str:
    """Attributes of a plate."""
    return (
        f'style="filled", fillcolor="{tint(colour, 0.12)}", color="{colour}",'
        f' fontcolor="{shade(colour, 0.8)}", penwidth={2.4 if bold else 0.8}'
    )
