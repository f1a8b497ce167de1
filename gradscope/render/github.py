"""The findings as annotations of GitHub Actions, one workflow command a line.

GitHub shows ten of a kind per step, so findings at one line of code are put into one annotation.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from gradscope.diagnosis.finding import Finding, Severity
from gradscope.records import Location

if TYPE_CHECKING:
    from gradscope.report import Report

_COMMANDS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "notice"}


def render_github(report: Report) -> str:
    """One `::error file=...,line=...,title=...::message` per severity and line of code."""
    groups: dict[tuple[Severity, Location | None], list[Finding]] = {}
    for finding in report.findings:
        groups.setdefault((finding.severity, finding.location), []).append(finding)
    return "\n".join(_annotation(severity, where, found) for (severity, where), found in groups.items())


def _annotation(severity: Severity, location: Location | None, findings: list[Finding]) -> str:
    properties = {} if location is None else {"file": in_repository(location.file), "line": str(location.line)}
    properties["title"] = ", ".join(dict.fromkeys(f"{finding.code} {finding.name}" for finding in findings))
    listed = ",".join(f"{key}={_property(value)}" for key, value in properties.items())
    message = "\n".join(f"{finding.message} {finding.fix}".strip() for finding in findings)
    return f"::{_COMMANDS[severity]} {listed}::{_data(message)}"


def in_repository(file: str) -> str:
    """The file as GitHub looks for it, from the root of the repository, wherever in it the script was run."""
    root = os.environ.get("GITHUB_WORKSPACE")
    path = Path(file).absolute()
    return path.relative_to(root).as_posix() if root and path.is_file() and path.is_relative_to(root) else file


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
