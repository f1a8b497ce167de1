"""The findings as SARIF 2.1.0, the format that code scanning services read.

A gradient's cut has a file and a line, so it fits: the frames that led there are a code flow, further suspects are
related locations, and a fingerprint that ignores line numbers keeps a finding the same finding after an edit.
"""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import PurePath, PurePosixPath
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from gradscope.diagnosis.finding import Finding, Severity
from gradscope.diagnosis.rules import RULES
from gradscope.records import Location, Path
from gradscope.render.github import in_repository

if TYPE_CHECKING:
    from gradscope.report import Report

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"

_LEVELS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "note"}


def render_sarif(report: Report) -> str:
    """The report as one SARIF log with one run; ends without a line break."""
    codes = sorted({finding.code for finding in report.findings})
    driver = {
        "name": "gradscope",
        "semanticVersion": report.run.gradscope or "0.0.0",
        "rules": [_rule(code, report.findings) for code in codes],
    }
    run = {
        "tool": {"driver": driver},
        "columnKind": "unicodeCodePoints",
        "results": [_result(finding, codes.index(finding.code)) for finding in report.findings],
    }
    return json.dumps({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}, indent=1)


def fingerprint(finding: Finding) -> str:
    """What a finding is, whatever line it moves to: 16 hexadecimal digits."""
    where = finding.location
    place = (PurePath(where.file).as_posix(), where.function, where.text) if where else ("", "", "")
    said = "\0".join((finding.code, finding.model, finding.cause, *place))
    return sha256(said.encode()).hexdigest()[:16]


def _rule(code: str, findings: tuple[Finding, ...]) -> dict[str, Any]:
    name = next(finding.name for finding in findings if finding.code == code)
    rule: dict[str, Any] = {"id": code, "name": name}
    for known in RULES:
        if known.code == code:
            first, _, _ = known.manual.strip().partition("\n")
            rule |= {"shortDescription": {"text": first}, "fullDescription": {"text": known.manual.strip()}}
    return rule


def _result(finding: Finding, index: int) -> dict[str, Any]:
    result: dict[str, Any] = {
        "ruleId": finding.code,
        "ruleIndex": index,
        "level": _LEVELS[finding.severity],
        "message": {"text": f"{finding.message} {finding.fix}".strip()},
        "locations": [_location(finding.location, finding)],
        "partialFingerprints": {"gradscope/v1": fingerprint(finding)},
        "properties": {
            "cause": finding.cause,
            "evidence": finding.evidence,
            "model": finding.model,
            "parameters": list(finding.parameters),
            "state": finding.state,
        },
    }
    if finding.also:
        result["relatedLocations"] = [_location(also) for also in finding.also]
    if finding.path:
        result["codeFlows"] = [_flow(finding.path)]
    return result


def _flow(path: Path) -> dict[str, Any]:
    return {"threadFlows": [{"locations": [{"location": _location(frame)} for frame in path]}]}


def _location(location: Location | None, finding: Finding | None = None) -> dict[str, Any]:
    """A place in the source; of a finding also the model it is about."""
    place: dict[str, Any] = {}
    if location is not None:
        region: dict[str, Any] = {"startLine": max(1, location.line)}
        if location.text:
            region["snippet"] = {"text": location.text}
        place["physicalLocation"] = {"artifactLocation": _artifact(location.file), "region": region}
    if finding is not None and finding.model:
        place["logicalLocations"] = [{"name": finding.model, "kind": "object"}]
    return place


def _artifact(file: str) -> dict[str, str]:
    """Relative files are relative to the root of the sources; others are `file:` addresses."""
    path = PurePath(in_repository(file))
    if path.is_absolute():
        return {"uri": path.as_uri()}
    return {"uri": quote(PurePosixPath(path.as_posix()).as_posix()), "uriBaseId": "%SRCROOT%"}
