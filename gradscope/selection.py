"""Which findings of a report count: those of the rules selected, less those ignored, declared or known."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from gradscope.diagnosis.finding import Severity
from gradscope.diagnosis.rules import code_of
from gradscope.errors import UnknownRuleError
from gradscope.report import Report

if TYPE_CHECKING:
    from gradscope.config import Config
    from gradscope.diagnosis.finding import Finding


def resolved(config: Config) -> Config:
    """With codes for the names of rules. Raises UnknownRuleError for no rule: a misspelt one would let all pass."""
    return dataclasses.replace(config, select=_codes(config.select), ignore=_codes(config.ignore))


def _codes(said: Iterable[str]) -> tuple[str, ...]:
    codes = []
    for word in said:
        if not word or not code_of(word):
            raise UnknownRuleError(
                f"no rule is named {word}, or has a code that begins with it; `gradscope rules` lists them"
            )
        codes.append(code_of(word))
    return tuple(codes)


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
