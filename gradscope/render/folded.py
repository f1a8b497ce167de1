"""What a folded picture is made of: boxes, the lines between them, marks of cuts and badges of findings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from gradscope.records import Location
from gradscope.render.boxes import Kind
from gradscope.render.known import Worth, worth_of
from gradscope.render.marks import Badge, Mark
from gradscope.render.repeats import Fqn
from gradscope.render.stream import Flow


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
    idle: int = 0
    """Of those, how many received one in another step."""
    frozen: int = 0
    """Of those, how many require none."""
    again: bool = False
    """Another call of a module that has a gradient in its first box."""
    worth: Worth = Worth.SOUND
    some: Mapping[Worth, int] = field(default_factory=dict)
    """How many parameters have a gradient that is not sound."""
    members: tuple[str, ...] = ()
    """Of several models drawn as one: those that are in the box."""
    classes: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    own: tuple[str, ...] = ()
    """Parameters of a module that is drawn in parts, if that is what the box holds."""
    calls: int = 1
    """How often the module was called, or each of those that share the box."""
    norms: tuple[float, float] | None = None
    location: Location | None = None
    inside: tuple[Fqn, ...] = ()
    """Of a box of a module or of what it does itself: the paths of all modules that share it."""
    part: bool = False
    """Another box holds the other parameters of its module: those with a gradient, or those without."""


@dataclass(frozen=True, slots=True)
class Link:
    """All data that goes from one box to another; `norm` is the largest gradient norm on the way back."""

    source: int
    target: int
    line: Line
    norm: float | None = None

    @property
    def worth(self) -> Worth:
        """Of the gradient on the way back."""
        return worth_of(self.norm)


@dataclass(frozen=True, slots=True)
class Picture:
    """What is drawn. `remarks` say what was left out or folded further than asked."""

    boxes: tuple[Box, ...]
    links: tuple[Link, ...]
    marks: tuple[Mark, ...]
    badges: tuple[Badge, ...] = ()
    remarks: tuple[str, ...] = ()
    depth: int = 0
    """How many levels of module names are told apart."""
