"""More models than anyone can look at: the surplus is drawn as one."""

from __future__ import annotations

from dataclasses import replace

from gradscope.records import Graph

MAX_MODELS = 12


def merge_crowd(graph: Graph) -> tuple[Graph, str]:
    """Put all but `MAX_MODELS` models under one name, which is returned ("" if there is none).

    Models with a part that gets no gradient are kept first: they are what one looks for.
    """
    models = dict.fromkeys(node.model for node in graph.nodes if node.model)
    if len(models) <= MAX_MODELS:
        return graph, ""
    dead = {node.model for node in graph.nodes if not node.live}
    kept = set(sorted(models, key=lambda name: name not in dead)[:MAX_MODELS])
    name = f"{len(models) - MAX_MODELS} more models"
    nodes = tuple(
        node if node.model in kept or not node.model else replace(node, model=name, module="") for node in graph.nodes
    )
    return replace(graph, nodes=nodes), name
