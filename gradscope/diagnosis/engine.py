"""Apply every rule and sort: worst first."""

from __future__ import annotations

from gradscope.diagnosis.declarations import settle
from gradscope.diagnosis.elsewhere import elsewhere
from gradscope.diagnosis.explained import explained
from gradscope.diagnosis.finding import SEVERITY_ORDER, Finding
from gradscope.diagnosis.rules import RULES
from gradscope.records import Run


def diagnose(run: Run) -> tuple[Finding, ...]:
    """All findings of a run, worst first; the same facts give the same findings in the same order."""
    own = explained(finding for rule in RULES for finding in rule.check(run))
    findings = settle(run, [*own, *elsewhere(run, own)])
    return tuple(sorted(findings, key=lambda f: (SEVERITY_ORDER.index(f.severity), f.code, f.model)))
