"""The findings as JUnit XML, which continuous integration services show beside the results of tests.

Each model is a test case that passes if nothing is wrong with it; each finding that counts is one that fails.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import TYPE_CHECKING
from xml.etree import ElementTree as Xml  # written only, never parsed

from gradscope.diagnosis.finding import Finding, Severity

if TYPE_CHECKING:
    from gradscope.report import Report

_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML 1.0 has no way to write."""


def render_junit(report: Report, failing: Collection[str] = (Severity.ERROR,)) -> str:
    """One test suite; findings of the `failing` severities are failures, the others its output."""
    failed = [finding for finding in report.findings if finding.severity in failing]
    troubled = {finding.model for finding in failed}
    name = report.run.script or "gradscope"
    suite = Xml.Element("testsuite", name="gradscope")
    for model in report.models:
        if model.name not in troubled:
            Xml.SubElement(suite, "testcase", classname=_text(name), name=_text(model.name))
    for finding in failed:
        suite.append(_failure(name, finding))
    suite.set("tests", str(len(suite)))
    suite.set("failures", str(len(failed)))
    suite.set("errors", "0")
    others = [_line(finding) for finding in report.findings if finding.severity not in failing]
    if others:
        Xml.SubElement(suite, "system-out").text = _text("\n".join(others))
    root = Xml.Element("testsuites")
    root.append(suite)
    Xml.indent(root)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + Xml.tostring(root, encoding="unicode")


def _failure(suite: str, finding: Finding) -> Xml.Element:
    about = f"{finding.model}: " if finding.model else ""
    case = Xml.Element("testcase", classname=_text(suite), name=_text(f"{about}{finding.code} {finding.name}"))
    if finding.location is not None:
        case.set("file", _text(finding.location.file))
        case.set("line", str(finding.location.line))
    failure = Xml.SubElement(case, "failure", type=finding.code, message=_text(finding.message))
    told = [_line(finding), finding.location.text if finding.location else "", f"fix: {finding.fix}"]
    failure.text = _text("\n".join(filter(None, told)))
    return case


def _line(finding: Finding) -> str:
    return f"{finding.severity.value} {finding.code} {finding.name}: {finding.message}"


def _text(text: str) -> str:
    return _FORBIDDEN.sub("\ufffd", text)
