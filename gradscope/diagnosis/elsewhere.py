"""What other ranks of the job find in their own facts, told by the rank that reports.

Left out is what the report says already: that a rank lacks a gradient or that its values stand out (GS601, GS603), and
what the reporting rank finds in itself as well.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from gradscope.diagnosis.finding import Evidence, Finding, Severity
from gradscope.diagnosis.rules import RULES
from gradscope.diagnosis.rules.ranks import listed
from gradscope.records import Run
from gradscope.records.ranks import Elsewhere, Told

_OF_GRADIENTS = ("GS1", "GS2", "GS3", "GS4")
_SIZES = ("GS3", "GS4")
_LOST = ("GS1", "GS2")
"""Of these each place says something: what a later stage of a pipeline loses, earlier ones lack."""


def tell(findings: Iterable[Finding]) -> tuple[Told, ...]:
    """The errors and warnings among the findings, as records."""
    return tuple(
        Told(
            f.code, f.severity, f.model, f.parameters, f.state, f.cause, f.evidence, f.message, f.fix,
            f.location, f.path, f.steps, f.detail,
        )
        for f in findings
        if f.severity is not Severity.INFO
    )  # fmt: skip


def elsewhere(run: Run, findings: Sequence[Finding]) -> list[Finding]:
    """What other ranks find and these findings do not say."""
    if run.job is None:
        return []
    reporter = run.job.reporter
    others = [e for e in run.job.elsewhere if reporter not in e.first]
    return [_finding(e) for e in others if not any(_says(finding, e.told) for finding in findings)]


def _says(finding: Finding, told: Told) -> bool:
    """Whether a finding of the report is the same as that of another rank, or the reason of it."""
    if finding.code == told.code:
        elsewhere = told.location is not None and told.location != finding.location
        return finding.model == told.model and not (elsewhere and told.code.startswith(_LOST))
    if finding.code == "GS603" and told.code.startswith(_SIZES):
        return True
    if finding.code in ("GS601", "GS603") and told.code.startswith(_OF_GRADIENTS):
        return finding.model == told.model and not set(finding.parameters).isdisjoint(told.parameters)
    return False


def _finding(other: Elsewhere) -> Finding:
    told = other.told
    name = next((rule.name for rule in RULES if rule.code == told.code), "")
    who = listed(other.first, other.ranks)
    return Finding(
        told.code, name, Severity(told.severity), told.model, told.parameters, told.state, told.cause,
        Evidence(told.evidence), f"On {who}: {told.message}", told.fix, told.location, told.path,
        steps=told.steps, detail=told.detail, ranks=other.first,
    )  # fmt: skip
