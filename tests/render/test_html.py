"""The HTML page and the notebook cell."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise

import builders
import pytest

from gradscope.records import OptimizerStep
from gradscope.render import html, sections
from gradscope.render.html import render_cell, render_page
from gradscope.render.pictures import Drawn
from tests.render import graph_builders

VOID = {"meta", "input", "img", "br", "link"}
CELL = {
    "div", "span", "b", "code", "pre", "table", "thead", "tbody", "tr", "th", "td", "details", "summary", "img",
}  # fmt: skip


class Page(HTMLParser):
    """Collects elements and checks that they close in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.open: list[str] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)

    def all(self, name):
        return [attributes for tag, attributes in self.elements if tag == name]


@pytest.fixture(autouse=True)
def no_pictures(monkeypatch):
    """Graphviz and matplotlib draw differently from version to version."""
    monkeypatch.setattr(sections, "figures", lambda report: [])
    monkeypatch.setattr(html, "graph", lambda report, room=0: Drawn(None, "digraph {}", "No picture: no Graphviz."))


def test_page_is_as_agreed(golden):
    page = render_page(builders.sick_report(), sources={"extractor.py": "\n" * 12 + KEEP})
    body = re.search(r"<body>(.*)<script>", page, re.DOTALL).group(1)
    golden("sick_body.html", body.replace("><", ">\n<") + "\n")


KEEP = "    def keep(self, output):\n        self.latents = output.clone().detach()\n        return self.latents\n"


def test_cell_is_as_agreed(golden):
    summary = render_cell(builders.sick_report()).partition("<iframe")[0]
    golden("sick_cell.html", summary.replace("><", ">\n<") + "\n")


def test_the_end_of_a_graph_is_in_sight_in_a_cell(monkeypatch):
    """A picture that is cut off below hides the line to blame: it is shrunk, and only a very wide one scrolls."""
    wide = Drawn('<svg width="1000pt" height="3000pt"></svg>', "digraph {}", "")
    monkeypatch.setattr(html, "graph", lambda report, room=0: wide)
    cell = render_cell(builders.sick_report()).partition("<iframe")[0]
    strip = re.search(r'<div style="([^"]*)"[^>]*><img [^>]*style="([^"]*)"', cell)

    assert strip.groups() == ("overflow-x:auto", "max-width:100%;max-height:1200px;min-width:800px")


def test_the_content_policy_allows_the_one_script_and_no_network():
    page = render_page(builders.sick_report())
    script = re.search(r"<script>(.*?)</script>", page, re.DOTALL).group(1)
    policy = next(m["content"] for m in Page(page).all("meta") if m.get("http-equiv") == "Content-Security-Policy")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()

    assert f"script-src 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none'")
    assert "http" not in policy


def test_ids_and_names_are_told_apart_also_those_of_graphs(monkeypatch):
    """With labels at its lines, which Graphviz gives ids."""
    monkeypatch.undo()
    page = Page(render_page(graph_builders.two_model_cut()))
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    names = [a["aria-label"] for tag, a in page.elements if "aria-label" in a and tag != "a"]

    assert len(ids) == len(set(ids)) > 20
    assert len(names) == len(set(names))
    assert all("tabindex" in attributes for attributes in page.all("pre"))


def test_a_frame_in_a_notebook_goes_by_its_theme():
    rules = re.search(r"</iframe><style>(.*?)</style>", render_cell(builders.sick_report())).group(1)

    assert '[data-jp-theme-light="false"] iframe[title="gradscope report"]{color-scheme:dark}' in rules
    assert '[data-jp-theme-light="true"] iframe[title="gradscope report"]{color-scheme:light}' in rules


def test_landmarks_headings_and_links_are_whole():
    page = Page(render_page(builders.sick_report()))
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch("h[1-6]", tag)]
    names = [tag for tag, _ in page.elements]

    assert len(ids) == len(set(ids))
    assert {a["href"][1:] for a in page.all("a")} <= set(ids)
    assert names.count("main") == names.count("h1") == names.count("header") == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    assert all(s["aria-labelledby"] in ids for s in page.all("section"))


def test_the_blamed_line_is_marked_among_its_neighbours():
    page = render_page(builders.sick_report(), sources={"extractor.py": "\n" * 12 + KEEP})

    assert re.search(r"<mark><i>14</i>.*?self\.latents = output\.clone\(\)\.detach\(\)</code></mark>", page)
    assert "<span><i>13</i><code>def keep(self, output):</code></span>" in page


@pytest.mark.parametrize("source", ["", "one\ntwo", "changed\n" * 40])
def test_a_file_that_has_changed_is_not_quoted(source):
    page = render_page(builders.sick_report(), sources={"extractor.py": source})

    assert "<mark><i>14</i>" in page
    assert "changed" not in page
    assert "<i>13</i>" not in page


def test_every_parameter_is_listed():
    report = builders.sick_report()
    text = "".join(Page(render_page(report)).text)

    assert all(parameter.name in text for parameter in report.run.parameters.values())


def test_well_models_are_folded_away_when_there_are_many():
    models = {f"expert_{i}": {"w": 1.0} for i in range(30)} | {"router": ("w",)}
    page = render_page(builders.make_report(builders.make_run(models), [builders.make_finding("router")]))
    shown, _, folded = page.partition("30 more models: 30 flowing")

    assert shown.count('<article class="card ') == 1
    assert folded.count('<article class="card ') == 30


def test_hostile_names_stay_text(hostile):
    page = render_page(builders.hostile_report(hostile), sources={hostile: hostile * 9})
    page.encode("utf-8")
    parsed = Page(page)

    assert len(parsed.all("script")) == 1
    assert parsed.all("img") == []
    assert not [a for _, attributes in parsed.elements for a in attributes if a.startswith("on")]
    assert "alert(1)" not in re.sub(r"</?script>", "", html._static("page.js"))


def test_hostile_names_cannot_leave_the_frame(hostile):
    report = builders.hostile_report(hostile)
    parsed = Page(render_cell(report))
    frames = parsed.all("iframe")

    assert {tag for tag, _ in parsed.elements} <= CELL | {"iframe", "style"}
    assert len(frames) == 1
    assert set(frames[0]) == {"sandbox", "title", "style", "srcdoc"}
    assert frames[0]["srcdoc"] == html._page(report, {}, html.graph(report), light=True)


def test_the_cell_says_the_culprit_without_styles_scripts_or_frames():
    summary, _, _ = render_cell(builders.sick_report()).partition("<iframe")
    tags = set(re.findall(r"<([a-z]+)", summary))

    assert tags <= CELL
    assert "extractor.py:14" in summary
    assert "self.latents = output.clone().detach()" in summary


def test_a_large_page_is_not_put_into_the_notebook(monkeypatch):
    monkeypatch.setattr(html, "_INLINE_LIMIT", 100)
    shown = render_cell(builders.sick_report())

    assert "<iframe" not in shown
    assert "report.save" in shown


def test_the_same_report_gives_the_same_characters():
    assert render_page(builders.sick_report()) == render_page(builders.sick_report())


def test_an_empty_report_is_a_page():
    Page(render_page(builders.make_report(builders.make_run({}, steps=0))))


def test_a_card_tells_what_was_applied_where_it_is_something_else():
    run = builders.make_run({"encoder": {"w": 2.0}}, steps=2)
    halved = [replace(e, norms={0: 1.0}) if isinstance(e, OptimizerStep) else e for e in run.events]

    assert "applied" not in render_page(builders.make_report(run, []), sources={})
    assert ", applied 1" in render_page(builders.make_report(replace(run, events=tuple(halved)), []), sources={})


def test_a_card_says_how_many_flow_at_some_steps_only_as_the_page_counts_them():
    run = builders.make_run({"moe": {"a": 0.1, "b": 0.1, "c": 0.1, "d": 0.1}, "head": {"a": 0.2}})
    at_times = replace(run.tallies[0], steps=8, steps_none=3, none_streak=0)
    stopped = replace(run.tallies[0], steps=8, steps_none=6, none_streak=6)
    run = replace(run, tallies={**run.tallies, 0: at_times, 1: at_times, 2: stopped})
    text = "".join(Page(render_page(builders.make_report(run))).text)

    assert "3 of 4 parameters flowing (2 intermittent), 1 no more" in text
    assert "1 of 1 parameter flowing" in text
    assert "2 flowing, 3 intermittent; 1 of the intermittent no more" in text
