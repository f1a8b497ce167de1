"""What the user declared in the source: a declared stop is no finding, a declaration without one is told.

A declaration lets a finding pass if it stands at the line to blame, or at the line that built what it is about.
"""

from __future__ import annotations

from collections.abc import Sequence

from gradscope.diagnosis.finding import Evidence, Finding, Severity
from gradscope.diagnosis.rules import code_of
from gradscope.diagnosis.rules.gs701_unused_declaration import CODE
from gradscope.records import Declaration, Location, Parameter, Path, Run


def settle(run: Run, findings: Sequence[Finding]) -> list[Finding]:
    """The findings that no declaration lets pass, and one for each declaration that was not needed."""
    if not run.declarations:
        return list(findings)
    used: set[Declaration] = set()
    kept = []
    seen = _files(run)
    for finding in findings:
        covering = [declared for declared in run.declarations if _covers(run, declared, finding, seen)]
        used.update(covering)
        if not covering:
            kept.append(finding)
    unused = [declared for declared in run.declarations if declared not in used and declared.file in seen]
    return [*kept, *map(_told, unused)]


def _covers(run: Run, declared: Declaration, finding: Finding, seen: set[str]) -> bool:
    if not finding.code.startswith(_codes(declared) or ("!",)):
        return False
    return _at(declared, finding.location) or _builds(run, declared, finding, seen)


def _codes(declared: Declaration) -> tuple[str, ...]:
    return tuple(code for word in declared.codes if (code := code_of(word)))


def _at(declared: Declaration, place: Location | None) -> bool:
    return place is not None and place.file == declared.file and declared.first <= place.line <= declared.last


def _builds(run: Run, declared: Declaration, finding: Finding, seen: set[str]) -> bool:
    """Whether the statement made all the parameters of the finding: seen, or else told by the names it assigns to.

    A name says something only in a file that this run has been in: one process may train many an `encoder`.
    """
    names = {f"{owner.model}.{owner.fqn}": p for p in run.parameters.values() for owner in p.owners}
    about = [names[full] for fqn in finding.parameters if (full := f"{finding.model}.{fqn}") in names]
    if not about:
        return False
    lines = [_lines(parameter) for parameter in about]
    if all(lines):
        return all(any(_at(declared, place) for place in path) for path in lines)
    if declared.file not in seen:
        return False
    if finding.model.rpartition(".")[2] in declared.targets:
        return True
    return all(set(fqn.split(".")) & set(declared.targets) for fqn in finding.parameters)


def _lines(parameter: Parameter) -> Path:
    return (*parameter.registered, *parameter.built)


def _files(run: Run) -> set[str]:
    """Files that this run has been in: a declaration elsewhere is about another run of this process."""
    paths = [*(getattr(event, "path", ()) for event in run.events), *(cut.path for cut in run.cuts)]
    paths += [_lines(parameter) for parameter in run.parameters.values()]
    paths += [optimizer.built for optimizer in run.optimizers]
    return {place.file for path in paths for place in path}


def _told(declared: Declaration) -> Finding:
    place = Location(declared.file, declared.line, "", declared.text)
    if _codes(declared):
        says = f"{declared.text!r} lets nothing pass: there is no such finding here, or in this run, at {place}."
        fix = "remove the comment"
    elif declared.codes:
        says = f"{declared.text!r} lets nothing pass: no rule has that code or name, at {place}."
        fix = "write a code or a name that `gradscope rules` lists"
    else:
        says = f"{declared.text!r} is no declaration at {place}."
        fix = "write `# gradscope: expect-no-grad`, or `# gradscope: ignore[GS504]` with the rules to let pass"
    return Finding(*CODE, Severity.INFO, "", (), "", "", Evidence.OBSERVED, says, fix, place)
