"""The graph of a run that was not traced: models, `backward()` lines, and the cuts that are known."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gradscope.diagnosis.finding import State
from gradscope.records import Cut, Edge, Graph, Node

if TYPE_CHECKING:
    from gradscope.report import ModelSummary, Report

_FED = (State.FLOWING, State.INTERMITTENT, State.ZERO, State.NONFINITE)


def bare_graph(report: Report) -> Graph:
    """One node per parameter, model and `backward()` line; a dead model hangs on its likeliest cut, if one is known."""
    models = report.models
    nodes = [
        Node(i, "module", m.class_name, m.name, live=m.state in _FED, norm=m.grad_norm) for i, m in enumerate(models)
    ]
    losses = [
        Node(len(nodes) + i, "loss", "loss", live=True, location=row.location) for i, row in enumerate(report.flow)
    ]
    edges = []
    for loss, row in zip(losses, report.flow, strict=True):
        for index, model in enumerate(models):
            norm = row.models.get(model.name)
            if norm is not None:
                edges.append(Edge(index, loss.id, norm=norm))
            elif model.state not in _FED and (cut := likeliest_cut(report, model)):
                location = cut.path[-1] if cut.path else None
                edges.append(Edge(index, loss.id, live=False, cut=cut.cause, location=location))
    parts = _parts(report, len(nodes) + len(losses))
    edges += [Edge(part.id, index, live=part.live) for part, index in parts]
    return Graph((*nodes, *losses, *(part for part, _ in parts)), tuple(edges))


def _parts(report: Report, first: int) -> list[tuple[Node, int]]:
    """The parameters of each model, in their modules, with the position of their model."""
    run, parts = report.run, list[tuple[Node, int]]()
    for index, model in enumerate(run.models):
        for uid in model.parameters:
            fqn = next((o.fqn for o in run.parameters[uid].owners if o.model == model.name), run.parameters[uid].name)
            module, _, name = fqn.rpartition(".")
            live, norm = report.states[uid] in _FED, run.tallies[uid].norm_last if uid in run.tallies else None
            node = Node(first + len(parts), "parameter", name, model.name, module, live=live, norm=norm, uid=uid)
            parts.append((node, index))
    return parts


def likeliest_cut(report: Report, model: ModelSummary) -> Cut | None:
    """The cut of smallest rank among those that concern a model."""
    uids = next((set(m.parameters) for m in report.run.models if m.name == model.name), set())
    cuts = [cut for cut in report.run.cuts if uids & cut.parameters]
    return min(cuts, key=lambda cut: cut.rank, default=None)
