"""Findings without a reason, where what a rank of the job did is the reason: told once, with the reason."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from gradscope.diagnosis.finding import SEVERITY_ORDER, Evidence, Finding

_REASONS = ("GS601", "GS603")


def explained(findings: Iterable[Finding]) -> list[Finding]:
    """The findings, but for those of no certain cause that a finding about a rank covers and is as severe as, then."""
    found = list(findings)
    ranks = [f for f in found if f.code in _REASONS]
    reasons = {id(f): next((r for r in ranks if _covers(r, f)), None) for f in found}
    answer = []
    for finding in found:
        covered = [f for f in found if reasons.get(id(f)) is finding]
        if covered:
            worst = min((finding.severity, *(f.severity for f in covered)), key=SEVERITY_ORDER.index)
            finding = replace(finding, severity=worst)  # noqa: PLW2901 - the same one, told for both
        if reasons.get(id(finding)) is None:
            answer.append(finding)
    return answer


def _covers(reason: Finding, finding: Finding) -> bool:
    if finding.code == "GS402":  # every parameter of the rank whose data is so large has it
        return reason.code == "GS603" and finding.evidence is Evidence.INFERRED
    same = reason.model == finding.model and set(finding.parameters) <= set(reason.parameters)
    return same and finding.cause == "unknown"
