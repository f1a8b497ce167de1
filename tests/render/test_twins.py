"""Findings that say the same of several models: shown once, each model named, every link led somewhere."""

from __future__ import annotations

import re

import pytest

from gradscope.render.html import render_cell, render_page
from gradscope.render.markdown import render_markdown
from gradscope.render.text import render_text
from gradscope.render.twins import folded
from gradscope.report import Report
from tests.render.graph_builders import Sketch, report_of

EXPERTS = ("one", "two", "three")
LONG = tuple(f"trainer.models['expert_{number}']" for number in range(6))


@pytest.fixture
def report() -> Report:
    """Three experts that one line cuts, and a head that trains."""
    return report_of(Sketch(), dict.fromkeys((*EXPERTS, "head"), "Expert"), dead=EXPERTS)


def test_they_are_shown_once_with_all_names(report):
    shown, *others = folded(report.findings)
    assert [other.finding.code for other in others] == ["GS503"]
    assert {shown.finding.model, *(twin.model for _, twin in shown.twins)} == set(EXPERTS)
    for said in (render_text(report), render_markdown(report), render_cell(report).partition("<iframe")[0]):
        assert said.count("or detach only the copy") == 1
    text = render_text(report)
    assert "same:   of three (its 1 parameter), two (its 1 parameter)" in text


def test_each_card_leads_to_its_own_finding(report):
    page = render_page(report)
    targets = set(re.findall(r'href="#(finding-\d+)"', page))
    assert targets == {f"finding-{n + 1}" for n in range(len(report.findings))}
    assert targets <= set(re.findall(r'id="([^"]+)"', page))


def test_another_line_is_another_finding(report):
    first, *others = [f for f in report.findings if f.code == "GS101"]
    elsewhere = [f for f in others if f.location == first.location]
    assert len(folded([first, *elsewhere])) == 1
    moved = type(first)(**{**{k: getattr(first, k) for k in first.__slots__}, "model": "four", "detail": "otherwise"})
    assert len(folded([first, moved])) == 2


def test_the_flow_matrix_of_many_long_names_has_a_row_for_each_so_that_paper_holds_it():
    short, long = (report_of(Sketch(), dict.fromkeys(names, "Net")) for names in (("a", "b"), LONG))
    for report, turned in ((short, False), (long, True)):
        matrix = render_page(report).partition('class="flow"')[2].partition("</table>")[0]
        rows = matrix.count("<tr>")
        assert rows == (1 + len(LONG) if turned else 2)
