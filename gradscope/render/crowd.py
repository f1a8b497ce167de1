"""More models than anyone can look at: the surplus is drawn as one."""

from __future__ import annotations

from dataclasses import replace

from gradscope.records import Graph

MAX_MODELS = 12
MAX_LONELY = 2
"""Models that nothing leads to or from: more of them than these are drawn as one, what is connected needs the room."""


def merge_crowd(graph: Graph) -> tuple[Graph, str]:
    """Put the models that are too many under one name, which is returned ("" if there is none).

    Those that nothing is connected to go first; models with a part that gets no gradient are kept longest: they are
    what one looks for.
    """
    models = dict.fromkeys(node.model for node in graph.nodes if node.model)
    model_of = {node.id: node.model for node in graph.nodes}
    joined = {model_of.get(end) for edge in graph.edges for end in (edge.source, edge.target)}
    lonely = [model for model in models if model not in joined]
    gone = set(lonely) if len(lonely) > MAX_LONELY and joined else set()
    dead = {node.model for node in graph.nodes if not node.live}
    rest = sorted((model for model in models if model not in gone), key=lambda name: name not in dead)
    surplus = rest[MAX_MODELS:]
    if not gone and not surplus:
        return graph, ""
    name = f"{len(gone)} models not in this step" if not surplus else f"{len(gone) + len(surplus)} more models"
    gone.update(surplus)
    nodes = tuple(replace(node, model=name, module="") if node.model in gone else node for node in graph.nodes)
    return replace(graph, nodes=nodes), name
