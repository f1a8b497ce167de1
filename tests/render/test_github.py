"""Findings as annotations of GitHub Actions."""

from __future__ import annotations

import json

from gradscope.diagnosis.finding import Severity
from gradscope.records import Location
from gradscope.render.github import render_github
from gradscope.render.sarif import render_sarif
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


def test_files_are_told_from_the_root_of_the_repository(tmp_path, monkeypatch):
    """The script ran in a folder of it; GitHub shows an annotation only at a file it knows."""
    folder = tmp_path / "examples"
    folder.mkdir()
    (folder / "train.py").touch()
    monkeypatch.chdir(folder)
    made = report(finding(location=Location("train.py", 7)))
    elsewhere = report(finding(location=Location("gone.py", 7)))

    assert "file=train.py,line=7" in render_github(made)
    monkeypatch.setenv("GITHUB_WORKSPACE", str(tmp_path))
    assert "file=examples/train.py,line=7" in render_github(made)
    assert json.loads(render_sarif(made))["runs"][0]["results"][0]["locations"][0]["physicalLocation"][
        "artifactLocation"
    ] == {"uri": "examples/train.py", "uriBaseId": "%SRCROOT%"}
    assert "file=gone.py" in render_github(elsewhere)
