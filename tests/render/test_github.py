"""Findings as annotations of GitHub Actions."""

from __future__ import annotations

from gradscope.diagnosis.finding import Severity
from gradscope.records import Location
from gradscope.render.github import render_github
from tests.cli.reports import finding, report


def test_one_line_each_and_escaped():
    odd = finding(location=Location("a,b:c.py", 3), severity=Severity.WARNING)
    lines = render_github(report(finding(), odd)).splitlines()

    assert lines == [
        "::error file=src/extractor one.py,line=14,title=GS101 disconnected-model"
        "::encoder gets no gradient: 100%25 of it,%0Aall steps. Remove `.detach()`.",
        "::warning file=a%2Cb%3Ac.py,line=3,title=GS101 disconnected-model"
        "::encoder gets no gradient: 100%25 of it,%0Aall steps. Remove `.detach()`.",
    ]


def test_findings_at_one_line_are_one_annotation():
    """GitHub shows ten of a kind per step."""
    made = report(*(finding(model=f"expert{i}", message=f"{i}.", fix="") for i in range(20)))

    assert render_github(made).count("::error") == 1
    assert "0.%0A1.%0A2." in render_github(made)


def test_without_location_and_without_findings():
    note = finding(location=None, severity=Severity.INFO)

    assert render_github(report(note)).startswith("::notice title=GS101")
    assert render_github(report()) == ""
