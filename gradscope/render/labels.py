"""The words in boxes, marks and tooltips, made safe for DOT in this one place.

* HTML-like labels: a name can hold no tag; a backslash is doubled, because with an N it is the node's name.
* Quoted attributes (tooltips): a name can hold no quote, escape or entity.
"""

from __future__ import annotations

from collections.abc import Sequence

from gradscope.records import Location
from gradscope.render import escape
from gradscope.render.boxes import Kind
from gradscope.render.fold import Box
from gradscope.render.stream import Flow
from gradscope.render.words import count, number

MAX_CHARACTERS = 56


def rows(box: Box) -> list[str]:
    """The lines of a box: its name in bold, what it is, what its gradient did."""
    if box.kind is Kind.LOSS:
        where = [small(str(box.location)), code(box.location)] if box.location else []
        return [f"<b>{safe(box.names[0] if box.names else 'loss')}</b>", *where]
    if box.kind is Kind.INPUT:
        return [_names(box.names)]
    if box.kind is Kind.GLUE:
        where = [small(str(box.location))] if box.location else []
        return [_names(box.names) + _times(box), *where]
    own = box.names if box.parameters == box.nodes else ()
    title = ".".join((*box.path, ", ".join(own[:3])) if own else box.path) or (box.classes or ("whole model",))[0]
    detail = ", ".join(box.classes or box.names[:3]) if box.path and not own else ""
    return [f"<b>{safe(title)}</b>{_times(box)}", small(detail) if detail else "", *map(small, _gradient(box))]


def _gradient(box: Box) -> list[str]:
    """What the parameters of a module got, in words."""
    if box.flow is Flow.GHOST:
        return ["behind the cut"]
    if box.flow is Flow.DEAD:
        return ["no gradient"]
    words = []
    if box.norms:
        low, high = (number(norm) for norm in box.norms)
        words.append(f"norm {low}" if low == high else f"norm {low} to {high}")
    if box.silent:
        words.append(f"{box.silent} of {count(box.parameters, 'parameter')}: no gradient")
    return words


def _times(box: Box) -> str:
    return f"&#160; <b>x{box.repeats}</b>" if box.repeats > 1 else ""


def _names(names: Sequence[str]) -> str:
    shown = ", ".join(names[:3]) or "?"
    return safe(shown + (", ..." if len(names) > 3 else ""))


def tooltip(box: Box) -> str:
    """What is told on hovering."""
    parts = [".".join((box.model, *box.path)) if box.model else str(box.kind), count(box.nodes, "node")]
    if box.parameters:
        parts.append(count(box.parameters, "parameter"))
    if box.location:
        parts.append(f"{box.location} {box.location.text}".strip())
    return ", ".join(parts)


def code(location: Location | None) -> str:
    """A line of source, in Courier: the one fixed-width font whose width every Graphviz knows."""
    return f'<font face="Courier" point-size="10">{safe(location.text)}</font>' if location and location.text else ""


def small(text: str) -> str:
    """A line in small print."""
    return f'<font point-size="10">{safe(text)}</font>'


def safe(text: str) -> str:
    """Foreign text for an HTML-like label: one line, not empty."""
    return escape.html(_shorten(text)).replace("\\", "\\\\") or "?"


def quoted(text: str) -> str:
    """Foreign text between double quotes: nothing in it is an escape or an entity for Graphviz."""
    shown = escape.plain(_shorten(text)).replace("&", "&amp;")
    return shown.replace("\\", "\\\\").replace('"', '\\"')


def _shorten(text: str) -> str:
    """The middle of a long name is what nobody misses."""
    if len(text) <= MAX_CHARACTERS:
        return text
    half = (MAX_CHARACTERS - 3) // 2
    return f"{text[:half]}...{text[-half:]}"
