"""Reports made by hand, for commands that only pass them on."""

from __future__ import annotations

from gradscope.diagnosis.finding import Evidence, Finding, Severity
from gradscope.records import Location, Model, Parameter, Run
from gradscope.report import Report

LINE = Location("src/extractor one.py", 14, "keep", "self.latents = output.clone().detach()")


def finding(code: str = "GS101", severity: Severity = Severity.ERROR, **changes: object) -> Finding:
    fields: dict[str, object] = {
        "code": code,
        "name": "disconnected-model",
        "severity": severity,
        "model": "encoder",
        "parameters": ("patchify.weight", "patchify.bias"),
        "state": "none",
        "cause": "detach",
        "evidence": Evidence.TRACED,
        "message": "encoder gets no gradient: 100% of it,\nall steps.",
        "fix": "Remove `.detach()`.",
        "location": LINE,
        "path": (Location("train.py", 44, "main", "loss = step(batch)"), LINE),
        "also": (Location("train.py", 50),),
        "steps": (0, 7),
    }
    return Finding(**(fields | changes))


def report(*findings: Finding, backwards: int = 3) -> Report:
    """A report of one model with exactly these findings."""
    run = Run(
        gradscope="0.1.0",
        torch="2.13.0",
        steps=3,
        backwards=backwards,
        models=(Model("encoder", "Encoder", (0,)),),
        parameters={0: Parameter(0, (2, 2), "float32", "cpu", True)},
    )
    made = Report(run)
    made.__dict__["findings"] = findings  # where the cached property keeps them
    return made
