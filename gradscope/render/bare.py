"""The graph of a run that was not traced: models, `backward()` lines, and the cuts that are known."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gradscope.diagnosis.finding import State
from gradscope.records import Cut, Edge, Graph, Node

if TYPE_CHECKING:
    from gradscope.report import ModelSummary, Report

_FED = (State.FLOWING, State.INTERMITTENT, State.ZERO, State.NONFINITE)


def bare_graph(report: Report) -> Graph:
    """One node per model, one per `backward()` line; a dead model hangs on its likeliest cut, if one is known."""
    models = report.models
    nodes = [
        Node(i, "module", m.class_name, m.name, live=m.state in _FED, norm=m.grad_norm) for i, m in enumerate(models)
    ]
    edges = []
    losses = [
        Node(len(models) + i, "loss", "loss", live=True, location=row.location) for i, row in enumerate(report.flow)
    ]
    for loss, row in zip(losses, report.flow, strict=True):
        for index, model in enumerate(models):
            norm = row.models.get(model.name)
            if norm is not None:
                edges.append(Edge(index, loss.id, norm=norm))
            elif model.state not in _FED and (cut := likeliest_cut(report, model)):
                location = cut.path[-1] if cut.path else None
                edges.append(Edge(index, loss.id, live=False, cut=cut.cause, location=location))
    return Graph(tuple(nodes + losses), tuple(edges))


def likeliest_cut(report: Report, model: ModelSummary) -> Cut | None:
    """The cut of smallest rank among those that concern a model."""
    uids = next((set(m.parameters) for m in report.run.models if m.name == model.name), set())
    cuts = [cut for cut in report.run.cuts if uids & cut.parameters]
    return min(cuts, key=lambda cut: cut.rank, default=None)
