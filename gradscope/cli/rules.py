"""Print the manual of a rule, or list all rules.

CODE is a code such as GS101, or the name of a rule. Exit status: 0, or 2 if there is no such rule.
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from difflib import get_close_matches
from typing import TYPE_CHECKING

from gradscope.errors import UnknownRuleError

if TYPE_CHECKING:
    from gradscope.diagnosis.finding import Rule


def configure(parser: ArgumentParser) -> None:
    parser.add_argument("code", nargs="?", metavar="CODE", help="the rule to explain; all are listed when left out")


def run(args: Namespace) -> int:
    from gradscope.diagnosis.rules import RULES

    if args.code is not None:
        rule = find_rule(RULES, args.code)
        heading = "" if rule.manual.strip().startswith(rule.code) else f"{rule.code} {rule.name}\n\n"
        print(heading + rule.manual.strip())
        return 0
    widest = max((len(rule.name) for rule in RULES), default=0)
    for rule in RULES:
        print(f"{rule.code}  {rule.name:{widest}}  {summary(rule)}")
    return 0


def summary(rule: Rule) -> str:
    """The first line of a rule's manual, without its code and name."""
    first = rule.manual.strip().partition("\n")[0]
    return first.removeprefix(rule.code).strip().removeprefix(rule.name).removeprefix(":").strip()


def find_rule(rules: tuple[Rule, ...], wanted: str) -> Rule:
    """The rule of a code or name. Raises UnknownRuleError with the nearest ones that exist."""
    for rule in rules:
        if wanted.lower() in (rule.code.lower(), rule.name.lower()):
            return rule
    family = [rule.code for rule in rules if rule.code[:3] == wanted.upper()[:3]]
    is_code = wanted[:2].upper() == "GS" and wanted[2:].isdecimal()
    known = family if is_code else [rule.name for rule in rules]  # codes of other families are like no code
    near = get_close_matches(wanted.upper() if is_code else wanted, known, n=3, cutoff=0.5)
    hint = f"did you mean {', '.join(near)}?" if near else "`gradscope rules` lists them"
    raise UnknownRuleError(f"no rule is called {wanted}; {hint}")
