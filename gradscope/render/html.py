"""The report as one HTML file: no network, no script needed to read it, and nothing of the user's text ever runs.

* The content policy allows exactly the one script of `static/page.js`, by its hash.
* Everything is in the document as sent: the script only sorts, filters, zooms, and opens what is printed.
"""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from gradscope.render import sections
from gradscope.render.cell import cell
from gradscope.render.markup import Markup, join, tag
from gradscope.render.night import graph_rules
from gradscope.render.pictures import graph
from gradscope.render.verdict import verdict

if TYPE_CHECKING:
    from gradscope.render.pictures import Drawn
    from gradscope.render.sources import Sources
    from gradscope.report import Report

_INLINE_LIMIT, _GRAPH_LIMIT = 300_000, 150_000
"""Notebooks grow with every output: a larger page is left to `report.save()`, and so are views of the graph."""


def render_page(report: Report, *, sources: Sources | None = None) -> str:
    """A whole HTML document. `sources` are texts of files, to quote lines around the blamed ones."""
    return _page(report, sources or {}, graph(report))


def render_cell(report: Report, *, sources: Sources | None = None) -> str:
    """HTML for a notebook: a summary that survives sanitising, then the page without figures where frames may be."""
    drawn = graph(report, _GRAPH_LIMIT)
    page = _page(report, sources or {}, drawn, light=True)
    return cell(report, page if len(page) <= _INLINE_LIMIT else None, drawn)


def _page(report: Report, sources: Sources, drawn: Drawn | None, *, light: bool = False) -> str:
    made = [each for each in sections.all_sections(report, sources, drawn, light=light) if each.body]
    nav = tag(
        "nav",
        tag("ul", *(tag("li", tag("a", each.title, href=f"#{each.id}")) for each in made)),
        aria_label="Sections",
    )
    body = join(
        tag("a", "Skip to the findings", href="#main", class_="skip"),
        sections.header(report),
        nav,
        tag("main", *(each.markup() for each in made), id="main"),
        sections.footer(report),
        tag("script", Markup(_static("page.js"))),
    )
    head = join(
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=_policy()),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("meta", name="referrer", content="no-referrer"),
        tag("title", f"gradscope: {verdict(report).headline}"),
        tag("style", Markup(_static("page.css") + graph_rules(".paper"))),
    )
    return "<!DOCTYPE html>\n" + tag("html", tag("head", head), tag("body", body), lang="en") + "\n"


def _policy() -> str:
    digest = base64.b64encode(hashlib.sha256(_static("page.js").encode()).digest()).decode()
    return (
        f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


@cache
def _static(name: str) -> str:
    return files("gradscope.render").joinpath("static", name).read_text(encoding="utf-8")
