"""The report as JSON: the contract other programs read (schema 1). Additions are welcome, changes are not."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

from gradscope.records import SCHEMA, Location
from gradscope.render.words import number

if TYPE_CHECKING:
    from gradscope.diagnosis.finding import Finding
    from gradscope.records import Job
    from gradscope.report import Report


def render_json(report: Report) -> str:
    """The report as a JSON document."""
    return json.dumps(to_dict(report), indent=2, allow_nan=False) + "\n"


def to_dict(report: Report) -> dict[str, Any]:
    """The report as dicts, lists, numbers and strings; numbers that JSON lacks become `nan`, `inf`, `-inf`."""
    run = report.run
    return {
        "schema": SCHEMA,
        "gradscope": run.gradscope,
        "torch": run.torch,
        "ok": report.ok,
        "steps": run.steps,
        "backwards": run.backwards,
        "models": [
            {
                "name": model.name,
                "class": model.class_name,
                "state": str(model.state),
                "parameters": model.parameters,
                "trainable": model.trainable,
                "flowing": model.flowing,
                "grad_norm": _norm(model.grad_norm),
                "applied_norm": _norm(model.applied_norm),
            }
            for model in report.models
        ],
        "flow": [
            {
                "location": _location(row.location),
                "count": row.count,
                "models": {name: _norm(norm) for name, norm in row.models.items()},
                **({"times": dict(row.times)} if row.times else {}),
            }
            for row in report.flow
        ],
        "findings": [_finding(finding) for finding in report.findings],
        "notes": list(run.notes),
        **({} if run.job is None else {"ranks": _ranks(run.job)}),
    }


def _ranks(job: Job) -> dict[str, Any]:
    """An addition to schema 1: only there where ranks were asked."""
    return {
        "world": job.world,
        "heard": job.heard,
        "reporter": job.reporter,
        "rows": [
            {
                "rank": row.rank,
                "host": row.host,
                "steps": row.steps if row.known else None,
                "backwards": row.backwards if row.known else None,
                "parameters": row.received if row.known else None,
                "grad_norm": _norm(row.norm),
                "missing": row.missing,
            }
            for row in job.rows
        ],
    }


def _finding(finding: Finding) -> dict[str, Any]:
    return {
        "code": finding.code,
        "name": finding.name,
        "severity": str(finding.severity),
        "model": finding.model,
        "parameters": list(finding.parameters),
        "state": str(finding.state),
        "cause": str(finding.cause),
        "evidence": str(finding.evidence),
        "location": _location(finding.location),
        "path": [_location(frame) for frame in finding.path],
        "also": [_location(other) for other in finding.also],
        "message": finding.message,
        "fix": finding.fix,
        "steps": list(finding.steps) if finding.steps else None,
        "detail": finding.detail,
    }


def _location(location: Location | None) -> dict[str, Any] | None:
    if location is None:
        return None
    return {"file": location.file, "line": location.line, "function": location.function, "text": location.text}


def _norm(norm: float | None) -> float | str | None:
    return norm if norm is None or math.isfinite(norm) else number(norm)
