"""Findings as SARIF: valid by the official schema, and the same finding after an edit."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest

from gradscope.diagnosis.finding import Rule, Severity
from gradscope.records import Location
from gradscope.render import sarif
from gradscope.render.sarif import fingerprint, render_sarif
from tests.cli.reports import finding, report

SCHEMA = Path(__file__).parents[1] / "data" / "sarif-schema-2.1.0.json"


@pytest.fixture(scope="module")
def validator():
    return jsonschema.Draft4Validator(json.loads(SCHEMA.read_text(encoding="utf-8")))


@pytest.mark.parametrize(
    "findings",
    [
        (),
        (finding(),),
        (finding(location=None, path=(), also=(), model="", steps=None),),
        (finding(severity=Severity.INFO, location=Location("/lib/x.py", 0)), finding("GS202", Severity.WARNING)),
        (finding(location=Location("søk ü#%.py", 3, text="ø")),),
    ],
)
def test_valid(validator, findings, monkeypatch):
    monkeypatch.setattr(sarif, "RULES", (Rule("GS101", "disconnected-model", lambda run: (), "GS101: x.\n\nMore."),))
    log = json.loads(render_sarif(report(*findings)))

    validator.validate(log)
    assert len(log["runs"][0]["results"]) == len(findings)


def test_content():
    result = json.loads(render_sarif(report(finding())))["runs"][0]["results"][0]
    place = result["locations"][0]["physicalLocation"]

    assert place["artifactLocation"] == {"uri": "src/extractor%20one.py", "uriBaseId": "%SRCROOT%"}
    assert place["region"]["startLine"] == 14
    assert result["level"] == "error"
    assert result["properties"]["cause"] == "detach"
    assert len(result["codeFlows"][0]["threadFlows"][0]["locations"]) == 2
    assert len(result["relatedLocations"]) == 1


def test_fingerprint_ignores_the_line_number():
    moved = Location("src/extractor one.py", 99, "keep", "self.latents = output.clone().detach()")

    assert fingerprint(finding(location=moved)) == fingerprint(finding())
    assert len({fingerprint(f) for f in (finding(), finding("GS102"), finding(model="x"), finding(cause="data"))}) == 4
