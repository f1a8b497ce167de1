"""Findings that say the same of several models: shown once, with the other models named beside."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from gradscope.render.words import listing, victims

if TYPE_CHECKING:
    from gradscope.diagnosis.finding import Finding
    from gradscope.report import Report

_NAMED = 20


@dataclass(frozen=True, slots=True)
class Shown:
    """A finding that is shown, its number among all, and those that differ from it in nothing but their victims."""

    index: int
    finding: Finding
    twins: tuple[tuple[int, Finding], ...]


def folded(findings: Iterable[Finding]) -> list[Shown]:
    """All findings in their order, each kind where its first stands."""
    groups: dict[Finding | int, list[tuple[int, Finding]]] = {}
    for index, finding in enumerate(findings):
        groups.setdefault(_said(finding) or index, []).append((index, finding))
    return [Shown(*first, tuple(rest)) for first, *rest in groups.values()]


def _said(finding: Finding) -> Finding | None:
    """What is left of a finding without its model and parameters; None of one that does not begin with its model."""
    if not finding.model or not finding.message.startswith(f"{finding.model} "):
        return None
    return replace(finding, model="", parameters=(), message=finding.message.removeprefix(finding.model))


def likewise(report: Report, finding: Finding) -> str:
    """A twin in words: its model, and how much of it."""
    part = victims(report, finding)
    return f"{finding.model} ({part})" if part else finding.model


def likewise_all(report: Report, shown: Shown) -> str:
    """All twins of a finding, the first by name."""
    return listing([likewise(report, twin) for _, twin in shown.twins], _NAMED)
