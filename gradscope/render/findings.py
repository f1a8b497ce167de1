"""One finding as HTML: what is wrong, the blamed line among its neighbours, how the code got there, what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gradscope.records import Location
from gradscope.render.markup import Markup, join, tag, words
from gradscope.render.sources import Sources, excerpt
from gradscope.render.table import place
from gradscope.render.words import callers, fold, gap, seen, victims

if TYPE_CHECKING:
    from gradscope.diagnosis.finding import Finding
    from gradscope.render.twins import Shown
    from gradscope.report import Report

_NAMED = 8
_PRINTED = 60
"""More names stay folded on paper."""


def anchor(index: int) -> str:
    """The id of the finding at `index`."""
    return f"finding-{index + 1}"


def article(report: Report, shown: Shown, sources: Sources) -> Markup:
    """A finding with its own heading and anchor."""
    finding = shown.finding
    kind = finding.severity.value
    title = tag("h3", tag("span", kind, class_="badge"), " ", words(finding.message or finding.name))
    parts = [title]
    if finding.location:
        parts.append(_quote(finding.location, sources, shown.index))
    if finding.fix:
        parts.append(tag("p", tag("b", "Fix: "), words(finding.fix), class_="fix"))
    rows = [_row("Detail", words(finding.detail))] if finding.detail else []
    rows += [*_frames("Called from", callers(finding)), *_frames("Or at", finding.also)]
    if finding.parameters:
        rows.append(_row("Parameters", _names(report, finding)))
    if shown.twins:
        rows.append(_row("The same of", tag("ul", *(_twin(report, index, twin) for index, twin in shown.twins))))
    rows += [_row("Known", seen(finding)), _row("Rule", f"{finding.code} {finding.name}")]
    return tag("article", *parts, tag("dl", *rows), id=anchor(shown.index), class_=f"finding s-{kind}")


def _twin(report: Report, index: int, finding: Finding) -> Markup:
    """A model of which the same is true, with the anchor that its card leads to."""
    part = victims(report, finding)
    return tag("li", tag("code", finding.model), f" ({part})" if part else "", id=anchor(index))


def _quote(location: Location, sources: Sources, index: int) -> Markup:
    lines = excerpt(location, sources)
    function = join(" in ", tag("code", location.function)) if location.function else ""
    caption = tag("figcaption", tag("b", tag("code", place(location))), function)
    if not lines:
        return tag("figure", caption, class_="quote")
    code = join(*(_line(number, text, number == location.line) for number, text in lines))
    label = f"Source of {place(location)}, finding {index + 1}"
    return tag("figure", caption, tag("pre", code, tabindex="0", role="region", aria_label=label), class_="quote")


def _line(number: int, text: str, culprit: bool) -> Markup:
    code = tag("code", text)
    if culprit:
        return tag("mark", tag("i", str(number)), tag("span", " this line: ", class_="sr"), code)
    return tag("span", tag("i", str(number)), code)


def _frames(title: str, frames: tuple[Location, ...]) -> list[Markup]:
    if not frames:
        return []
    shown = [_frame(frame) if isinstance(frame, Location) else gap(frame) for frame in fold(frames)]
    return [_row(title, tag("ol", *(tag("li", frame) for frame in shown)))]


def _frame(frame: Location) -> Markup:
    function = f" in {frame.function}" if frame.function else ""
    return join(tag("code", place(frame)), tag("span", function, class_="quiet"), " ", tag("code", frame.text))


def _names(report: Report, finding: Finding) -> Markup:
    """All names, the later ones folded away."""
    names = [tag("code", name or finding.model) for name in finding.parameters]
    part = victims(report, finding)
    of = f"{part} of {finding.model}" if part and finding.model else part
    if len(names) <= _NAMED:
        return join(*_separated(names), f" ({of})" if of else "")
    many = "many" if len(names) > _PRINTED else None
    head = tag("summary", of, ": ", *_separated(names[:3]), " ...")
    return tag("details", head, tag("p", *_separated(names)), class_=many)


def _separated(names: list[Markup]) -> list[str]:
    return [part for i, name in enumerate(names) for part in ((", ", name) if i else (name,))]


def _row(term: str, value: str) -> Markup:
    return join(tag("dt", term), tag("dd", value))
