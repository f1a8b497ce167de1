"""What gradscope says of a real architecture, next to the truth.

The oracle is plain autograd: the same training without gradscope, which notes the losses and which parameters truly
never received a gradient.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import nn

from gradscope.report import Report
from gradscope.scope import watch
from gradscope.session import Session
from tests.zoo_recipe import STEPS, Plain, build, train

Way = Callable[[nn.Module, dict[str, torch.Tensor], Plain], Report]


@dataclass
class Verdict:
    """What gradscope said of one architecture, next to the truth."""

    model_type: str
    class_name: str
    never: set[str]
    """Trainable parameters that truly never received a gradient."""
    warned: set[str] = field(default_factory=set)
    wrong: list[str] = field(default_factory=list)

    @property
    def silent(self) -> bool:
        return not self.warned and not self.wrong


def judge(model_type: str, ways: Sequence[Way] | None = None) -> Verdict:
    """Train it alone, then traced from the start, watched with marked steps, and only watched; compare."""
    model, batch = build(model_type)
    plain = Plain()
    train(model, batch, plain)
    trainable = {name for name, p in model.named_parameters() if p.requires_grad}
    verdict = Verdict(model_type, type(model).__name__, trainable - plain.received)
    for way in WAYS if ways is None else ways:
        watched = Plain()
        model, batch = build(model_type)
        try:
            report = way(model, batch, watched)
        except TimeoutError:
            raise
        except Exception as error:  # noqa: BLE001 - plain training went through, so it is ours
            verdict.wrong.append(f"{way.__name__} made it fail: {type(error).__name__}: {error}")
            continue
        if not _same(plain.losses, watched.losses):
            verdict.wrong.append(f"{way.__name__} changed the losses: {plain.losses} became {watched.losses}")
        _judge_all(report, verdict, way)
    return verdict


def _traced(model: nn.Module, batch: dict[str, torch.Tensor], seen: Plain) -> Report:
    """As `gradscope run` does."""
    with Session() as session:
        train(model, batch, seen)
    return session.report()


def _stepped(model: nn.Module, batch: dict[str, torch.Tensor], seen: Plain) -> Report:
    """A step is traced once something looks wrong."""
    with watch(model=model) as scope:
        train(model, batch, seen, scope.steps(range(STEPS)))
    return scope.report()


def _watched(model: nn.Module, batch: dict[str, torch.Tensor], seen: Plain) -> Report:
    """Nothing is traced, so nothing can be said of why."""
    with watch(model=model) as scope:
        train(model, batch, seen)
    return scope.report()


def _same(ours: list[float], theirs: list[float]) -> bool:
    return np.array_equal(np.array(ours), np.array(theirs), equal_nan=True)


WAYS: tuple[Way, ...] = (_traced, _stepped, _watched)


def _judge_all(report: Report, verdict: Verdict, way: Way) -> None:
    told: set[str] = set()
    causes = ("unknown",) if way is _watched else ("unused_module", "unused_output")
    for finding in report.findings:
        if finding.severity == "info":
            continue
        names = set(finding.parameters)
        said = f"{way.__name__}: {finding.severity} {finding.code} {finding.cause}: {finding.message}"
        if finding.severity != "warning" or finding.cause not in causes:
            verdict.wrong.append(said)
        elif finding.model != "model" or not names <= verdict.never:
            verdict.wrong.append(f"{said} (received one: {sorted(names - verdict.never)})")
        elif names & told:
            verdict.wrong.append(f"{said} (told twice)")
        told |= names
    if way is _traced:
        verdict.warned = told
