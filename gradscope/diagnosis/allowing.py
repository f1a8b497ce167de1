"""What an allow-list may name: models, parameters or the beginning of their names, rules and causes."""

from __future__ import annotations

from collections.abc import Iterable

from gradscope.diagnosis.causes import CAUSES
from gradscope.diagnosis.finding import Finding
from gradscope.diagnosis.rules import RULES
from gradscope.records import Run


def strangers(run: Run, findings: Iterable[Finding], allow: Iterable[str]) -> list[str]:
    """The names that mean nothing in this run: misspelt, or of something that is not there."""
    known = {word for rule in RULES for word in (rule.code, rule.name)} | CAUSES.keys()
    names = {f"{o.model}.{o.fqn}" for parameter in run.parameters.values() for o in parameter.owners}
    for finding in findings:
        known |= {finding.code, finding.name, finding.cause, finding.model}
        names |= {f"{finding.model}.{fqn}" for fqn in finding.parameters}
    known |= {model.name for model in run.models}
    return [
        name for name in allow if name not in known and not any(n == name or n.startswith(f"{name}.") for n in names)
    ]
