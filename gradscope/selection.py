"""Which findings of a report count: those of the rules selected, less those ignored, declared or known."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from gradscope.diagnosis.finding import Severity
from gradscope.errors import UnknownRuleError
from gradscope.report import Report

if TYPE_CHECKING:
    from gradscope.config import Config
    from gradscope.diagnosis.finding import Finding


def check_codes(config: Config) -> None:
    """Raise UnknownRuleError for a code that no rule begins with: a misspelt one would silently let all pass."""
    from gradscope.diagnosis.rules import RULES

    for code in (*config.select, *config.ignore):
        if not any(rule.code.startswith(code) for rule in RULES):
            raise UnknownRuleError(f"no rule has the code {code}, or begins with it; `gradscope rules` lists them")


def select(report: Report, config: Config, known: Iterable[str] = ()) -> Report:
    """The same run with only the findings that were selected, and none of the fingerprints already known."""
    from gradscope.render.sarif import fingerprint

    def shown(finding: Finding) -> bool:
        selected = not config.select or finding.code.startswith(config.select)
        return selected and not finding.code.startswith(config.ignore or ("!",)) and fingerprint(finding) not in known

    return keeping(expecting(report, config.expect_no_grad), shown)


def keeping(report: Report, shown: Callable[[Finding], bool]) -> Report:
    """The same run with only these of its findings; the others have passed."""
    chosen = tuple(filter(shown, report.findings))
    passed = sum(f.severity is not Severity.INFO for f in report.findings if f not in chosen)
    narrowed = Report(report.run, report.passed + passed)
    narrowed.__dict__["findings"] = chosen  # where the cached property keeps them
    return narrowed


def expecting(report: Report, names: Iterable[str]) -> Report:
    """The same run, in which these models are meant to get no gradient. A name that is not there says nothing."""
    idle = frozenset(names)
    if not any(model.name in idle for model in report.run.models):
        return report
    models = tuple(
        dataclasses.replace(model, expected_idle=model.expected_idle or model.name in idle)
        for model in report.run.models
    )
    return Report(dataclasses.replace(report.run, models=models))
