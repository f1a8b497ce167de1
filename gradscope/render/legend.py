"""The legend of the graph: what the lines and boxes that do occur mean, and nothing else."""

from __future__ import annotations

from gradscope.render import escape
from gradscope.render.boxes import Kind
from gradscope.render.folded import Line, Picture
from gradscope.render.known import Worth
from gradscope.render.looks import BROKEN, GLUE, WARNING
from gradscope.render.palette import CUT, DEAD, TEXT
from gradscope.render.stream import Flow

_LINE = "&#8212;&#8212;"
_BOX = "&#9645;"


def legend(picture: Picture) -> str:
    """The label of the graph: a line per thing that is drawn, then the remarks."""
    rows = [
        f'<tr><td align="right"><font color="{colour}"><b>{sample}</b></font></td><td align="left">{words}</td></tr>'
        for sample, colour, words in (*_lines(picture), *_boxes(picture))
    ]
    remarks = picture.remarks if rows else (*picture.remarks, "Nothing is connected.")
    rows += [f'<tr><td></td><td align="left"><b>{escape.html(remark)}</b></td></tr>' for remark in remarks]
    return f'<table border="0" cellborder="0" cellspacing="0" cellpadding="2">{"".join(rows)}</table>'


def _lines(picture: Picture) -> list[tuple[str, str, str]]:
    lines = {link.line for link in picture.links}
    live = [link for link in picture.links if link.line is Line.LIVE]
    worths = {link.worth for link in live}
    cuts = {mark.worth for mark in picture.marks}
    behind = {mark.worth for mark in picture.marks if mark.targets}
    sound = [link for link in live if link.worth is Worth.SOUND]
    hung = [badge for badge in picture.badges if badge.blame.lost and badge.sources]
    ends = {badge.blame.state for badge in hung if badge.cuts}
    ties = {badge.blame.state for badge in hung if not badge.cuts}
    nothing = _nothing(ends)
    cut = bool(cuts - {Worth.ZERO, Worth.NONFINITE})
    comes = "gradient comes back: width and number are its norm (of several the largest)"
    if all(link.norm is None for link in sound):
        broken = any(box.worth in BROKEN for box in picture.boxes)
        comes = "gradient comes back" + ": what it is worth stands in the boxes alone" * broken
    samples = [
        (bool(sound or behind - {Worth.SOUND}), _LINE, GLUE, comes),
        (Worth.ZERO in worths, "&#61;&#61;&#61;", TEXT, "the gradient that comes back is exactly zero"),
        (Worth.NONFINITE in worths, _LINE, CUT, "the gradient that comes back is NaN or Inf"),
        (Line.DEAD in lines, "- - -", DEAD, "no gradient comes back"),
        (cut and not ends, "&#8212;|", CUT, "the gradient is cut here"),
        (bool(ends) and not cut, "&#8212;|", _ink(ends), f"{nothing}, for the reason on the plate"),
        (cut and bool(ends), "&#8212;|", CUT, f"the gradient is cut here, or {nothing} for the reason on the plate"),
        (bool(ties), "&#8212;", _ink(ties), f"{_nothing(ties)}, for the reason on the plate"),
        (Worth.ZERO in cuts, "&#61;|", TEXT, "the gradient becomes exactly zero here"),
        (Worth.NONFINITE in cuts, "&#8212;|", CUT, "the gradient becomes NaN or Inf here"),
        (
            Line.GHOST in lines or Worth.SOUND in behind,
            "&#183; &#183; &#183;",
            DEAD,
            "the value goes on, its gradient does not come back",
        ),
        (Line.DATA in lines, "&#8212;", DEAD, "data comes in"),
    ]
    return [sample[1:] for sample in samples if sample[0]]


def _nothing(states: set[str]) -> str:
    return "no gradient comes" if states <= {"none"} else "no sound gradient comes"


def _ink(states: set[str]) -> str:
    return TEXT if states == {Worth.ZERO} else CUT


def _boxes(picture: Picture) -> list[tuple[str, str, str]]:
    live = [box for box in picture.boxes if box.flow is Flow.LIVE and box.kind in (Kind.MODULE, Kind.GLUE)]
    worths = {box.worth for box in live}
    dead = any(box.flow is Flow.DEAD and box.kind is Kind.MODULE for box in picture.boxes)
    told = any(link.line is Line.DEAD for link in picture.links)
    samples = [
        (dead and not told, _BOX, DEAD, "grey, dashed: no gradient comes"),
        (Worth.ZERO in worths, _BOX, TEXT, "no fill, strong border: its gradient is exactly zero"),
        (Worth.NONFINITE in worths, "&#9632;", CUT, "its gradient is NaN or Inf"),
        (Worth.EXPLODING in worths, "&#9632;", CUT, "its gradient explodes"),
        (Worth.VANISHING in worths, _BOX, TEXT, "no fill, dashed border: its gradient vanishes"),
        (any(not badge.blame.lost for badge in picture.badges), "&#9632;", WARNING, "a finding of the report"),
    ]
    return [sample[1:] for sample in samples if sample[0]]
