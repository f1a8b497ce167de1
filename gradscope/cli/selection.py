"""Which findings a command shows and counts: those of the rules selected, less those ignored or known."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Iterable
from typing import TYPE_CHECKING

from gradscope.errors import UnknownRuleError

if TYPE_CHECKING:
    from gradscope.diagnosis.finding import Finding
    from gradscope.report import Report


def add_options(parser: ArgumentParser) -> None:
    parser.add_argument("--select", metavar="CODES", type=_codes, default=(), help="only these rules: GS101,GS2")
    parser.add_argument("--ignore", metavar="CODES", type=_codes, default=(), help="not these; a prefix names a family")


def _codes(text: str) -> tuple[str, ...]:
    return tuple(code.strip().upper() for code in text.split(",") if code.strip())


def check_codes(args: Namespace) -> None:
    """Raise UnknownRuleError for a code that no rule begins with: a misspelt one would silently let all pass."""
    from gradscope.diagnosis.rules import RULES

    for code in (*args.select, *args.ignore):
        if not any(rule.code.startswith(code) for rule in RULES):
            raise UnknownRuleError(f"no rule has the code {code}, or begins with it; `gradscope rules` lists them")


def narrow(report: Report, args: Namespace, known: Iterable[str] = ()) -> Report:
    """The same run with only the findings that were selected, and none of the fingerprints already known."""
    from gradscope.render.sarif import fingerprint
    from gradscope.report import Report

    def shown(finding: Finding) -> bool:
        selected = not args.select or finding.code.startswith(args.select)
        return selected and not finding.code.startswith(args.ignore or ("!",)) and fingerprint(finding) not in known

    narrowed = Report(report.run)
    narrowed.__dict__["findings"] = tuple(filter(shown, report.findings))  # where the cached property keeps them
    return narrowed
