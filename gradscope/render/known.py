"""What a report knows beyond its traced step, in the form that folding and drawing need.

The picture must not contradict the text: what findings say of parameters and lines is handed on here, and drawn.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from gradscope.diagnosis.finding import Finding, Severity
from gradscope.diagnosis.rules.common import subject
from gradscope.records import Location, Owner, Run

if TYPE_CHECKING:
    from gradscope.report import Report


class Worth(StrEnum):
    """What a gradient that does come back is worth."""

    SOUND = "sound"
    ZERO = "zero"
    NONFINITE = "nonfinite"
    VANISHING = "vanishing"
    EXPLODING = "exploding"


LOST = ("none", "zero", "nonfinite")
"""States of findings about a gradient that was lost at a line."""


@dataclass(frozen=True, slots=True)
class Blame:
    """An error or warning: the line it names, and the parameters it is about."""

    code: str
    name: str
    model: str
    state: str
    cause: str
    location: Location | None
    uids: frozenset[int]
    error: bool
    whom: str = ""
    """The part of the model that it is about; empty if that is all of it."""

    @property
    def plate(self) -> tuple[str, str]:
        """What tells its plate from others of the model."""
        return self.code, str(self.location or self.cause)

    def gathered(self, crowd: str) -> Blame:
        """The same said of a crowd, of which its model is a part."""
        return replace(self, model=crowd, whom=f"{self.model}.{self.whom}" if self.whom else self.model)

    @property
    def lost(self) -> bool:
        """It says where a gradient was lost, so that it belongs on the way to the loss."""
        return self.state in LOST


@dataclass(frozen=True, slots=True)
class Known:
    """Per parameter uid and module what the whole run says of it."""

    classes: Mapping[tuple[str, str], str] = field(default_factory=dict)
    """Class per (model, module fqn), as far as parameters tell it."""
    told: Mapping[int, Worth] = field(default_factory=dict)
    fed: frozenset[int] = frozenset()
    """Parameters that received a gradient at some time of the run."""
    blames: tuple[Blame, ...] = ()
    blamed: Mapping[int, frozenset[tuple[str, str]]] = field(default_factory=dict)
    """The plates that are about a parameter."""
    frozen: frozenset[int] = frozenset()
    """Parameters that require no gradient."""
    crowds: frozenset[str] = frozenset()
    """Models that stand for several: what is called a module of them is one of these."""

    def class_of(self, module: tuple[str, tuple[str, ...]]) -> str:
        """The class of a module, known by its model and path; "" where that is not known."""
        return self.classes.get((module[0], ".".join(module[1])), "")

    def told_of(self, uid: int | None) -> tuple[Hashable, ...]:
        """What a box says of a parameter: modules that differ in it share none."""
        return (uid in self.frozen, uid in self.fed, self.blamed.get(uid)) if uid is not None else ()

    def gathered(self, crowds: Mapping[str, str]) -> Known:
        """The same with what is said of models in a crowd said of that; `crowds` has its name per model."""
        blames = (each.gathered(crowds[each.model]) if each.model in crowds else each for each in self.blames)
        return replace(self, blames=tuple(blames), crowds=frozenset(crowds.values()))


NOTHING = Known()


def known_of(report: Report) -> Known:
    """Collect it from facts and findings. A NaN that was spared (an info) taints no other step."""
    run = report.run
    names = {(owner.model, owner.fqn): uid for uid, p in run.parameters.items() for owner in p.owners}
    told: dict[int, Worth] = {}
    blames = []
    for finding in report.findings:
        uids = frozenset(names[key] for fqn in finding.parameters if (key := (finding.model, fqn)) in names)
        spared = finding.severity is Severity.INFO
        if finding.state in set(Worth) and not (spared and finding.state == Worth.NONFINITE):
            told |= dict.fromkeys(uids, Worth(finding.state))
        if not spared:
            blames.append(_blame(run, finding, uids))
    fed = frozenset(uid for uid, tally in run.tallies.items() if tally.backwards)
    frozen = frozenset(uid for uid, parameter in run.parameters.items() if not parameter.trainable)
    return Known(_classes(run), told, fed, tuple(blames), _blamed(blames), frozen)


def _blamed(blames: Sequence[Blame]) -> dict[int, frozenset[tuple[str, str]]]:
    plates: dict[int, frozenset[tuple[str, str]]] = {}
    for each in blames:
        plates |= {uid: plates.get(uid, frozenset()) | {each.plate} for uid in each.uids}
    return plates


def worth_of(norm: float | None) -> Worth:
    """What a norm says by itself."""
    if norm is None:
        return Worth.SOUND
    if not math.isfinite(norm):
        return Worth.NONFINITE
    return Worth.ZERO if norm == 0 else Worth.SOUND


def _blame(run: Run, finding: Finding, uids: frozenset[int]) -> Blame:
    whom = subject(run, finding.model, sorted(uids)).words
    return Blame(
        finding.code,
        finding.name,
        finding.model,
        finding.state,
        finding.cause,
        finding.location,
        uids,
        finding.severity is Severity.ERROR,
        "" if whom == finding.model else whom.removeprefix(f"{finding.model}."),
    )


def _classes(run: Run) -> dict[tuple[str, str], str]:
    """Of the modules whose class their own parameters tell: of a tied weight nobody knows which module is meant."""
    return {
        (owner.model, owner.fqn.rpartition(".")[0]): parameter.module
        for parameter in run.parameters.values()
        for owner in parameter.owners
        if parameter.module and "." in owner.fqn and _alone(owner, parameter.owners)
    }


def _alone(owner: Owner, owners: Sequence[Owner]) -> bool:
    return all(other.fqn == owner.fqn for other in owners if other.model == owner.model)
