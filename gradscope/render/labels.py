"""The words in boxes, marks and tooltips, made safe for DOT in this one place.

* HTML-like labels: a name can hold no tag; a backslash is doubled, because with an N it is the node's name.
* Quoted attributes (tooltips): a name can hold no quote, escape or entity.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import PurePath

from gradscope.records import Location
from gradscope.render import escape
from gradscope.render.boxes import Kind
from gradscope.render.folded import Box
from gradscope.render.known import Worth
from gradscope.render.marks import Badge, Mark
from gradscope.render.shorten import shorten
from gradscope.render.stream import Flow
from gradscope.render.words import count, listing, number

MAX_CHARACTERS = 56
MAX_TOOLTIP = 160
MAX_MEMBERS = 6
"""Names of models in one box."""


def rows(box: Box, passes: bool, frozen: bool = False) -> list[str]:
    """The lines of a box: its name in bold, what it is, what its gradient did (`passes` without staying).

    `frozen`: its whole model is.
    """
    if box.kind is Kind.LOSS:
        where = [small(place(box.location)), code(box.location)] if box.location else []
        times = [small(count(box.nodes, "pass", "passes"))] if box.nodes > 1 else []
        return [f"<b>{safe(box.names[0] if box.names else 'loss')}</b>", *where, *times]
    if box.kind is Kind.INPUT:
        return [_names(box.names) if box.names else "parameter of no model"]
    if box.kind is Kind.GLUE:
        where = [small(place(box.location))] if box.location else []
        return [_names(box.names) + _times(box), *where]
    if box.members:
        return [*_listed(box.members), *map(small, _gradient(box, passes))]
    own = box.own or (box.names if box.parameters == box.nodes else ())
    title = ".".join((*box.path, _few(own)) if own else box.path)
    title = title or (box.classes or ("the model" if box.part else "whole model",))[0]
    title = f"part of {title}" if box.part and not own else title
    detail = _few(box.classes or box.names) if box.path and not own else ""
    if box.calls > 1:
        detail += ", " * bool(detail) + f"{box.calls} calls" + " each" * (box.repeats > 1)
    told = _gradient(box, passes)
    if frozen and told == ["no gradient"]:
        told = ["frozen"] * bool(box.parameters)
    return [f"<b>{safe(title)}{_times(box)}</b>", small(detail) if detail else "", *map(small, told)]


def _listed(names: Sequence[str]) -> list[str]:
    """A line for each name, the last of many counted."""
    shown = names if len(names) <= MAX_MEMBERS + 1 else names[:MAX_MEMBERS]
    more = len(names) - len(shown)
    return [*(f"<b>{safe(name)}</b>" for name in shown), *([small(f"… and {more} more")] if more else [])]


WORTH_WORDS = {
    Worth.ZERO: "exactly zero",
    Worth.NONFINITE: "NaN or Inf",
    Worth.VANISHING: "vanishing",
    Worth.EXPLODING: "exploding",
}


def _gradient(box: Box, passes: bool) -> list[str]:
    """What the parameters of a module got, in words."""
    if box.again:
        return ["another call, without gradient"]
    if box.flow is Flow.GHOST:
        return ["behind the cut"]
    if box.flow is Flow.DEAD and box.frozen and box.frozen == box.silent:
        return ["frozen"]
    if box.flow is Flow.DEAD:
        return ["no gradient in this step" if box.idle and box.idle == box.silent else "no gradient"]
    if passes:
        return [f"{'frozen; ' * (box.frozen == box.silent)}a gradient passes, none stays"]
    words = []
    told = box.worth in (Worth.ZERO, Worth.NONFINITE) and not any(0 < norm < math.inf for norm in box.norms or ())
    if box.norms and not told:
        low, high = (number(norm) for norm in box.norms)
        words.append(f"norm {low}" if low == high else f"norm {low} to {high}")
    some = {worth: amount for worth, amount in sorted(box.some.items()) if amount < box.parameters}
    if box.worth is not Worth.SOUND and box.worth not in some:
        words.append(f"gradient {_worth_words(box, box.worth)}")
    of = count(box.parameters, "parameter")
    words += [f"{amount} of {of}: {_worth_words(box, worth)}" for worth, amount in some.items()]
    if box.frozen:
        words.append(f"{box.frozen} of {of}: frozen")
    if box.silent > box.frozen:
        words.append(f"{box.silent - box.frozen} of {of}: no gradient")
    return words


def _worth_words(box: Box, worth: Worth) -> str:
    """Beside norms that are finite a NaN is one of another step."""
    elsewhere = worth is Worth.NONFINITE and box.norms and all(map(math.isfinite, box.norms))
    return WORTH_WORDS[worth] + " in another step" * bool(elsewhere)


_WRITTEN = {"nan": "NaN", "inf": "Inf", "ctc": "CTC", "relu": "ReLU", "gan": "GAN"}
_CODE = ("no_grad", "inference_mode")
"""Causes that are called what they are called in the user's code."""


def cause_words(cause: str) -> str:
    """A cause as one reads it."""
    return cause if cause in _CODE else " ".join(_WRITTEN.get(word, word) for word in cause.split("_"))


def mark_rows(mark: Mark) -> list[str]:
    """The lines of a plate: cause and line in bold, the line's code."""
    cause = cause_words(mark.cause)
    if mark.cause == "unknown":
        cause = f"gradient {WORTH_WORDS[mark.worth]}" if mark.worth is not Worth.SOUND else "gradient lost"
    where = f" at {place(mark.location)}" if mark.location else ", cause not found" * (mark.cause == "unknown")
    return [f"<b>{safe(cause + where)}</b>", *filter(None, [code(mark.location)])]


def badge_rows(badge: Badge) -> list[str]:
    """The lines of a finding: code and rule in bold, then cause and line, the line's code, the part it is about."""
    blame = badge.blame
    cause = cause_words(blame.cause) if blame.cause != "unknown" else "cause not found"
    rule = blame.name.replace("-", " ")
    parts = [f"<b>{safe(f'{blame.code} {rule}')}</b>"]
    if cause != rule or blame.location:
        where = f" at {place(blame.location)}" if blame.location else ""
        parts.append(f"<b>{safe((cause if cause != rule else '') + where)}</b>")
    whom = [] if "" in badge.whom else [small(listing(badge.whom, 2))]
    return [*parts, *filter(None, [code(blame.location)]), *whom]


def place(location: Location | None) -> str:
    """`file:line`; of a file outside the working directory its name alone, the rest of its path says little."""
    if location is None:
        return ""
    path = PurePath(location.file)
    outside = path.is_absolute() or ".." in path.parts
    return f"{path.name if outside else location.file}:{location.line}"


def _times(box: Box) -> str:
    return f"&#160; x{box.repeats}" if box.repeats > 1 else ""


def _names(names: Sequence[str]) -> str:
    return safe(_few(names) or "?")


def _few(names: Sequence[str]) -> str:
    """The first of these, and whether there are more."""
    return ", ".join(names[:3]) + (", \u2026" if len(names) > 3 else "")


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


def safe(text: str, most: int = MAX_CHARACTERS) -> str:
    """Foreign text for an HTML-like label: one line, not empty."""
    return escape.html(shorten(text, most)).replace("\\", "\\\\") or "?"


def quoted(text: str) -> str:
    """Foreign text between double quotes: nothing in it is an escape or an entity for Graphviz."""
    shown = escape.plain(shorten(text, MAX_TOOLTIP)).replace("&", "&amp;")
    return shown.replace("\\", "\\\\").replace('"', '\\"')
