"""What the diagnosis concludes: frozen findings, and the closed vocabularies they use."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum

from gradscope.records import Location, Path, Run


class Severity(StrEnum):
    """How bad: it is not learning or is corrupting / very likely wrong / worth knowing, may be meant."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


SEVERITY_ORDER = (Severity.ERROR, Severity.WARNING, Severity.INFO)


class Evidence(StrEnum):
    """How it is known: lineage or node hooks saw it / hook facts alone / the best remaining explanation."""

    TRACED = "traced"
    OBSERVED = "observed"
    INFERRED = "inferred"


class State(StrEnum):
    """What the gradient of a parameter (or of all parameters of a model) did over the run."""

    FLOWING = "flowing"
    INTERMITTENT = "intermittent"
    ZERO = "zero"
    NONE = "none"
    NONFINITE = "nonfinite"
    FROZEN = "frozen"
    UNUSED = "unused"


@dataclass(frozen=True, slots=True)
class Finding:
    """One conclusion: one root cause in one model, with all its victims there."""

    code: str
    name: str
    severity: Severity
    model: str
    parameters: tuple[str, ...]
    state: str
    cause: str
    evidence: Evidence
    message: str
    fix: str
    location: Location | None = None
    path: Path = ()
    also: tuple[Location, ...] = ()
    """Other lines that may be to blame, likeliest first."""
    steps: tuple[int, int] | None = None
    detail: str = ""
    earlier: bool = False
    """It is about a model that had the name before the one that has it now."""
    ranks: tuple[int, ...] = ()
    """Of a job the first ranks that find it in their own facts, where the one that reports does not."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule: stable code, kebab-case name, and a pure function from facts to findings.

    The docstring of the module that defines it is its page in the manual (`gradscope rules CODE`).
    """

    code: str
    name: str
    check: Callable[[Run], Iterable[Finding]]
    manual: str
